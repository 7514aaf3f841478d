//! The rule of `transfer`: of the two accounts that it names, the first pays.

use tollgate::amount::NUMBER_MAX;
use tollgate::code::Code;
use tollgate::journal::Line;
use tollgate::kinds::Transfer;

use super::rule::{Decision, Rule, Weight};
use crate::model::{Account, Model};

/// Both accounts; `None` where the journal does not have the beginning of one, `None` within if one does not exist.
fn both<'a>(request: &Transfer, model: &'a Model) -> Option<Option<(&'a Account, &'a Account)>> {
    Some(model.known_account(&request.from)?.zip(model.known_account(&request.to)?))
}

/// What the line shows of both.
fn left(to: u64, from: u64) -> Vec<u64> {
    vec![to, from]
}

impl Rule for Transfer {
    fn decide(&self, model: &Model, _: &Line) -> Option<Decision> {
        let Some((from, to)) = both(self, model)? else {
            return Some(Decision::new(Code::AccountNotFound, None));
        };
        let amount = self.amount.minor();
        let refusals = [from, to].map(|account| account.refusal(self.amount, self.currency));
        let more = to.available.saturating_add(amount);
        let (code, after) = match (refusals.into_iter().flatten().min(), from.available.checked_sub(amount)) {
            (Some(code), _) => (code, None),
            (None, None) => (Code::InsufficientFunds, None),
            (None, Some(_)) if more.saturating_add(to.held) > NUMBER_MAX => (Code::BalanceLimitReached, None),
            (None, Some(rest)) => (Code::Transferred, Some(left(more, rest))),
        };
        Some(Decision::of(code, after.unwrap_or_else(|| left(to.available, from.available))))
    }

    fn cancelled(&self, model: &Model, _: &Line) -> Option<Decision> {
        let after = both(self, model)?.map(|(from, to)| left(to.available, from.available));
        Some(Decision::of(Code::Cancelled, after.unwrap_or_default()))
    }

    fn take_over(&self, model: &mut Model, line: &Line, _: Weight<'_>) {
        if line.code == Code::Transferred {
            model.changed_account(&self.from, line);
            model.changed_account(&self.to, line).available = line.after("to_available").unwrap_or_default();
        }
    }
}
