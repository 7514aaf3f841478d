//! The rule of `purchase`.

use tollgate::code::Code;
use tollgate::journal::Line;
use tollgate::kinds::Purchase;

use super::inventory::Order;
use super::rule::{Decision, Rule, Weight};
use crate::inventory::Count;
use crate::model::Model;

fn order(Purchase { inventory, lines, .. }: &Purchase) -> Order<'_> {
    Order { inventory, lines, granted: Code::Purchased }
}

impl Rule for Purchase {
    fn decide(&self, model: &Model, line: &Line) -> Option<Decision> {
        order(self).decide(model, line)
    }

    fn cancelled(&self, model: &Model, line: &Line) -> Option<Decision> {
        order(self).cancelled(model, line)
    }

    fn take_over(&self, model: &mut Model, line: &Line, weight: Weight<'_>) {
        if line.code != Code::Purchased {
            return;
        }
        let Self { customer, lines, .. } = self;
        let before = order(self).had(line);
        let inventory = model.changed_inventory(&self.inventory, line);
        if let Some(items) = &mut inventory.items {
            for (item, quantity) in lines.iter() {
                items.change(item.as_str(), weight, |item| {
                    item.on_hand = item.on_hand.saturating_sub(quantity.get());
                });
            }
        }
        inventory.sold = inventory.sold.saturating_add(lines.units());
        let after = line.after("held").unwrap_or_default();
        inventory.count(&Count { customer: customer.as_str(), before, after }, weight);
        let row = format!("sold\t{}\t\t\t{customer}\t\t{}\t", line.seq, lines.as_str());
        inventory.order(line.id.as_str(), &row, weight);
    }
}
