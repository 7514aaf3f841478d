//! A campaign, from nothing.

use super::shape::kind;
use super::window::check_window;
use crate::protocol::codes_name::CodesName;
use crate::protocol::ids::CampaignId;
use crate::protocol::instant::Instant;
use crate::protocol::quantity::{Limit, Quantity};

kind! {
    /// Creates a campaign.
    CampaignCreate {
        /// Its name.
        campaign: CampaignId,
        /// How much it may issue in all.
        limit: Limit,
        /// How much one customer may redeem; no bound if absent.
        per_customer: Option<Quantity>,
        /// The first instant at which it issues.
        opens_at: Option<Instant>,
        /// The first instant at which it no longer issues.
        closes_at: Option<Instant>,
        /// The uploaded codes of which each redemption takes one.
        codes: Option<CodesName>,
    }
    after "issued"
    check |request| check_window(request.opens_at, request.closes_at)
}

impl CampaignCreate {
    /// A campaign that issues up to `limit`, at any time and to anybody.
    pub fn new(campaign: CampaignId, limit: Limit) -> Self {
        Self { campaign, limit, per_customer: None, opens_at: None, closes_at: None, codes: None }
    }
}
