//! Money that comes back.

use super::shape::kind;
use crate::protocol::amount::Amount;
use crate::protocol::ids::{AccountId, JobId};

kind! {
    /// Puts back on the account what a withdrawal or a payout took from it, or a part of that.
    Refund {
        /// Whose money it was.
        account: AccountId,
        /// The withdrawal, or the payout.
        of: JobId,
        /// How much of it, in minor units of the account's currency; more than nothing.
        amount: Amount,
    }
    after "of_seq" "refunded" "available"
    check |request| request.amount.positive("amount").map(drop)
}
