//! The rule of `inventory_cancel`. What is reserved ends by steps of its own ([`expire`](super::expire)).

use tollgate::code::Code;
use tollgate::journal::Line;
use tollgate::kinds::InventoryCancel;

use super::rule::{Decision, Rule, Weight};
use crate::model::Model;

impl Rule for InventoryCancel {
    fn decide(&self, model: &Model, _: &Line) -> Option<Decision> {
        Some(match model.known_inventory(&self.inventory)? {
            None => Decision::new(Code::InventoryNotFound, None),
            Some(inventory) => {
                let ended = inventory.ended.filter(|code| *code != Code::Ended);
                Decision::new(ended.unwrap_or(Code::SaleCancelled), Some(inventory.available))
            }
        })
    }

    fn take_over(&self, model: &mut Model, line: &Line, _: Weight<'_>) {
        if line.code == Code::SaleCancelled {
            model.changed_inventory(&self.inventory, line).ended = Some(Code::InventoryCancelled);
        }
    }
}
