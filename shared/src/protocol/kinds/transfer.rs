//! Money that goes from one account to another.

use super::shape::kind;
use crate::protocol::amount::{Amount, Currency};
use crate::protocol::code::Code;
use crate::protocol::ids::AccountId;
use crate::protocol::input::InputError;

kind! {
    /// Takes money from one account and puts it on another, in one step. Both lie in one partition.
    Transfer {
        /// From which account.
        from: AccountId,
        /// To which other one.
        to: AccountId,
        /// How much, in minor units; more than nothing.
        amount: Amount,
        /// Both accounts' own currency.
        currency: Currency = Currency::default(),
    }
    after "to_available" "available"
    also to
    check |request| {
        request.amount.positive("amount")?;
        if request.from != request.to {
            return Ok(());
        }
        Err(InputError::new(Code::SameAccount, "to", request.to.as_str(), "another account than from"))
    }
}
