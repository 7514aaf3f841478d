//! The rule of `redeem`; that `customer_limit_reached` was *due* is checked as far as the sum of all holders allows.

use tollgate::code::Code;
use tollgate::journal::Line;
use tollgate::kinds::Redeem;

use super::rule::{Decision, Rule, Weight};
use crate::model::Model;

impl Rule for Redeem {
    fn decide(&self, model: &Model, line: &Line) -> Option<Decision> {
        let Some(campaign) = model.known_campaign(&self.campaign)? else {
            return Some(Decision::new(Code::CampaignNotFound, None));
        };
        let (issued, quantity) = (campaign.issued, self.quantity.get());
        let sum = issued.saturating_add(quantity);
        let refusal = if campaign.codes.is_some() && quantity != 1 {
            Some(Code::QuantityOutOfRange)
        } else if campaign.closed || campaign.closes_at_ms.is_some_and(|closes| line.at_ms >= closes) {
            Some(Code::Ended)
        } else if campaign.opens_at_ms.is_some_and(|opens| line.at_ms < opens) {
            Some(Code::NotStarted)
        } else if sum > campaign.limit {
            Some(Code::CampaignLimitReached)
        } else if campaign.per_customer.is_some_and(|most| quantity > most) {
            Some(Code::CustomerLimitReached)
        } else {
            None
        };
        if let Some(code) = refusal {
            return Some(Decision::new(code, Some(issued)));
        }
        // Nobody can hold more than was issued; who holds how much is not known here.
        let is_possible = campaign.per_customer.is_some_and(|most| sum > most);
        let or = is_possible.then_some(Code::CustomerLimitReached);
        Some(Decision { code: Code::Redeemed, after: Some(sum), or })
    }

    fn take_over(&self, model: &mut Model, line: &Line, weight: Weight<'_>) {
        if line.code != Code::Redeemed {
            return;
        }
        let campaign = model.changed_campaign(&self.campaign, line);
        let share = u128::from(self.quantity.get()).wrapping_mul(weight(self.customer.as_str()));
        campaign.holders = campaign.holders.wrapping_add(share);
    }
}
