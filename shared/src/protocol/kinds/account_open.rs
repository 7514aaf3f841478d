//! An account, from nothing.

use super::shape::kind;
use crate::protocol::amount::{Amount, Currency};
use crate::protocol::ids::AccountId;

kind! {
    /// Opens an account.
    AccountOpen {
        /// Its name.
        account: AccountId,
        /// What it begins with, in minor units.
        balance: Amount,
        /// Its currency, for ever.
        currency: Currency = Currency::default(),
    }
    after "available"
}
