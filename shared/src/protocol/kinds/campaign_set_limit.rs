//! More coupons, or fewer.

use super::shape::kind;
use crate::protocol::ids::CampaignId;
use crate::protocol::quantity::Limit;

kind! {
    /// Changes how much a campaign may issue.
    CampaignSetLimit {
        /// Which campaign.
        campaign: CampaignId,
        /// How much from now on; at least what it has issued.
        limit: Limit,
        /// Only if its limit is this now.
        expected: Option<Limit>,
    }
    after "issued"
}
