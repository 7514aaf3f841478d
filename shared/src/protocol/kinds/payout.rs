//! Money that leaves Redis.

use super::shape::kind;
use crate::protocol::amount::{Amount, Currency};
use crate::protocol::ids::{AccountId, Destination};

kind! {
    /// Puts money of an account on hold, to be paid by a gateway. To whoever sends it, it is a withdrawal with a destination.
    Payout {
        /// From which account.
        account: AccountId,
        /// How much, in minor units; more than nothing.
        amount: Amount,
        /// The account's own currency.
        currency: Currency = Currency::default(),
        /// Where it goes, in the gateway's words.
        destination: Destination,
    }
    after "available"
    holds true
    check |request| request.amount.positive("amount").map(drop)
}
