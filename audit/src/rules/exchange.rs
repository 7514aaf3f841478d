//! The rule of `exchange`.

use tollgate::code::Code;
use tollgate::journal::Line;
use tollgate::kinds::Exchange;
use tollgate::ticket_ranges;

use super::order_was::{Found, Named};
use super::rule::{Decision, Rule, Weight};
use crate::by_item::ByItem;
use crate::inventory::{Inventory, Item};
use crate::model::Model;
use crate::order::Order;

fn of(Exchange { inventory, order, .. }: &Exchange) -> Named<'_> {
    Named { inventory, order: order.clone().into() }
}

/// Whether it moves a unit that is reserved; `None` if the order has no unit of the item.
fn is_reserved(order: &Order, from: &str) -> Option<bool> {
    let line = &order.lines[order.line(from)?];
    (line.reserved > 0 || line.sold > 0).then_some(line.reserved > 0)
}

/// What the line says that the customer has of the two items, as far as they have a limit of their own.
fn by_item<'a>(exchange: &'a Exchange, inventory: &Inventory, line: &Line) -> ByItem<'a> {
    let changes = [(exchange.from.as_str(), -1), (exchange.to.as_str(), 1)];
    inventory.by_item(changes, line, line.code == Code::Exchanged)
}

/// What it must have answered, but for the numbers.
fn code(exchange: &Exchange, inventory: &Inventory, order: Option<&Order>, line: &Line) -> Code {
    let to = inventory.items.as_ref().map(|items| items.get(exchange.to.as_str()));
    if to == Some(None) {
        return Code::ItemNotFound;
    }
    let Some(order) = order else { return Code::OrderNotFound };
    let is_sold = is_reserved(order, exchange.from.as_str()) == Some(false);
    if let Some(code) = inventory.out_of_time(line.at_ms) {
        code
    } else if to.flatten().is_none_or(|to| to.on_hand == to.reserved) || (is_sold && inventory.lacks_codes(1))
    {
        Code::SoldOut
    } else if is_reserved(order, exchange.from.as_str()).is_some() {
        let passes_limit = by_item(exchange, inventory, line).passes_limit();
        if passes_limit { Code::CustomerLimitReached } else { Code::Exchanged }
    } else {
        let line = order.line(exchange.from.as_str()).map(|at| &order.lines[at]);
        line.map_or(Code::NotInOrder, |line| order.why_gone(line.given, 1))
    }
}

impl Rule for Exchange {
    fn decide(&self, model: &Model, line: &Line) -> Option<Decision> {
        let named = of(self);
        let inventory = match named.find(model, line) {
            Found::Unknown => return None,
            Found::Nothing(decision) if decision.code == Code::InventoryNotFound => return Some(decision),
            _ => model.inventories.get(&self.inventory)?,
        };
        let order = named.order(model, line);
        let after = match order {
            Some(_) => vec![line.after("held").unwrap_or_default(), inventory.available],
            None => vec![],
        };
        let code = code(self, inventory, order.as_ref(), line);
        let decision = Decision::of(code, after);
        Some(match (code, order) {
            (Code::Exchanged, Some(mut order)) => {
                let (from, to) = (self.from.as_str(), self.to.as_str());
                let is_reserved = is_reserved(&order, from).unwrap_or_default();
                let next = inventory.next_tickets(1);
                let void = order.exchange(from, to, is_reserved, next);
                let tickets = next.filter(|_| !is_reserved).map(|range| ticket_ranges::text(&[range]));
                let by_item = by_item(self, inventory, line).after();
                decision.telling([by_item, tickets, Some(ticket_ranges::text(&void))])
            }
            (Code::CustomerLimitReached, _) => decision.telling([by_item(self, inventory, line).before()]),
            _ => decision,
        })
    }

    fn cancelled(&self, model: &Model, line: &Line) -> Option<Decision> {
        of(self).cancelled(model, line)
    }

    fn take_over(&self, model: &mut Model, line: &Line, weight: Weight<'_>) {
        let named = of(self);
        let (Code::Exchanged, Some(before)) = (line.code, named.order(model, line)) else { return };
        let (from, to) = (self.from.as_str(), self.to.as_str());
        let Some(is_reserved) = is_reserved(&before, from) else { return };
        let inventory = model.changed_inventory(&self.inventory, line);
        let by_item = by_item(self, inventory, line);
        inventory.count_items(before.customer.as_str(), &by_item, weight);
        let mut order = before.clone();
        let next = inventory.next_tickets(1).filter(|_| !is_reserved);
        inventory.tickets = inventory.tickets.saturating_add(u64::from(next.is_some()));
        order.exchange(from, to, is_reserved, next);
        if let Some(items) = &mut inventory.items {
            let count = |item: &mut Item, more: bool| match (is_reserved, more) {
                (true, true) => item.reserved = item.reserved.saturating_add(1),
                (true, false) => item.reserved = item.reserved.saturating_sub(1),
                (false, true) => item.on_hand = item.on_hand.saturating_sub(1),
                (false, false) => item.on_hand = item.on_hand.saturating_add(1),
            };
            items.change(from, weight, |item| count(item, false));
            items.change(to, weight, |item| count(item, true));
        }
        named.change(model, &before, order, weight);
    }
}
