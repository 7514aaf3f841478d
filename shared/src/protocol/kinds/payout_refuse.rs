//! An attempt that the gateway refused.

use super::shape::kind;
use crate::protocol::ids::AccountId;

kind! {
    /// The gateway refused the attempt of this fence.
    PayoutRefuse {
        /// Whose money it is.
        account: AccountId,
        /// The attempt's fence.
        fence: u64,
        /// The gateway's words.
        note: String,
    }
    after "available"
}
