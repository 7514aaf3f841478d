//! The end of an account.

use super::shape::kind;
use crate::protocol::ids::AccountId;

kind! {
    /// Closes an account that is empty.
    AccountClose {
        /// Which.
        account: AccountId,
    }
    after "available"
}
