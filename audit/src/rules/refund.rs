//! The rule of `refund`. Whose the original was and how much, its own line says: see [`given_back`](crate::given_back).

use tollgate::amount::NUMBER_MAX;
use tollgate::code::Code;
use tollgate::journal::Line;
use tollgate::kinds::Refund;

use super::rule::{Decision, Rule, Weight};
use crate::model::Model;

impl Rule for Refund {
    fn decide(&self, model: &Model, line: &Line) -> Option<Decision> {
        let account = model.known_account(&self.account)??;
        let (amount, before) = (self.amount.minor(), model.given_back(&self.of));
        let more = account.available.saturating_add(amount);
        let (code, refunded, available) = if account.closed {
            (Code::AccountClosed, before, account.available)
        } else if more.saturating_add(account.held) > NUMBER_MAX {
            (Code::BalanceLimitReached, before, account.available)
        } else if line.code == Code::RefundExceeds {
            (Code::RefundExceeds, before, account.available)
        } else {
            (Code::Refunded, before.saturating_add(amount), more)
        };
        Some(Decision::of(code, vec![line.after("of_seq").unwrap_or_default(), refunded, available]))
    }

    fn take_over(&self, model: &mut Model, line: &Line, _: Weight<'_>) {
        if line.code == Code::Refunded {
            model.given_back.insert(self.of.clone(), line.after("refunded").unwrap_or_default());
            model.changed_account(&self.account, line);
        }
    }
}
