//! The rule of `inventory_load`. The list itself is compared with its name where it is read ([`stock`](crate::stock)).

use tollgate::code::Code;
use tollgate::journal::Line;
use tollgate::kinds::InventoryLoad;

use super::rule::{Decision, Rule, Weight};
use crate::model::Model;

impl Rule for InventoryLoad {
    fn decide(&self, model: &Model, _: &Line) -> Option<Decision> {
        let Some(inventory) = model.known_inventory(&self.inventory)? else {
            return Some(Decision::new(Code::InventoryNotFound, None));
        };
        let available = Some(inventory.available);
        Some(if inventory.stock.is_some() {
            Decision::new(Code::AlreadyLoaded, available)
        } else if let Some(code) = inventory.ended {
            Decision::new(code, available)
        } else if inventory.lacks_codes(self.units.get()) {
            Decision::new(Code::TooFewCodes, None)
        } else {
            Decision::new(Code::InventoryLoaded, Some(self.units.get()))
        })
    }

    fn take_over(&self, model: &mut Model, line: &Line, _: Weight<'_>) {
        if line.code != Code::InventoryLoaded {
            return;
        }
        let items = model.stocks.remove(&self.inventory);
        let inventory = model.changed_inventory(&self.inventory, line);
        inventory.stock = Some(self.stock.clone());
        inventory.items_count = self.items.get();
        inventory.item_counts = items.as_ref().filter(|items| items.have_limits()).map(|_| 0);
        inventory.items = items;
    }
}
