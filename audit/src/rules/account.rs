//! What the kinds that move an account's money have in common.

use tollgate::amount::{Amount, Currency};
use tollgate::code::Code;

use super::rule::Decision;
use crate::model::Account;

impl Account {
    /// Why no such amount may be moved, in the order of the codes.
    pub(super) fn refusal(&self, amount: Amount, currency: Currency) -> Option<Code> {
        // An amount of nothing is never decided.
        if amount.minor() == 0 {
            Some(Code::AmountZero)
        } else if self.closed {
            Some(Code::AccountClosed)
        } else if currency.code() != self.currency {
            Some(Code::CurrencyMismatch)
        } else {
            None
        }
    }

    /// Takes an amount from what is available; `spent` is the code if it may.
    pub(super) fn spend(&self, amount: Amount, currency: Currency, spent: Code) -> Decision {
        let refusal = self.refusal(amount, currency);
        match (refusal, self.available.checked_sub(amount.minor())) {
            (Some(code), _) => Decision::new(code, Some(self.available)),
            (None, None) => Decision::new(Code::InsufficientFunds, Some(self.available)),
            (None, Some(rest)) => Decision::new(spent, Some(rest)),
        }
    }
}
