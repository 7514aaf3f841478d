//! Coupons.

use super::shape::kind;
use crate::protocol::ids::{CampaignId, CustomerId};
use crate::protocol::quantity::Quantity;

kind! {
    /// Takes coupons of a campaign for a customer.
    Redeem {
        /// Of which campaign.
        campaign: CampaignId,
        /// For whom.
        customer: CustomerId,
        /// How many.
        quantity: Quantity = Quantity::ONE,
    }
    after "held" "issued"; rarely "code_number"
}
