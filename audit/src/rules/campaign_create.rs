//! The rule of `campaign_create`.

use tollgate::code::Code;
use tollgate::journal::Line;
use tollgate::kinds::CampaignCreate;

use super::rule::{Decision, Rule, Weight};
use crate::model::{Campaign, Model};

impl Rule for CampaignCreate {
    fn decide(&self, model: &Model, _: &Line) -> Option<Decision> {
        Some(match model.known_campaign(&self.campaign)? {
            Some(campaign) => Decision::new(Code::CampaignExists, Some(campaign.issued)),
            None => Decision::new(Code::CampaignCreated, Some(0)),
        })
    }

    fn take_over(&self, model: &mut Model, line: &Line, _: Weight<'_>) {
        if line.code != Code::CampaignCreated {
            return;
        }
        let campaign = Campaign {
            limit: self.limit.get(),
            issued: line.after("issued").unwrap_or_default(),
            per_customer: self.per_customer.map(|most| most.get()),
            opens_at_ms: self.opens_at.map(|at| at.ms()),
            closes_at_ms: self.closes_at.map(|at| at.ms()),
            codes_count: if self.codes.is_some() { self.limit.get() } else { 0 },
            codes: self.codes.clone(),
            seq: line.seq,
            ..Campaign::default()
        };
        model.campaigns.insert(self.campaign.clone(), campaign);
    }
}
