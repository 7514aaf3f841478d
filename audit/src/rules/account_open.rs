//! The rule of `account_open`.

use tollgate::code::Code;
use tollgate::journal::Line;
use tollgate::kinds::AccountOpen;

use super::rule::{Decision, Rule, Weight};
use crate::model::{Account, Model};

impl Rule for AccountOpen {
    fn decide(&self, model: &Model, _: &Line) -> Option<Decision> {
        Some(match model.known_account(&self.account)? {
            Some(account) => Decision::new(Code::AccountExists, Some(account.available)),
            None => Decision::new(Code::AccountOpened, Some(self.balance.minor())),
        })
    }

    fn take_over(&self, model: &mut Model, line: &Line, _: Weight<'_>) {
        if line.code == Code::AccountOpened {
            let (available, currency) = (line.after("available").unwrap_or_default(), self.currency.code());
            let opened = Account { available, currency, seq: line.seq, ..Account::default() };
            model.accounts.insert(self.account.clone(), opened);
        }
    }
}
