//! The rule of `inventory_create`.

use tollgate::code::Code;
use tollgate::journal::Line;
use tollgate::kinds::InventoryCreate;

use super::rule::{Decision, Rule, Weight};
use crate::inventory::Inventory;
use crate::model::Model;

impl Rule for InventoryCreate {
    fn decide(&self, model: &Model, _: &Line) -> Option<Decision> {
        Some(match model.known_inventory(&self.inventory)? {
            Some(inventory) => Decision::new(Code::InventoryExists, Some(inventory.available)),
            None => Decision::new(Code::InventoryCreated, Some(0)),
        })
    }

    fn take_over(&self, model: &mut Model, line: &Line, _: Weight<'_>) {
        if line.code != Code::InventoryCreated {
            return;
        }
        let inventory = Inventory {
            per_customer: self.per_customer.map(|most| most.get()),
            opens_at_ms: self.opens_at.map(|at| at.ms()),
            closes_at_ms: self.closes_at.map(|at| at.ms()),
            codes: self.codes.clone(),
            codes_count: self.codes_count.map_or(0, |count| count.get()),
            seq: line.seq,
            kept: (model.kept.as_ref() == Some(&self.inventory)).then(Default::default),
            ..Inventory::default()
        };
        model.inventories.insert(self.inventory.clone(), inventory);
    }
}
