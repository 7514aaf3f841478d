//! An attempt that never left.

use super::shape::kind;
use crate::protocol::ids::AccountId;

kind! {
    /// The attempt of this fence has sent nothing: its begin is taken back.
    PayoutNotSent {
        /// Whose money it is.
        account: AccountId,
        /// The attempt's fence.
        fence: u64,
        /// Why no connection came about.
        note: String,
    }
    after "available"
}
