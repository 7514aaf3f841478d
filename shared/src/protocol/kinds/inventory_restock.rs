//! More of an item.

use super::shape::kind;
use crate::protocol::ids::{InventoryId, ItemId};
use crate::protocol::quantity::Quantity;

kind! {
    /// Adds units of an item.
    InventoryRestock {
        /// Which inventory.
        inventory: InventoryId,
        /// Which item.
        item: ItemId,
        /// How many more.
        quantity: Quantity,
    }
    after "available"
}
