//! The end of an account.

use super::shape::kind;
use crate::ids::AccountId;

kind! {
    /// Closes an account that is empty.
    AccountClose {
        /// Which.
        account: AccountId,
    }
}
