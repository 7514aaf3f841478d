//! How an open payout is shown.

use serde::Serialize;
use tollgate::amount::money;
use tollgate::ids::AccountId;
use tollgate::instant::Instant;
use tollgate::partition::Partition;
use tollgate::scripts::payout::{Hold, Listed};

use crate::output::hint;
use crate::table::{Table, age};

/// An open payout as `--json` shows it; amounts in minor units, instants in milliseconds since the Unix epoch. What
/// cannot be read is null.
#[derive(Serialize)]
pub(crate) struct View<'a> {
    id: &'a str,
    partition: u16,
    pub(super) account: Option<&'a str>,
    amount: Option<u64>,
    currency: Option<&'a str>,
    destination: Option<&'a str>,
    state: &'static str,
    attempts: Option<u64>,
    refused: Option<u64>,
    fence: Option<u64>,
    lease_until_ms: Option<u64>,
    since_ms: Option<u64>,
    reason: &'a str,
    gateway: Option<&'a str>,
    idempotency_key: Option<&'a str>,
}

impl<'a> View<'a> {
    pub(crate) fn of(partition: Partition, listed: &'a Listed) -> Self {
        match listed {
            Listed::Open(hold) => Self::of_hold(partition, hold),
            Listed::Damaged(damaged) => Self {
                id: &damaged.id,
                partition: partition.number(),
                account: damaged.account.as_ref().map(AccountId::as_str),
                amount: None,
                currency: None,
                destination: None,
                state: DAMAGED,
                attempts: None,
                refused: None,
                fence: None,
                lease_until_ms: None,
                since_ms: None,
                reason: &damaged.what,
                gateway: None,
                idempotency_key: None,
            },
        }
    }

    fn of_hold(partition: Partition, hold: &'a Hold) -> Self {
        Self {
            id: hold.id.as_str(),
            partition: partition.number(),
            account: Some(hold.account.as_str()),
            amount: Some(hold.amount),
            currency: Some(&hold.currency),
            destination: Some(&hold.destination),
            state: hold.state.name(),
            attempts: Some(hold.attempts),
            refused: Some(hold.refused),
            fence: Some(hold.fence),
            lease_until_ms: Some(hold.lease_until_ms),
            since_ms: Some(hold.since_ms),
            reason: &hold.reason,
            gateway: Some(&hold.gateway),
            idempotency_key: Some(&hold.idempotency_key),
        }
    }

    pub(crate) fn is_damaged(&self) -> bool {
        self.state == DAMAGED
    }

    pub(super) fn cells(&self) -> [String; 7] {
        let amount = self.amount.zip(self.currency);
        [
            self.id.to_owned(),
            self.account.unwrap_or("?").to_owned(),
            amount.map_or("?".to_owned(), |(amount, currency)| money(u128::from(amount), currency)),
            self.state.to_owned(),
            self.attempts.map_or("?".to_owned(), |attempts| attempts.to_string()),
            age(self.since_ms.map(|since_ms| Instant::now().ms().saturating_sub(since_ms))),
            self.reason.to_owned(),
        ]
    }

    /// What a line of the table does not say.
    pub(super) fn details(&self) -> String {
        let [Some(destination), Some(gateway), Some(key)] =
            [self.destination, self.gateway, self.idempotency_key]
        else {
            return String::new();
        };
        let (fence, refused) = (self.fence.unwrap_or_default(), self.refused.unwrap_or_default());
        match key {
            "" => format!("\nto {destination}, no attempt yet"),
            key => format!("\nto {destination}, fence {fence}, {refused} refused, at {gateway} under {key}"),
        }
    }
}

/// The state of a payout that cannot be read.
const DAMAGED: &str = "damaged";

pub(super) const COLUMNS: [&str; 7] = ["id", "account", ">amount", "state", ">attempts", ">since", "reason"];

/// Open payouts for people.
pub(crate) fn table(payouts: &[View<'_>]) -> Table {
    let mut table = Table::new(&COLUMNS);
    payouts.iter().for_each(|payout| table.row(payout.cells()));
    table
}

/// What to do about damage, once.
pub(crate) fn hint_at_damage(any: bool) {
    if any {
        hint(
            "nobody goes on with a damaged payout until it is repaired: `audit` says what the journal has of it, \
             docs/operating.md how to repair it",
        );
    }
}
