//! What the steps of a payout have in common.
//!
//! Leases and expiry are not in the journal, nor is what a retry rule said: what they forbid is not seen here.

use tollgate::code::Code;
use tollgate::ids::AccountId;
use tollgate::journal::Line;

use super::rule::Decision;
use crate::model::{Hold, Model};

/// What a step comes to.
pub(super) enum StepResult {
    /// The money stays on hold, or has left.
    Stays(Code),
    /// The money goes back to the account.
    GoesBack(Code),
}

/// What a step of an open payout must have answered; `PayoutNotOpen` if it has ended, or never was.
pub(super) fn decide(
    model: &Model,
    line: &Line,
    account: &AccountId,
    of_hold: impl FnOnce(&Hold) -> StepResult,
) -> Option<Decision> {
    decide_or(model, line, account, Code::PayoutNotOpen, of_hold)
}

/// The same, with `ended` as the answer where there is no such payout.
pub(super) fn decide_or(
    model: &Model,
    line: &Line,
    account: &AccountId,
    ended: Code,
    of_hold: impl FnOnce(&Hold) -> StepResult,
) -> Option<Decision> {
    let available = model.known_account(account)?.map(|account| account.available);
    Some(match model.holds.get(&line.id).map(|hold| (of_hold(hold), hold.amount)) {
        None => Decision::new(ended, available),
        Some((StepResult::Stays(code), _)) => Decision::new(code, available),
        Some((StepResult::GoesBack(code), amount)) => {
            Decision::new(code, available.map(|money| money.saturating_add(amount)))
        }
    })
}

/// Takes over what a step says it did: `change` of the hold if the payout is still open, else its end.
pub(super) fn take_over(model: &mut Model, line: &Line, account: &AccountId, change: impl FnOnce(&mut Hold)) {
    match line.code {
        Code::Held | Code::Paying | Code::NeedsReview => {
            let Some(hold) = model.holds.get_mut(&line.id) else { return };
            change(hold);
            (hold.state, hold.since_ms, hold.seq) = (line.code, line.at_ms, line.seq);
        }
        Code::Paid | Code::PayoutRefused | Code::PayoutVoided => {
            let Some(hold) = model.holds.remove(&line.id) else { return };
            let account = model.changed_account(account, line);
            account.held = account.held.saturating_sub(hold.amount);
        }
        // Paid after the money had gone back: an alarm, but no change.
        _ => {}
    }
}
