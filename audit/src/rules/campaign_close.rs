//! The rule of `campaign_close`.

use tollgate::code::Code;
use tollgate::journal::Line;
use tollgate::kinds::CampaignClose;

use super::rule::{Decision, Rule, Weight};
use crate::model::Model;

impl Rule for CampaignClose {
    fn decide(&self, model: &Model, _: &Line) -> Option<Decision> {
        let Some(campaign) = model.known_campaign(&self.campaign)? else {
            return Some(Decision::new(Code::CampaignNotFound, None));
        };
        let code = if campaign.closed { Code::Ended } else { Code::Closed };
        Some(Decision::new(code, Some(campaign.issued)))
    }

    fn take_over(&self, model: &mut Model, line: &Line, _: Weight<'_>) {
        if line.code == Code::Closed {
            model.changed_campaign(&self.campaign, line).closed = true;
        }
    }
}
