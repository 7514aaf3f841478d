//! The rule of `campaign_set_limit`.

use tollgate::code::Code;
use tollgate::journal::Line;
use tollgate::kinds::CampaignSetLimit;

use super::rule::{Decision, Rule, Weight};
use crate::model::Model;

impl Rule for CampaignSetLimit {
    fn decide(&self, model: &Model, _: &Line) -> Option<Decision> {
        let Some(campaign) = model.known_campaign(&self.campaign)? else {
            return Some(Decision::new(Code::CampaignNotFound, None));
        };
        let limit = self.limit.get();
        let code = if self.expected.is_some_and(|expected| expected.get() != campaign.limit) {
            Code::LimitNotAsExpected
        } else if limit < campaign.issued {
            Code::LimitBelowIssued
        } else if campaign.codes.is_some() && limit > campaign.codes_count {
            Code::LimitAboveCodes
        } else {
            Code::LimitSet
        };
        Some(Decision::new(code, Some(campaign.issued)))
    }

    fn take_over(&self, model: &mut Model, line: &Line, _: Weight<'_>) {
        if line.code == Code::LimitSet {
            model.changed_campaign(&self.campaign, line).limit = self.limit.get();
        }
    }
}
