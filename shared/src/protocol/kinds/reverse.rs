//! Coupons that are void.

use super::shape::kind;
use crate::protocol::ids::{CampaignId, CustomerId, JobId};
use crate::protocol::quantity::Quantity;

kind! {
    /// Takes a redemption back, all of it: its coupons are void, and the campaign has so many more to issue.
    Reverse {
        /// Of which campaign.
        campaign: CampaignId,
        /// Whose redemption it was.
        customer: CustomerId,
        /// How many coupons it was.
        quantity: Quantity = Quantity::ONE,
        /// The redemption.
        of: JobId,
        /// Whether the code that it was handed is handed out again, to whoever redeems next.
        reissue_code: bool = false,
    }
    after "of_seq" "held" "issued"; rarely "code_number"
}
