//! The rule of `return`.

use tollgate::code::Code;
use tollgate::journal::Line;
use tollgate::kinds::Return;
use tollgate::ticket_ranges;

use super::order_was::{Found, Named};
use super::rule::{Decision, Rule, Weight};
use crate::inventory::Count;
use crate::model::Model;
use crate::order::OrderLine;

fn of(Return { inventory, order, .. }: &Return) -> Named<'_> {
    Named { inventory, order: order.clone().into() }
}

impl Rule for Return {
    fn decide(&self, model: &Model, line: &Line) -> Option<Decision> {
        let (inventory, order) = match of(self).find(model, line) {
            Found::Unknown => return None,
            Found::Nothing(decision) => return Some(decision),
            Found::Order(inventory, order) => (inventory, order),
        };
        let (held, available) = (line.after("held").unwrap_or_default(), inventory.available);
        let meant = order.meant(self.lines.as_ref(), OrderLine::SOLD).filter(|meant| !meant.is_empty());
        Some(match meant {
            None => Decision::of(order.why_not_sold(self.lines.as_ref()), vec![held, available]),
            Some(meant) => {
                let units: u64 = meant.iter().map(|(_, quantity)| quantity).sum();
                // More than was sold cannot come back.
                let code = if units <= inventory.sold { Code::Returned } else { Code::NotSold };
                let by_item =
                    inventory.by_item_given_back(order.named(&meant), line, line.code == Code::Returned);
                let after = vec![held, available.saturating_add(units)];
                let mut lines = order.lines.clone();
                let void = meant.iter().flat_map(|(at, units)| lines[*at].tickets.give_back(*units));
                let void: Vec<_> = void.filter(|_| inventory.codes.is_some()).collect();
                Decision::of(code, after).telling([by_item.after(), Some(ticket_ranges::text(&void))])
            }
        })
    }

    fn cancelled(&self, model: &Model, line: &Line) -> Option<Decision> {
        of(self).cancelled(model, line)
    }

    fn take_over(&self, model: &mut Model, line: &Line, weight: Weight<'_>) {
        let named = of(self);
        let (Code::Returned, Some(before)) = (line.code, named.order(model, line)) else { return };
        let inventory = model.changed_inventory(&self.inventory, line);
        let mut order = before.clone();
        let mut units = 0u64;
        let meant = order.meant(self.lines.as_ref(), OrderLine::SOLD).unwrap_or_default();
        let by_item = inventory.by_item_given_back(before.named(&meant), line, true);
        inventory.count_items(before.customer.as_str(), &by_item, weight);
        for (at, quantity) in meant {
            let line = &mut order.lines[at];
            line.sold = line.sold.saturating_sub(quantity);
            line.given = line.given.saturating_add(quantity);
            line.tickets.give_back(quantity);
            units = units.saturating_add(quantity);
            if let Some(items) = &mut inventory.items {
                items.change(&line.item, weight, |item| item.on_hand = item.on_hand.saturating_add(quantity));
            }
        }
        inventory.sold = inventory.sold.saturating_sub(units);
        let after = line.after("held").unwrap_or_default();
        let count = Count { customer: order.customer.as_str(), before: after.saturating_add(units), after };
        inventory.count(&count, weight);
        if order.state == "sold" && order.units(OrderLine::SOLD) == 0 {
            order.state = "returned";
        }
        named.change(model, &before, order, weight);
    }
}
