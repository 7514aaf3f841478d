//! The rule of `purchase`.

use tollgate::code::Code;
use tollgate::journal::Line;
use tollgate::kinds::Purchase;

use super::inventory::Wish;
use super::rule::{Decision, Rule, Weight};
use crate::model::Model;
use crate::order::Order;

fn wish(Purchase { inventory, customer, lines }: &Purchase) -> Wish<'_> {
    Wish { inventory, customer, lines, granted: Code::Purchased }
}

impl Rule for Purchase {
    fn decide(&self, model: &Model, line: &Line) -> Option<Decision> {
        wish(self).decide(model, line)
    }

    fn cancelled(&self, model: &Model, line: &Line) -> Option<Decision> {
        wish(self).cancelled(model, line)
    }

    fn take_over(&self, model: &mut Model, line: &Line, weight: Weight<'_>) {
        if line.code != Code::Purchased {
            return;
        }
        let mut order = Order::new((&self.inventory, &self.customer, &self.lines), line.seq, None);
        if let Some(inventory) = model.inventories.get_mut(&self.inventory) {
            for line in &mut order.lines {
                line.tickets.add(inventory.next_tickets(line.sold));
                inventory.tickets = inventory.tickets.saturating_add(line.sold);
            }
        }
        wish(self).take_over(model, line, &order.text(), weight, |inventory| {
            inventory.sold = inventory.sold.saturating_add(self.lines.units());
            for (item, quantity) in self.lines.iter() {
                let change = |item: &mut crate::inventory::Item| {
                    item.on_hand = item.on_hand.saturating_sub(quantity.get());
                };
                inventory.items.iter_mut().for_each(|items| items.change(item.as_str(), weight, change));
            }
        });
    }
}
