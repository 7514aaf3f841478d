//! The end of a campaign.

use super::shape::kind;
use crate::protocol::ids::CampaignId;

kind! {
    /// Ends a campaign before its time.
    CampaignClose {
        /// Which.
        campaign: CampaignId,
    }
    after "issued"
}
