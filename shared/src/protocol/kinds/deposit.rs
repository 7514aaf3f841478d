//! Money that comes in.

use super::shape::kind;
use crate::protocol::amount::{Amount, Currency};
use crate::protocol::ids::AccountId;

kind! {
    /// Adds money to an account.
    Deposit {
        /// To which account.
        account: AccountId,
        /// How much, in minor units; more than nothing.
        amount: Amount,
        /// The account's own currency.
        currency: Currency = Currency::default(),
    }
    after "available"
    check |request| request.amount.positive("amount").map(drop)
}
