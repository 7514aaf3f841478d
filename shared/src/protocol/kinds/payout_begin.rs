//! An attempt at a payout.

use super::shape::kind;
use crate::protocol::ids::AccountId;

kind! {
    /// An attempt to pay began, or would have, had the retry rule allowed it.
    PayoutBegin {
        /// Whose money it is.
        account: AccountId,
        /// How many attempts have begun.
        attempt: u64,
        /// The fence of the latest.
        fence: u64,
        /// The name of the gateway that it goes, or went, to.
        gateway: String,
        /// Under which key.
        idempotency_key: String,
    }
    after "available"
}
