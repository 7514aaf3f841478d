//! The rule of `deposit`.

use tollgate::amount::NUMBER_MAX;
use tollgate::code::Code;
use tollgate::journal::Line;
use tollgate::kinds::Deposit;

use super::rule::{Decision, Rule, Weight};
use crate::model::Model;

impl Rule for Deposit {
    fn decide(&self, model: &Model, _: &Line) -> Option<Decision> {
        let Some(account) = model.known_account(&self.account)? else {
            return Some(Decision::new(Code::AccountNotFound, None));
        };
        let more = account.available.saturating_add(self.amount.minor());
        Some(match account.refusal(self.amount, self.currency) {
            Some(code) => Decision::new(code, Some(account.available)),
            None if more.saturating_add(account.held) > NUMBER_MAX => {
                Decision::new(Code::BalanceLimitReached, Some(account.available))
            }
            None => Decision::new(Code::Deposited, Some(more)),
        })
    }

    fn take_over(&self, model: &mut Model, line: &Line, _: Weight<'_>) {
        if line.code == Code::Deposited {
            model.changed_account(&self.account, line);
        }
    }
}
