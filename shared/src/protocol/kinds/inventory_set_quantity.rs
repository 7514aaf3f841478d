//! A stock-taking.

use super::shape::kind;
use crate::protocol::ids::{InventoryId, ItemId};
use crate::protocol::quantity::Limit;

kind! {
    /// Changes how many units of an item are on hand.
    InventorySetQuantity {
        /// Which inventory.
        inventory: InventoryId,
        /// Which item.
        item: ItemId,
        /// How many are on hand from now on; at least what is reserved.
        quantity: Limit,
        /// Only if so many are now.
        expected: Option<Limit>,
    }
    after "available"
}
