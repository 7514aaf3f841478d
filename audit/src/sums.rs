//! What the keys beside an inventory add up to, against the model. Pure.

use tollgate::ids::InventoryId;
use tollgate::resource::Resource;

use super::inventory::Inventory;
use super::model::Model;
use super::report::{Check, Findings};

/// What the keys of an inventory add up to: items, buyers, orders.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sums(pub(super) [u128; 3]);

/// What the keys are called.
pub(super) const NAMES: [&str; 3] = ["items", "buyers", "orders"];

impl Sums {
    /// What the model says.
    pub(super) fn of(inventory: &Inventory) -> Self {
        Self([
            inventory.items.as_ref().map_or(0, |items| items.sum),
            inventory.buyers_sum,
            inventory.orders_sum,
        ])
    }
}

/// Tells which of the three keys are not as the journal says.
pub(super) fn compare(findings: &mut Findings, model: &Model, id: &InventoryId, found: Sums) {
    let Some(inventory) = model.inventories.get(id).filter(|known| !known.unknown && known.is_readable())
    else {
        return;
    };
    let expected = Sums::of(inventory);
    for (name, (expected, found)) in NAMES.iter().zip(expected.0.iter().zip(found.0)) {
        if *expected != found {
            let what = format!("its {name} do not add up to what the journal says");
            let (expected, found) = ("the journal's lines", "another sum");
            findings.violation(
                Check::G1,
                Resource::Inventory(id).to_string(),
                &[inventory.seq],
                expected,
                found,
                what,
            );
        }
    }
}
