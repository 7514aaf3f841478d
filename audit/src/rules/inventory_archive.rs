//! The rule of `inventory_archive`.

use tollgate::code::Code;
use tollgate::journal::Line;
use tollgate::kinds::InventoryArchive;

use super::rule::{Decision, Rule, Weight};
use crate::model::Model;

impl Rule for InventoryArchive {
    fn decide(&self, model: &Model, _: &Line) -> Option<Decision> {
        let Some(inventory) = model.known_inventory(&self.inventory)? else {
            return Some(Decision::new(Code::InventoryNotFound, None));
        };
        let code = match inventory.ended {
            Some(Code::InventoryArchived) => Code::InventoryArchived,
            None => Code::InventoryOpen,
            Some(_) if inventory.open > 0 => Code::ReservationsOpen,
            Some(_) => Code::Archived,
        };
        Some(Decision::new(code, Some(inventory.available)))
    }

    fn take_over(&self, model: &mut Model, line: &Line, _: Weight<'_>) {
        if line.code == Code::Archived {
            model.changed_inventory(&self.inventory, line).archive();
        }
    }
}
