//! A payout that was paid.

use super::shape::kind;
use crate::protocol::ids::AccountId;

kind! {
    /// Proof of payment arrived.
    PayoutPost {
        /// Whose money it is.
        account: AccountId,
        /// Who says so: `gateway` or `operator`.
        source: String,
        /// The gateway's words, or the operator's reason.
        note: String,
    }
    after "spent" "available"
}
