//! A payout that was given up.

use super::shape::kind;
use crate::protocol::ids::AccountId;

kind! {
    /// The money goes back.
    PayoutVoid {
        /// Whose money it is.
        account: AccountId,
        /// Who says so: `operator` or `expiry`.
        source: String,
        /// The operator's reason.
        note: String,
    }
    after "available"
}
