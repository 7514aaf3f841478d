//! The rule of `account_close`.

use tollgate::code::Code;
use tollgate::journal::Line;
use tollgate::kinds::AccountClose;

use super::rule::{Decision, Rule, Weight};
use crate::model::Model;

impl Rule for AccountClose {
    fn decide(&self, model: &Model, _: &Line) -> Option<Decision> {
        let Some(account) = model.known_account(&self.account)? else {
            return Some(Decision::new(Code::AccountNotFound, None));
        };
        let code = if account.closed {
            Code::AccountClosed
        } else if account.available > 0 || account.held > 0 {
            Code::AccountNotEmpty
        } else {
            Code::Closed
        };
        Some(Decision::new(code, Some(account.available)))
    }

    fn take_over(&self, model: &mut Model, line: &Line, _: Weight<'_>) {
        if line.code == Code::Closed {
            model.changed_account(&self.account, line).closed = true;
        }
    }
}
