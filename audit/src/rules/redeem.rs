//! The rule of `redeem`: what the customer had is what the line says. That this follows from the lines before it is
//! proved in sum, by [`holders`](crate::holders); of a refused redemption, nothing but that it is no more than was issued.

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
        let had = self.had(line).min(issued);
        let has = had.saturating_add(quantity);
        let refusal = if campaign.codes.is_some() && quantity != 1 {
            Some(Code::QuantityOutOfRange)
        } else if campaign.closed || campaign.closes_at_ms.is_some_and(|closes| line.at_ms >= closes) {
            Some(Code::Ended)
        } else if campaign.opens_at_ms.is_some_and(|opens| line.at_ms < opens) {
            Some(Code::NotStarted)
        } else if sum > campaign.room() {
            Some(Code::CampaignLimitReached)
        } else if campaign.per_customer.is_some_and(|most| has > most) {
            Some(Code::CustomerLimitReached)
        } else {
            None
        };
        Some(match refusal {
            Some(code) => Decision::of(code, vec![had, issued]),
            None => {
                let code = campaign.code_number(sum);
                Decision::of(Code::Redeemed, [has, sum].into_iter().chain(code).collect())
            }
        })
    }

    fn cancelled(&self, model: &Model, line: &Line) -> Option<Decision> {
        let campaign = model.known_campaign(&self.campaign)?;
        let after =
            campaign.map_or(vec![], |campaign| vec![self.had(line).min(campaign.issued), campaign.issued]);
        Some(Decision::of(Code::Cancelled, after))
    }

    fn take_over(&self, model: &mut Model, line: &Line, weight: Weight<'_>) {
        if line.code != Code::Redeemed {
            return;
        }
        let campaign = model.changed_campaign(&self.campaign, line);
        if campaign.codes.is_some() && !campaign.returned.is_empty() {
            campaign.returned.remove(0);
        }
        let (customer, has) = (self.customer.as_str(), line.after("held").unwrap_or_default());
        campaign.holders = campaign
            .holders
            .wrapping_add(weight(customer, has))
            .wrapping_sub(weight(customer, self.had(line)));
    }
}

trait Had {
    /// How much the customer had before the line, by what it says of the time after.
    fn had(&self, line: &Line) -> u64;
}

impl Had for Redeem {
    fn had(&self, line: &Line) -> u64 {
        let has = line.after("held").unwrap_or_default();
        if line.code == Code::Redeemed { has.saturating_sub(self.quantity.get()) } else { has }
    }
}
