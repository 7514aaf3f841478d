//! The rule of `inventory_set_quantity`.

use tollgate::amount::NUMBER_MAX;
use tollgate::code::Code;
use tollgate::journal::Line;
use tollgate::kinds::InventorySetQuantity;

use super::inventory::{decide_change, units};
use super::rule::{Decision, Rule, Weight};
use crate::model::Model;

impl Rule for InventorySetQuantity {
    fn decide(&self, model: &Model, _: &Line) -> Option<Decision> {
        let quantity = self.quantity.get();
        decide_change(model, (&self.inventory, &self.item), Code::QuantitySet, |inventory, item| {
            if self.expected.is_some_and(|expected| expected.get() != item.on_hand) {
                Err(Code::QuantityNotAsExpected)
            } else if quantity < item.reserved {
                Err(Code::QuantityBelowReserved)
            } else if units(inventory).saturating_sub(item.on_hand).saturating_add(quantity) > NUMBER_MAX {
                Err(Code::QuantityLimitReached)
            } else if quantity > item.on_hand
                && inventory.lacks_codes(
                    inventory.available - (item.on_hand - item.reserved) + (quantity - item.reserved),
                )
            {
                Err(Code::LimitAboveCodes)
            } else {
                let free = item.on_hand.saturating_sub(item.reserved);
                Ok(inventory.available.saturating_sub(free) + (quantity - item.reserved))
            }
        })
    }

    fn take_over(&self, model: &mut Model, line: &Line, weight: Weight<'_>) {
        if line.code != Code::QuantitySet {
            return;
        }
        let inventory = model.changed_inventory(&self.inventory, line);
        if let Some(items) = &mut inventory.items {
            items.change(self.item.as_str(), weight, |item| item.on_hand = self.quantity.get());
        }
    }
}
