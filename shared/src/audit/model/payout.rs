//! Payouts in the model: a hold from its line to the step that ends it, exactly once.
//!
//! Leases and expiry are not in the journal, nor is what a retry rule said: what they forbid is not seen here.

use crate::code::Code;
use crate::fingerprint::Fingerprint;
use crate::ids::{AccountId, Destination};
use crate::job::PayoutStep;
use crate::journal::Line;

use super::{Account, Decision, Model, digits};

/// The fields of a hold's key that follow from the journal, in the order of [`Hold::fields`].
pub(in crate::audit) const HOLD_FIELDS: [&str; 14] = [
    "account",
    "amount",
    "currency",
    "destination",
    "fingerprint",
    "state",
    "attempts",
    "refused",
    "fence",
    "first_begin_at_ms",
    "gateway",
    "idempotency_key",
    "since_ms",
    "seq",
];

/// An open payout after the lines so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::audit) struct Hold {
    pub(in crate::audit) account: AccountId,
    pub(in crate::audit) amount: u64,
    pub(in crate::audit) currency: &'static str,
    pub(in crate::audit) destination: Destination,
    /// Of the job: its receipt keeps it through all steps.
    pub(in crate::audit) fingerprint: Fingerprint,
    /// `held`, `paying` or `needs_review`.
    pub(in crate::audit) state: Code,
    pub(in crate::audit) attempts: u64,
    pub(in crate::audit) refused: u64,
    pub(in crate::audit) fence: u64,
    pub(in crate::audit) first_begin_at_ms: Option<u64>,
    /// Where its attempts went, and under which key; empty before the first.
    pub(in crate::audit) gateway: String,
    pub(in crate::audit) idempotency_key: String,
    pub(in crate::audit) since_ms: u64,
    /// The latest attempt has sent nothing.
    pub(in crate::audit) taken_back: bool,
    /// Of its last change.
    pub(in crate::audit) seq: u64,
}

impl Hold {
    /// What its key must hold, in the order of [`HOLD_FIELDS`].
    pub(in crate::audit) fn fields(&self) -> [String; 14] {
        [
            self.account.to_string(),
            self.amount.to_string(),
            self.currency.to_owned(),
            self.destination.to_string(),
            self.fingerprint.to_string(),
            self.state.to_string(),
            self.attempts.to_string(),
            self.refused.to_string(),
            self.fence.to_string(),
            digits(self.first_begin_at_ms),
            self.gateway.clone(),
            self.idempotency_key.clone(),
            self.since_ms.to_string(),
            self.seq.to_string(),
        ]
    }
}

impl Hold {
    /// Whether the attempt of this fence is the latest, and may have been sent.
    fn is_current(&self, fence: u64) -> bool {
        self.state == Code::Paying && self.fence == fence && !self.taken_back
    }

    /// The latest attempt has sent nothing; without an earlier one the payout is as it was before the first.
    fn take_back(&mut self) {
        (self.attempts, self.taken_back) = (self.attempts.saturating_sub(1), true);
        if self.attempts == 0 {
            self.first_begin_at_ms = None;
            self.gateway.clear();
            self.idempotency_key.clear();
        }
    }
}

impl Model {
    /// Takes over what a step says it did.
    pub(super) fn take_over_step(&mut self, line: &Line, account: &AccountId, step: &PayoutStep) {
        match line.code {
            Code::Held | Code::Paying | Code::NeedsReview => {
                let Some(hold) = self.holds.get_mut(&line.id) else { return };
                match step {
                    PayoutStep::Begin { attempt, fence, gateway, idempotency_key } => {
                        (hold.gateway, hold.idempotency_key) = (gateway.clone(), idempotency_key.clone());
                        (hold.attempts, hold.fence, hold.taken_back) = (*attempt, *fence, false);
                        hold.first_begin_at_ms = hold.first_begin_at_ms.or(Some(line.at_ms));
                    }
                    PayoutStep::Refuse { .. } => hold.refused = hold.refused.saturating_add(1),
                    PayoutStep::NotSent { .. } => hold.take_back(),
                    _ => {}
                }
                (hold.state, hold.since_ms, hold.seq) = (line.code, line.at_ms, line.seq);
            }
            Code::Paid | Code::PayoutRefused | Code::PayoutVoided => {
                let Some(hold) = self.holds.remove(&line.id) else { return };
                let account = self.account(account);
                account.held = account.held.saturating_sub(hold.amount);
                account.available = line.after.unwrap_or_default();
                account.seq = line.seq;
            }
            // Paid after the money had gone back: an alarm, but no change.
            _ => {}
        }
    }
}

/// What a step must have answered.
pub(super) fn decide_step(account: Option<&Account>, hold: Option<&Hold>, step: &PayoutStep) -> Decision {
    let available = account.map(|account| account.available);
    let unchanged = |code| Decision::new(code, available);
    let Some(hold) = hold else {
        // It has ended, or never was. Only proof of payment is still written down then.
        return match step {
            PayoutStep::Post { source, .. } if source == "gateway" => unchanged(Code::PaidAfterVoid),
            _ => unchanged(Code::PayoutNotOpen),
        };
    };
    let returned = |code| Decision::new(code, available.map(|money| money.saturating_add(hold.amount)));
    match step {
        PayoutStep::Begin { .. } if hold.state == Code::NeedsReview => unchanged(Code::PayoutNotOpen),
        // An attempt whose outcome is unknown keeps its gateway and its key.
        PayoutStep::Begin { gateway, idempotency_key, .. }
            if hold.attempts > 0 && (gateway, idempotency_key) != (&hold.gateway, &hold.idempotency_key) =>
        {
            unchanged(Code::Fenced)
        }
        PayoutStep::Begin { attempt, fence, .. } => {
            if (*attempt, *fence) == (hold.attempts, hold.fence) && hold.attempts > 0 {
                unchanged(Code::NeedsReview)
            } else if *attempt == hold.attempts + 1 && *fence > hold.fence {
                unchanged(Code::Paying)
            } else {
                unchanged(Code::Fenced)
            }
        }
        PayoutStep::Post { .. } => unchanged(Code::Paid),
        PayoutStep::Refuse { fence, .. }
        | PayoutStep::Review { fence, .. }
        | PayoutStep::NotSent { fence, .. }
            if !hold.is_current(*fence) =>
        {
            unchanged(Code::Fenced)
        }
        PayoutStep::NotSent { .. } if hold.attempts == 1 => unchanged(Code::Held),
        PayoutStep::NotSent { .. } => unchanged(Code::Paying),
        PayoutStep::Refuse { .. } if hold.refused + 1 == hold.attempts => returned(Code::PayoutRefused),
        PayoutStep::Refuse { .. } | PayoutStep::Review { .. } => unchanged(Code::NeedsReview),
        PayoutStep::Void { source, .. } if source == "expiry" && hold.attempts > 0 => {
            unchanged(Code::HoldNotExpired)
        }
        PayoutStep::Void { .. } => returned(Code::PayoutVoided),
    }
}
