//! The rule of `inventory_restock`.

use tollgate::amount::NUMBER_MAX;
use tollgate::code::Code;
use tollgate::journal::Line;
use tollgate::kinds::InventoryRestock;

use super::inventory::{decide_change, units};
use super::rule::{Decision, Rule, Weight};
use crate::model::Model;

impl Rule for InventoryRestock {
    fn decide(&self, model: &Model, _: &Line) -> Option<Decision> {
        let quantity = self.quantity.get();
        decide_change(model, (&self.inventory, &self.item), Code::Restocked, |inventory, _| {
            if units(inventory).saturating_add(quantity) > NUMBER_MAX {
                return Err(Code::QuantityLimitReached);
            }
            if inventory.lacks_codes(inventory.available.saturating_add(quantity)) {
                return Err(Code::LimitAboveCodes);
            }
            Ok(inventory.available + quantity)
        })
    }

    fn take_over(&self, model: &mut Model, line: &Line, weight: Weight<'_>) {
        if line.code != Code::Restocked {
            return;
        }
        let inventory = model.changed_inventory(&self.inventory, line);
        if let Some(items) = &mut inventory.items {
            items.change(self.item.as_str(), weight, |item| {
                item.on_hand = item.on_hand.saturating_add(self.quantity.get());
            });
        }
    }
}
