//! What the kinds that go on with a reservation have in common.
//!
//! The model keeps reservations only while they are open. Of one that has ended, or never was, the journal does not tell
//! which of the answers to it was due: any of them may stand there, and none changes anything.

use tollgate::code::Code;
use tollgate::ids::{InventoryId, JobId};
use tollgate::journal::Line;
use tollgate::lines::Lines;
use tollgate::ticket_ranges;

use super::rule::{Decision, Weight};
use crate::by_item::ByItem;
use crate::inventory::{Count, Inventory};
use crate::model::Model;
use crate::order::{Order, OrderLine};

/// The answers to who names a reservation that is not open.
const ENDED: [Code; 5] = [
    Code::OrderNotFound,
    Code::ReservationExpired,
    Code::AlreadyCommitted,
    Code::AlreadyReleased,
    Code::NotReserved,
];

/// A job that names a reservation, and what it moves.
pub(super) struct Move<'a> {
    pub(super) inventory: &'a InventoryId,
    pub(super) reservation: JobId,
    /// Some of its lines; all if absent.
    pub(super) lines: Option<&'a Lines>,
    pub(super) granted: Code,
    /// An inventory that is cancelled refuses it.
    pub(super) sells: bool,
}

/// What becomes of the units that are moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moves {
    /// They are sold.
    Sold,
    /// They are on sale again; the state of an order of which nothing else is left.
    GivenBack(&'static str),
}

impl Move<'_> {
    pub(super) fn decide(&self, model: &Model, line: &Line, moves: Option<Moves>) -> Option<Decision> {
        let Some(inventory) = model.known_inventory(self.inventory)? else {
            return Some(Decision::new(Code::InventoryNotFound, None));
        };
        if !inventory.is_readable() {
            return None;
        }
        let available = inventory.available;
        let held = line.after("held").unwrap_or_default();
        let Some(order) =
            model.reservations.get(&self.reservation).filter(|order| order.inventory == *self.inventory)
        else {
            return Some(match line.code {
                Code::OrderNotFound => Decision::of(line.code, vec![]),
                _ if self.sells && inventory.is_cancelled() => {
                    Decision::of(Code::InventoryCancelled, vec![held, available])
                }
                code if ENDED.contains(&code)
                    || (code == Code::InventoryCancelled && inventory.is_cancelled()) =>
                {
                    Decision::of(code, vec![held, available])
                }
                _ => Decision::of(Code::AlreadyReleased, vec![held, available]),
            });
        };
        if self.sells && inventory.is_cancelled() {
            return Some(Decision::of(Code::InventoryCancelled, vec![held, available]));
        }
        let Some(meant) = order.meant(self.lines, OrderLine::RESERVED) else {
            let code = self.lines.map_or(Code::NotReserved, |lines| order.why_not(lines));
            return Some(Decision::of(code, vec![held, available]));
        };
        let units: u64 = meant.iter().map(|(_, quantity)| quantity).sum();
        Some(match moves {
            Some(Moves::GivenBack(_)) => {
                let told = self.by_item(inventory, &order.named(&meant), line).after();
                Decision::of(self.granted, vec![held, available.saturating_add(units)]).telling([told])
            }
            Some(Moves::Sold) => {
                let tickets = inventory.next_tickets(units).map(|range| ticket_ranges::text(&[range]));
                Decision::of(self.granted, vec![held, available]).telling([tickets])
            }
            None => Decision::of(self.granted, vec![held, available]),
        })
    }

    /// What the line says that the customer has of the items that are given back and have a limit of their own.
    fn by_item<'b>(&self, inventory: &Inventory, named: &[(&'b str, u64)], line: &Line) -> ByItem<'b> {
        inventory.by_item_given_back(named.iter().copied(), line, line.code == self.granted)
    }

    pub(super) fn cancelled(&self, model: &Model, line: &Line) -> Option<Decision> {
        let inventory = model.known_inventory(self.inventory)?;
        // Of a reservation that is not there, nothing is shown.
        let after = inventory.filter(|_| !line.after.is_empty());
        let after = after
            .map_or(vec![], |inventory| vec![line.after("held").unwrap_or_default(), inventory.available]);
        Some(Decision::of(Code::Cancelled, after))
    }

    pub(super) fn take_over(&self, model: &mut Model, line: &Line, moves: Moves, weight: Weight<'_>) {
        if line.code != self.granted {
            return;
        }
        let Some(mut order) = model.reservations.remove(&self.reservation) else { return };
        let inventory = model.changed_inventory(self.inventory, line);
        let meant = order.meant(self.lines, OrderLine::RESERVED).unwrap_or_default();
        let before = order.text();
        let mut units = 0u64;
        if let Moves::GivenBack(_) = moves {
            let by_item = self.by_item(inventory, &order.named(&meant), line);
            inventory.count_items(order.customer.as_str(), &by_item, weight);
        }
        for (at, quantity) in meant {
            units = units.saturating_add(quantity);
            move_units(inventory, &mut order.lines[at], quantity, moves, weight);
        }
        inventory.reserved = inventory.reserved.saturating_sub(units);
        let after = line.after("held").unwrap_or_default();
        let was = match moves {
            Moves::Sold => {
                inventory.sold = inventory.sold.saturating_add(units);
                after
            }
            Moves::GivenBack(_) => after.saturating_add(units),
        };
        inventory.count(&Count { customer: order.customer.as_str(), before: was, after }, weight);
        end(&mut order, moves);
        change(model, &self.reservation, order, &before, weight);
    }
}

fn move_units(
    inventory: &mut Inventory,
    line: &mut OrderLine,
    quantity: u64,
    moves: Moves,
    weight: Weight<'_>,
) {
    line.reserved = line.reserved.saturating_sub(quantity);
    match moves {
        Moves::Sold => {
            line.sold = line.sold.saturating_add(quantity);
            line.tickets.add(inventory.next_tickets(quantity));
            inventory.tickets = inventory.tickets.saturating_add(quantity);
        }
        Moves::GivenBack(_) => line.given = line.given.saturating_add(quantity),
    }
    if let Some(items) = &mut inventory.items {
        items.change(&line.item, weight, |item| {
            item.reserved = item.reserved.saturating_sub(quantity);
            if moves == Moves::Sold {
                item.on_hand = item.on_hand.saturating_sub(quantity);
            }
        });
    }
}

/// The state of an order of which nothing is reserved any more.
fn end(order: &mut Order, moves: Moves) {
    if order.reserved() > 0 {
        return;
    }
    let is_sold = order.lines.iter().any(|line| line.sold > 0);
    order.state = match moves {
        Moves::Sold => "sold",
        Moves::GivenBack("released") if is_sold => "sold",
        Moves::GivenBack(state) => state,
    };
}

/// Takes over an order that was changed: it is kept if something of it is still reserved.
pub(super) fn change(model: &mut Model, id: &JobId, order: Order, before: &str, weight: Weight<'_>) {
    let is_open = order.reserved() > 0;
    if let Some(inventory) = model.inventories.get_mut(&order.inventory) {
        inventory.change_order(id.as_str(), before, &order.text(), weight);
        inventory.open = inventory.open.saturating_sub(u64::from(!is_open));
    }
    if is_open {
        model.reservations.insert(id.clone(), order);
    }
}
