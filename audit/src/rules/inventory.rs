//! What the kinds of an inventory have in common.

use tollgate::code::Code;
use tollgate::ids::{CustomerId, InventoryId, ItemId};
use tollgate::journal::Line;
use tollgate::lines::Lines;
use tollgate::ticket_ranges;

use super::rule::{Decision, Weight};
use crate::by_item::ByItem;
use crate::inventory::{Count, Inventory, Item};
use crate::model::Model;

/// What an order asks for.
pub(super) struct Wish<'a> {
    pub(super) inventory: &'a InventoryId,
    pub(super) customer: &'a CustomerId,
    pub(super) lines: &'a Lines,
    /// The code of an order that gets what it asks for.
    pub(super) granted: Code,
}

impl Wish<'_> {
    /// How many units the customer had before the line, by what it says of the time after. That this follows from the
    /// lines before it is proved in sum; here only that nobody has more than is out.
    pub(super) fn had(&self, line: &Line) -> u64 {
        let has = line.after("held").unwrap_or_default();
        if line.code == self.granted { has.saturating_sub(self.lines.units()) } else { has }
    }

    fn had_at_most(&self, line: &Line, inventory: &Inventory) -> u64 {
        self.had(line).min(inventory.sold.saturating_add(inventory.reserved))
    }

    /// What the line says that the customer has of the items that have a limit of their own.
    fn by_item(&self, line: &Line, inventory: &Inventory) -> ByItem<'_> {
        let lines = self.lines.iter().map(|(item, quantity)| (item.as_str(), i128::from(quantity.get())));
        inventory.by_item(lines, line, line.code == self.granted)
    }

    pub(super) fn decide(&self, model: &Model, line: &Line) -> Option<Decision> {
        let Some(inventory) = model.known_inventory(self.inventory)? else {
            return Some(Decision::new(Code::InventoryNotFound, None));
        };
        if !inventory.is_readable() {
            return None;
        }
        let had = self.had_at_most(line, inventory);
        let by_item = self.by_item(line, inventory);
        Some(match inventory.refusal(self.lines, (had, &by_item), line.at_ms) {
            Some(code) => {
                let by_item = if code == Code::CustomerLimitReached { by_item.before() } else { None };
                Decision::of(code, vec![had, inventory.available]).telling([by_item])
            }
            None => {
                let units = self.lines.units();
                let after = vec![had.saturating_add(units), inventory.available.saturating_sub(units)];
                let is_sold = self.granted == Code::Purchased;
                let tickets = inventory.next_tickets(units).filter(|_| is_sold);
                let tickets = tickets.map(|range| ticket_ranges::text(&[range]));
                Decision::of(self.granted, after).telling([by_item.after(), tickets])
            }
        })
    }

    pub(super) fn cancelled(&self, model: &Model, line: &Line) -> Option<Decision> {
        let inventory = model.known_inventory(self.inventory)?;
        let after = inventory
            .map_or(vec![], |inventory| vec![self.had_at_most(line, inventory), inventory.available]);
        Some(Decision::of(Code::Cancelled, after))
    }

    /// Takes over an order that got what it asks for; `text` is what its field holds, `change` what it did to the items.
    pub(super) fn take_over(
        &self,
        model: &mut Model,
        line: &Line,
        text: &str,
        weight: Weight<'_>,
        change: impl FnOnce(&mut Inventory),
    ) {
        let (before, after) = (self.had(line), line.after("held").unwrap_or_default());
        let inventory = model.changed_inventory(self.inventory, line);
        let by_item = self.by_item(line, inventory);
        change(inventory);
        inventory.count(&Count { customer: self.customer.as_str(), before, after }, weight);
        inventory.count_items(self.customer.as_str(), &by_item, weight);
        inventory.order(line.id.as_str(), text, weight);
    }
}

/// What an operator's change of one item must have answered: `change` says what is available after it, or why not.
pub(super) fn decide_change(
    model: &Model,
    (id, item): (&InventoryId, &ItemId),
    granted: Code,
    change: impl FnOnce(&Inventory, &Item) -> Result<u64, Code>,
) -> Option<Decision> {
    let Some(inventory) = model.known_inventory(id)? else {
        return Some(Decision::new(Code::InventoryNotFound, None));
    };
    if !inventory.is_readable() {
        return None;
    }
    let refused = |code| Some(Decision::new(code, Some(inventory.available)));
    let Some(items) = &inventory.items else { return refused(Code::NotLoaded) };
    let Some(item) = items.get(item.as_str()) else { return refused(Code::ItemNotFound) };
    if let Some(code) = inventory.ended {
        return refused(code);
    }
    match change(inventory, item) {
        Ok(available) => Some(Decision::new(granted, Some(available))),
        Err(code) => refused(code),
    }
}

/// How many units there are of all items, sold ones included.
pub(super) fn units(inventory: &Inventory) -> u64 {
    inventory.available.saturating_add(inventory.reserved).saturating_add(inventory.sold)
}
