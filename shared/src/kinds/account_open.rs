//! An account, from nothing.

use super::shape::kind;
use crate::amount::{Amount, Currency};
use crate::ids::AccountId;

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
}
