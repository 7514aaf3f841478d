//! What the kinds have in common that go on with an order, open or not: their lines show it as it was.
//!
//! The model keeps no order of which nothing is reserved. So what such a line shows is taken for what was there, and the
//! sum over the orders proves it, as it proves what a customer had: the field that it shows is taken off, and the field
//! that follows from it is added. One that no line left there stays in the sum.

use tollgate::code::Code;
use tollgate::ids::{InventoryId, JobId};
use tollgate::journal::Line;

use super::rule::{Decision, Weight};
use crate::inventory::Inventory;
use crate::model::Model;
use crate::order::Order;

/// An order that a line goes on with.
pub(super) struct Named<'a> {
    pub(super) inventory: &'a InventoryId,
    pub(super) order: JobId,
}

/// What there is where such a line is decided.
pub(super) enum Found<'a> {
    /// Not enough to say what it must be.
    Unknown,
    /// No such inventory, or no such order.
    Nothing(Decision),
    Order(&'a Inventory, Order),
}

impl Named<'_> {
    /// The order as it was: the model's own while it is open.
    pub(super) fn order(&self, model: &Model, line: &Line) -> Option<Order> {
        let open = model.reservations.get(&self.order).filter(|order| order.inventory == *self.inventory);
        let told = || Order::was(self.inventory, line.was.as_deref()?);
        // One that says it is open, and is not, never was.
        open.cloned().or_else(|| told().filter(|order| order.reserved() == 0))
    }

    pub(super) fn find<'a>(&self, model: &'a Model, line: &Line) -> Found<'a> {
        let Some(inventory) = model.known_inventory(self.inventory) else { return Found::Unknown };
        let Some(inventory) = inventory else {
            return Found::Nothing(Decision::new(Code::InventoryNotFound, None));
        };
        if !inventory.is_readable() {
            return Found::Unknown;
        }
        match self.order(model, line) {
            Some(order) => Found::Order(inventory, order),
            None => Found::Nothing(Decision::new(Code::OrderNotFound, None)),
        }
    }

    /// A cancelled job shows no order, only what its customer has, if there is one.
    pub(super) fn cancelled(&self, model: &Model, line: &Line) -> Option<Decision> {
        let inventory = model.known_inventory(self.inventory)?.filter(|_| !line.after.is_empty());
        let held = line.after("held").unwrap_or_default();
        let after = inventory.map_or(vec![], |inventory| vec![held, inventory.available]);
        Some(Decision::of(Code::Cancelled, after))
    }

    /// Puts the order back as a line left it. Of one that was not open, the field that it shows is taken off the sum.
    pub(super) fn change(&self, model: &mut Model, before: &Order, after: Order, weight: Weight<'_>) {
        if let Some(inventory) = model.inventories.get_mut(self.inventory) {
            inventory.change_order(self.order.as_str(), &before.text(), &after.text(), weight);
        }
        if after.reserved() > 0 {
            model.reservations.insert(self.order.clone(), after);
        }
    }
}
