//! The rule of `reverse`. Whose the original was and how much, its own line says: see [`given_back`](crate::given_back).

use tollgate::code::Code;
use tollgate::journal::Line;
use tollgate::kinds::Reverse;

use super::rule::{Decision, Rule, Weight};
use crate::model::Model;

impl Rule for Reverse {
    fn decide(&self, model: &Model, line: &Line) -> Option<Decision> {
        let campaign = model.known_campaign(&self.campaign)??;
        let (of_seq, held) =
            (line.after("of_seq").unwrap_or_default(), line.after("held").unwrap_or_default());
        Some(match campaign.issued.checked_sub(self.quantity.get()) {
            Some(issued) if model.given_back(&self.of) == 0 => {
                let number = line.after("code_number").filter(|_| self.reissue_code);
                let after = [of_seq, held.min(issued), issued].into_iter().chain(number).collect();
                Decision::of(Code::Reversed, after)
            }
            _ => {
                Decision::of(Code::AlreadyReversed, vec![of_seq, held.min(campaign.issued), campaign.issued])
            }
        })
    }

    fn take_over(&self, model: &mut Model, line: &Line, weight: Weight<'_>) {
        if line.code != Code::Reversed {
            return;
        }
        let (quantity, customer) = (self.quantity.get(), self.customer.as_str());
        let has = line.after("held").unwrap_or_default();
        let had = has.saturating_add(quantity);
        model.given_back.insert(self.of.clone(), quantity);
        let campaign = model.changed_campaign(&self.campaign, line);
        match line.after("code_number") {
            Some(number) => campaign.returned.push(number),
            None => campaign.reversed = campaign.reversed.saturating_add(quantity),
        }
        campaign.holders =
            campaign.holders.wrapping_add(weight(customer, has)).wrapping_sub(weight(customer, had));
    }
}
