//! The model: campaigns and accounts as the journal makes them, and what `settle` must have decided.
//!
//! Pure, and written from the specification (ARCHITECTURE.md), not from the scripts: it decides every line
//! again from its own state and the line's server time, and keeps no job and no customer, so that its memory is
//! that of the campaigns and accounts. What one customer holds is known only in sum (see
//! [`holders`](super::holders)): that `customer_limit_reached` was *due* it checks as far as that allows.

mod payout;

use std::collections::HashMap;

use crate::amount::NUMBER_MAX;
use crate::code::Code;
use crate::fingerprint::Fingerprint;
use crate::ids::{AccountId, CampaignId, JobId};
use crate::job::{CodesName, Request, Resource};
use crate::journal::Line;

use payout::decide_step;
pub(super) use payout::{HOLD_FIELDS, Hold};

/// The fields of a campaign's key, in the order of [`Campaign::fields`].
pub(super) const CAMPAIGN_FIELDS: [&str; 9] = [
    "limit",
    "issued",
    "per_customer",
    "opens_at_ms",
    "closes_at_ms",
    "status",
    "codes",
    "codes_count",
    "seq",
];
/// The fields of an account's key, in the order of [`Account::fields`].
pub(super) const ACCOUNT_FIELDS: [&str; 5] = ["available", "held", "currency", "status", "seq"];

/// Every resource that the journal has named with effect.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) campaigns: HashMap<CampaignId, Campaign>,
    pub(super) accounts: HashMap<AccountId, Account>,
    /// Payouts that are open; their number is bounded by the money held.
    pub(super) holds: HashMap<JobId, Hold>,
}

/// A campaign after the lines so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Campaign {
    limit: u64,
    pub(super) issued: u64,
    pub(super) per_customer: Option<u64>,
    opens_at_ms: Option<u64>,
    closes_at_ms: Option<u64>,
    pub(super) codes: Option<CodesName>,
    pub(super) codes_count: u64,
    closed: bool,
    /// Of its last change.
    pub(super) seq: u64,
    /// Sum of quantity x weight of the customer over its redemptions, mod 2^128.
    pub(super) holders: u128,
    /// Its creation is not in the journal: nothing more can be said of it.
    pub(super) unknown: bool,
}

/// An account after the lines so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) available: u64,
    held: u64,
    currency: &'static str,
    closed: bool,
    /// Of its last change.
    pub(super) seq: u64,
    /// Its opening is not in the journal: nothing more can be said of it.
    pub(super) unknown: bool,
}

fn digits(number: Option<u64>) -> String {
    number.map(|number| number.to_string()).unwrap_or_default()
}

fn status(closed: bool) -> String {
    if closed { "closed" } else { "open" }.to_owned()
}

impl Campaign {
    /// What its key must hold, in the order of [`CAMPAIGN_FIELDS`].
    pub(super) fn fields(&self) -> [String; 9] {
        [
            self.limit.to_string(),
            self.issued.to_string(),
            digits(self.per_customer),
            digits(self.opens_at_ms),
            digits(self.closes_at_ms),
            status(self.closed),
            self.codes.as_ref().map(|codes| codes.as_str().to_owned()).unwrap_or_default(),
            self.codes_count.to_string(),
            self.seq.to_string(),
        ]
    }
}

impl Account {
    /// In which currency it is; empty where its opening is not in the journal.
    pub(super) fn currency(&self) -> &'static str {
        self.currency
    }

    /// What its key must hold, in the order of [`ACCOUNT_FIELDS`].
    pub(super) fn fields(&self) -> [String; 5] {
        let held = self.held.to_string();
        [
            self.available.to_string(),
            held,
            self.currency.to_owned(),
            status(self.closed),
            self.seq.to_string(),
        ]
    }
}

/// What a line must say, by the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) code: Code,
    /// The resource's state after it; `None` if there is no such resource.
    pub(super) after: Option<u64>,
    /// This is possible as well, and then nothing changed: what would tell is not in the journal.
    or: Option<Code>,
}

impl Decision {
    fn new(code: Code, after: Option<u64>) -> Self {
        Self { code, after, or: None }
    }

    /// Whether the line says so.
    fn agrees(&self, line: &Line, before: Option<u64>) -> bool {
        (line.code == self.code && line.after == self.after)
            || (Some(line.code) == self.or && line.after == before)
    }
}

impl Model {
    /// Decides the line again and takes over what it says it did. Answers what it should have said, if it says
    /// something else; the model then goes on from what the line says, so that one wrong line is told once.
    pub(super) fn apply(&mut self, line: &Line, weight: impl FnOnce(&str) -> u128) -> Option<Decision> {
        let decision = self.decide(line);
        let before = match line.request.resource() {
            Resource::Campaign(id) => self.campaigns.get(id).map(|campaign| campaign.issued),
            Resource::Account(id) => self.accounts.get(id).map(|account| account.available),
        };
        let agrees = decision.is_none_or(|decision| decision.agrees(line, before));
        self.take_over(line, weight);
        if agrees { None } else { decision }
    }

    /// What `settle` must have answered; `None` where the journal does not tell enough.
    fn decide(&self, line: &Line) -> Option<Decision> {
        if line.code == Code::Cancelled && line.request.kind().is_queueable() {
            return self.unchanged(line);
        }
        match line.request.resource() {
            Resource::Campaign(id) => match self.campaigns.get(id) {
                Some(campaign) if campaign.unknown => None,
                campaign => Some(decide_campaign(campaign, &line.request, line.at_ms)),
            },
            Resource::Account(id) => match self.accounts.get(id) {
                Some(account) if account.unknown => None,
                account => Some(match &line.request {
                    Request::PayoutStep { step, .. } => decide_step(account, self.holds.get(&line.id), step),
                    request => decide_account(account, request),
                }),
            },
        }
    }

    /// A cancelled job changes nothing, whatever it asked for: nobody can say that it was not to be cancelled.
    fn unchanged(&self, line: &Line) -> Option<Decision> {
        let after = match line.request.resource() {
            Resource::Campaign(id) => {
                self.campaigns.get(id).map(|campaign| (campaign.unknown, campaign.issued))
            }
            Resource::Account(id) => {
                self.accounts.get(id).map(|account| (account.unknown, account.available))
            }
        };
        match after {
            Some((true, _)) => None,
            after => Some(Decision::new(Code::Cancelled, after.map(|(_, after)| after))),
        }
    }

    fn take_over(&mut self, line: &Line, weight: impl FnOnce(&str) -> u128) {
        let Line { seq, code, after, ref request, .. } = *line;
        let after = after.unwrap_or_default();
        match (request, code) {
            (Request::CampaignCreate(terms), Code::CampaignCreated) => {
                let campaign = Campaign {
                    limit: terms.limit.get(),
                    issued: after,
                    per_customer: terms.per_customer.map(|most| most.get()),
                    opens_at_ms: terms.window.opens_at().map(|at| at.ms()),
                    closes_at_ms: terms.window.closes_at().map(|at| at.ms()),
                    codes_count: if terms.codes.is_some() { terms.limit.get() } else { 0 },
                    codes: terms.codes.clone(),
                    seq,
                    ..Campaign::default()
                };
                self.campaigns.insert(terms.campaign.clone(), campaign);
            }
            (Request::Redeem { campaign, customer, quantity }, Code::Redeemed) => {
                let campaign = self.campaign(campaign);
                campaign.issued = after;
                campaign.seq = seq;
                let share = u128::from(quantity.get()).wrapping_mul(weight(customer.as_str()));
                campaign.holders = campaign.holders.wrapping_add(share);
            }
            (Request::CampaignSetLimit { campaign, limit, .. }, Code::LimitSet) => {
                let campaign = self.campaign(campaign);
                campaign.limit = limit.get();
                campaign.issued = after;
                campaign.seq = seq;
            }
            (Request::CampaignClose { campaign }, Code::CampaignClosedNow) => {
                let campaign = self.campaign(campaign);
                campaign.closed = true;
                campaign.issued = after;
                campaign.seq = seq;
            }
            (Request::AccountOpen { account, currency, .. }, Code::AccountOpened) => {
                let currency = currency.code();
                let opened = Account { available: after, currency, seq, ..Account::default() };
                self.accounts.insert(account.clone(), opened);
            }
            (Request::Withdraw { account, .. }, Code::Withdrawn)
            | (Request::Deposit { account, .. }, Code::Deposited) => {
                let account = self.account(account);
                account.available = after;
                account.seq = seq;
            }
            (Request::Payout { account, amount, currency, destination }, Code::Held) => {
                let hold = Hold {
                    account: account.clone(),
                    amount: amount.minor(),
                    currency: currency.code(),
                    destination: destination.clone(),
                    fingerprint: Fingerprint::of(request),
                    state: Code::Held,
                    attempts: 0,
                    refused: 0,
                    fence: 0,
                    first_begin_at_ms: None,
                    gateway: String::new(),
                    idempotency_key: String::new(),
                    taken_back: false,
                    since_ms: line.at_ms,
                    seq,
                };
                self.holds.insert(line.id.clone(), hold);
                let account = self.account(account);
                account.available = after;
                account.held = account.held.saturating_add(amount.minor());
                account.seq = seq;
            }
            (Request::PayoutStep { account, step }, _) => {
                self.take_over_step(line, account, step);
            }
            (Request::AccountClose { account }, Code::AccountClosedNow) => {
                let account = self.account(account);
                account.closed = true;
                account.available = after;
                account.seq = seq;
            }
            _ => {}
        }
    }

    /// The campaign, or a stand-in for one whose creation the journal does not have.
    fn campaign(&mut self, id: &CampaignId) -> &mut Campaign {
        let unknown = || Campaign { unknown: true, ..Campaign::default() };
        self.campaigns.entry(id.clone()).or_insert_with(unknown)
    }

    fn account(&mut self, id: &AccountId) -> &mut Account {
        self.accounts.entry(id.clone()).or_insert_with(|| Account { unknown: true, ..Account::default() })
    }
}

fn decide_campaign(campaign: Option<&Campaign>, request: &Request, at_ms: u64) -> Decision {
    let Some(campaign) = campaign else {
        return match request {
            Request::CampaignCreate(_) => Decision::new(Code::CampaignCreated, Some(0)),
            _ => Decision::new(Code::CampaignNotFound, None),
        };
    };
    let issued = campaign.issued;
    let refused = |code| Decision::new(code, Some(issued));
    match request {
        Request::CampaignCreate(_) => refused(Code::CampaignExists),
        Request::CampaignClose { .. } if campaign.closed => refused(Code::Ended),
        Request::CampaignClose { .. } => refused(Code::CampaignClosedNow),
        Request::CampaignSetLimit { limit, expected, .. } => {
            refused(if expected.is_some_and(|expected| expected.get() != campaign.limit) {
                Code::LimitNotAsExpected
            } else if limit.get() < issued {
                Code::LimitBelowIssued
            } else if campaign.codes.is_some() && limit.get() > campaign.codes_count {
                Code::LimitAboveCodes
            } else {
                Code::LimitSet
            })
        }
        Request::Redeem { quantity, .. } => {
            let quantity = quantity.get();
            let sum = issued.saturating_add(quantity);
            if campaign.codes.is_some() && quantity != 1 {
                refused(Code::QuantityOutOfRange)
            } else if campaign.closed || campaign.closes_at_ms.is_some_and(|closes| at_ms >= closes) {
                refused(Code::Ended)
            } else if campaign.opens_at_ms.is_some_and(|opens| at_ms < opens) {
                refused(Code::NotStarted)
            } else if sum > campaign.limit {
                refused(Code::CampaignLimitReached)
            } else if campaign.per_customer.is_some_and(|most| quantity > most) {
                refused(Code::CustomerLimitReached)
            } else {
                // Nobody can hold more than was issued; who holds how much is not known here.
                let is_possible = campaign.per_customer.is_some_and(|most| sum > most);
                let or = is_possible.then_some(Code::CustomerLimitReached);
                Decision { code: Code::Redeemed, after: Some(sum), or }
            }
        }
        // Requests for accounts do not come here: the resource says where a line goes.
        _ => refused(Code::CorruptState),
    }
}

fn decide_account(account: Option<&Account>, request: &Request) -> Decision {
    let Some(account) = account else {
        return match request {
            Request::AccountOpen { balance, .. } => Decision::new(Code::AccountOpened, Some(balance.minor())),
            _ => Decision::new(Code::AccountNotFound, None),
        };
    };
    let available = account.available;
    let refused = |code| Decision::new(code, Some(available));
    match request {
        Request::AccountOpen { .. } => refused(Code::AccountExists),
        // An amount of nothing is never decided.
        Request::Withdraw { amount, .. }
        | Request::Payout { amount, .. }
        | Request::Deposit { amount, .. }
            if amount.minor() == 0 =>
        {
            refused(Code::AmountZero)
        }
        _ if account.closed => refused(Code::AccountClosed),
        Request::AccountClose { .. } if available > 0 || account.held > 0 => refused(Code::AccountNotEmpty),
        Request::AccountClose { .. } => refused(Code::AccountClosedNow),
        Request::Withdraw { currency, .. }
        | Request::Payout { currency, .. }
        | Request::Deposit { currency, .. }
            if currency.code() != account.currency =>
        {
            refused(Code::CurrencyMismatch)
        }
        Request::Withdraw { amount, .. } | Request::Payout { amount, .. } => {
            let code = match request {
                Request::Payout { .. } => Code::Held,
                _ => Code::Withdrawn,
            };
            match available.checked_sub(amount.minor()) {
                Some(rest) => Decision::new(code, Some(rest)),
                None => refused(Code::InsufficientFunds),
            }
        }
        Request::Deposit { amount, .. } => {
            let more = available.saturating_add(amount.minor());
            if more.saturating_add(account.held) <= NUMBER_MAX {
                Decision::new(Code::Deposited, Some(more))
            } else {
                refused(Code::BalanceLimitReached)
            }
        }
        _ => refused(Code::CorruptState),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Entry;

    /// Applies lines that all belong to one entry; answers the seqs of those that the model contradicts.
    fn contradicted(model: &mut Model, lines: &[&str]) -> Vec<u64> {
        let text = lines.join("\n").replace(' ', "\t");
        let (by, hash, overtaken_text) = Default::default();
        let entry = Entry {
            seq_last: lines.len() as u64,
            at_ms: 1_000,
            by,
            text,
            hash,
            overtaken_text,
            note: None,
            part: 0,
        };
        let lines = entry.lines().unwrap();
        lines.iter().filter(|line| model.apply(line, |_| 1).is_some()).map(|line| line.seq).collect()
    }

    #[test]
    fn a_sound_history_is_not_contradicted() {
        let lines = [
            "c0 redeem campaign_not_found s x 1 ",
            "c1 campaign_create campaign_created s 3 2    0",
            "c2 campaign_create campaign_exists s 3 2    0",
            "r1 redeem redeemed s x 2 2",
            "r2 redeem customer_limit_reached s x 1 2",
            "r3 redeem redeemed s y 1 3",
            "r4 redeem campaign_limit_reached s z 1 3",
            "l1 campaign_set_limit limit_below_issued s 2  3",
            "l2 campaign_set_limit limit_not_as_expected s 9 4 3",
            "l3 campaign_set_limit limit_set s 9 3 3",
            "k1 campaign_close campaign_closed_now s 3",
            "r5 redeem ended s z 1 3",
            "r6 redeem cancelled s z 1 3",
            "r7 redeem cancelled t z 1 ",
            "k2 campaign_close ended s 3",
            "w0 withdraw account_not_found a 1 USD ",
            "a1 account_open account_opened a 10 USD 10",
            "a2 account_open account_exists a 10 USD 10",
            "w1 withdraw withdrawn a 4 USD 6",
            "w2 withdraw insufficient_funds a 7 USD 6",
            "w3 withdraw currency_mismatch a 1 EUR 6",
            "w5 withdraw cancelled a 1 EUR 6",
            "p5 payout cancelled a 1 USD bank 6",
            "d1 deposit deposited a 1 USD 7",
            "d2 deposit balance_limit_reached a 9007199254740991 USD 7",
            "z1 account_close account_not_empty a 7",
            "w4 withdraw withdrawn a 7 USD 0",
            "z2 account_close account_closed_now a 0",
            "d3 deposit account_closed a 1 USD 0",
        ];
        let mut model = Model::default();
        assert_eq!(contradicted(&mut model, &lines), [] as [u64; 0]);
        let campaign = &model.campaigns[&CampaignId::parse("s").unwrap()];
        assert_eq!((campaign.issued, campaign.holders, campaign.seq), (3, 3, 11));
        assert_eq!(model.accounts[&AccountId::parse("a").unwrap()].fields()[0], "0");
    }

    #[test]
    fn each_line_that_cannot_be_is_contradicted_once() {
        for (line, next) in [
            ("r1 redeem redeemed s x 4 4", "r2 redeem campaign_limit_reached s y 1 4"),
            ("r1 redeem redeemed s x 1 2", "r2 redeem redeemed s y 1 3"),
            ("r1 redeem campaign_limit_reached s x 1 0", "r2 redeem redeemed s y 1 1"),
            ("r1 redeem customer_limit_reached s x 1 0", "r2 redeem redeemed s y 1 1"),
            ("r1 redeem redeemed s x 3 3", "l1 campaign_set_limit limit_set s 4  3"),
            ("r1 redeem ended s x 1 0", "r2 redeem redeemed s y 1 1"),
            ("w1 withdraw withdrawn a 11 USD 0", "w2 withdraw insufficient_funds a 1 USD 0"),
            ("w1 withdraw withdrawn a 4 USD 5", "w2 withdraw withdrawn a 5 USD 0"),
            ("w1 withdraw withdrawn a 4 EUR 6", "w2 withdraw withdrawn a 6 USD 0"),
            ("w1 withdraw insufficient_funds a 4 USD 10", "w2 withdraw withdrawn a 10 USD 0"),
            ("r1 redeem cancelled s x 1 1", "r2 redeem redeemed s y 1 1"),
            ("w1 withdraw cancelled a 4 USD 6", "w2 withdraw withdrawn a 10 USD 0"),
            ("d1 deposit cancelled a 1 USD 10", "w2 withdraw withdrawn a 10 USD 0"),
            ("d1 deposit deposited a 0 USD 10", "w2 withdraw withdrawn a 10 USD 0"),
            ("a2 account_open account_opened a 99 USD 99", "w2 withdraw withdrawn a 99 USD 0"),
            ("z1 account_close account_closed_now a 10", "w2 withdraw account_closed a 1 USD 10"),
        ] {
            let lines = [
                "c1 campaign_create campaign_created s 3 2    0",
                "a1 account_open account_opened a 10 USD 10",
                line,
                next,
            ];
            assert_eq!(contradicted(&mut Model::default(), &lines), [3], "{line}");
        }
    }

    #[test]
    fn windows_are_judged_by_the_time_of_the_line() {
        for (opens, closes, code, issued) in [
            ("", "", "redeemed", 1),
            ("1001", "", "not_started", 0),
            ("1000", "1001", "redeemed", 1),
            ("1", "1000", "ended", 0),
        ] {
            let create = format!("c campaign_create campaign_created s 3  {opens} {closes}  0");
            let redeem = format!("r redeem {code} s x 1 {issued}");
            assert_eq!(contradicted(&mut Model::default(), &[&create, &redeem]), [] as [u64; 0], "{code}");
        }
    }

    #[test]
    fn a_hold_is_resolved_once() {
        let sound = [
            "a account_open account_opened a 10 USD 10",
            "p payout held a 4 USD iban 6",
            "z account_close account_not_empty a 6",
            "p payout_begin paying a 1 7 g k 6",
            "p payout_begin paying a 2 8 g k 6",
            "p payout_refuse needs_review a 8 no 6",
        ];
        let mut model = Model::default();
        assert_eq!(contradicted(&mut model, &sound), [] as [u64; 0]);
        assert_eq!(model.holds[&JobId::parse("p").unwrap()].fields()[6..9], ["2", "1", "8"]);
        for (end, wrong) in [
            ("p payout_post paid a operator why 6", "p payout_void payout_voided a operator why 10"),
            ("p payout_void payout_voided a operator why 10", "p payout_post paid a gateway ok 10"),
        ] {
            let lines: Vec<&str> = sound.iter().copied().chain([end, wrong]).collect();
            assert_eq!(contradicted(&mut Model::default(), &lines), [8], "{wrong}");
        }
        // What was never sent is as if it had never begun.
        let taken_back = [
            "p payout_not_sent paying a 8 no 6",
            "p payout_begin paying a 2 9 g k 6",
            "p payout_not_sent paying a 9 no 6",
        ];
        let lines: Vec<&str> = sound[..5].iter().copied().chain(taken_back).collect();
        assert_eq!(contradicted(&mut Model::default(), &lines), [] as [u64; 0]);
        for wrong in [
            "p payout_not_sent paying a 9 no 6",
            "p payout_refuse needs_review a 9 no 6",
            "p payout_review needs_review a 9 no 6",
            "p payout_begin paying a 3 10 g k 6",
            "p payout_begin paying a 2 10 other k 6",
        ] {
            let lines: Vec<&str> = lines.iter().copied().chain([wrong]).collect();
            assert_eq!(contradicted(&mut Model::default(), &lines), [9], "{wrong}");
        }
        let lines: Vec<&str> =
            sound[..4].iter().copied().chain(["p payout_not_sent held a 7 no 6"]).collect();
        let other = "p payout_begin paying a 1 8 other key 6";
        let lines: Vec<&str> = lines.into_iter().chain([other]).collect();
        assert_eq!(contradicted(&mut Model::default(), &lines), [] as [u64; 0]);
        for wrong in ["p payout_begin paying a 3 9 other k 6", "p payout_begin paying a 3 9 g other 6"] {
            let lines: Vec<&str> = sound[..5].iter().copied().chain([wrong]).collect();
            assert_eq!(contradicted(&mut Model::default(), &lines), [6], "{wrong}");
        }
        for wrong in [
            "p payout_begin paying a 3 9 g k 6",
            "p payout_refuse payout_refused a 8 no 10",
            "p payout_void payout_voided a expiry why 10",
            "p payout_void payout_voided a operator why 6",
            "p payout_post paid a gateway ok 10",
        ] {
            let lines: Vec<&str> = sound.iter().copied().chain([wrong]).collect();
            assert_eq!(contradicted(&mut Model::default(), &lines), [7], "{wrong}");
        }
    }
}
