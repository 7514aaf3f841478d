//! An attempt that a person has to judge.

use super::shape::kind;
use crate::protocol::ids::AccountId;

kind! {
    /// The attempt of this fence got an answer that only a person can judge.
    PayoutReview {
        /// Whose money it is.
        account: AccountId,
        /// The attempt's fence.
        fence: u64,
        /// The gateway's words.
        note: String,
    }
    after "available"
}
