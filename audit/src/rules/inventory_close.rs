//! The rule of `inventory_close`.

use tollgate::code::Code;
use tollgate::journal::Line;
use tollgate::kinds::InventoryClose;

use super::rule::{Decision, Rule, Weight};
use crate::model::Model;

impl Rule for InventoryClose {
    fn decide(&self, model: &Model, _: &Line) -> Option<Decision> {
        Some(match model.known_inventory(&self.inventory)? {
            None => Decision::new(Code::InventoryNotFound, None),
            Some(inventory) => {
                Decision::new(inventory.ended.unwrap_or(Code::Closed), Some(inventory.available))
            }
        })
    }

    fn take_over(&self, model: &mut Model, line: &Line, _: Weight<'_>) {
        if line.code == Code::Closed {
            model.changed_inventory(&self.inventory, line).ended = Some(Code::Ended);
        }
    }
}
