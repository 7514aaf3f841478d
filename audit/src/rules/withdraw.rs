//! The rule of `withdraw`.

use tollgate::code::Code;
use tollgate::journal::Line;
use tollgate::kinds::Withdraw;

use super::rule::{Decision, Rule, Weight};
use crate::model::Model;

impl Rule for Withdraw {
    fn decide(&self, model: &Model, _: &Line) -> Option<Decision> {
        let Some(account) = model.known_account(&self.account)? else {
            return Some(Decision::new(Code::AccountNotFound, None));
        };
        Some(account.spend(self.amount, self.currency, Code::Withdrawn))
    }

    fn take_over(&self, model: &mut Model, line: &Line, _: Weight<'_>) {
        if line.code == Code::Withdrawn {
            model.changed_account(&self.account, line);
        }
    }
}
