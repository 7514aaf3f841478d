//! What an inventory begins with.

use super::shape::kind;
use crate::protocol::ids::InventoryId;
use crate::protocol::quantity::{Limit, Quantity};
use crate::protocol::stock_name::StockName;

kind! {
    /// Gives an inventory its items: an uploaded list, which is all there.
    InventoryLoad {
        /// Which inventory.
        inventory: InventoryId,
        /// The list of items.
        stock: StockName,
        /// How many items it has.
        items: Quantity,
        /// How many units of all of them.
        units: Limit,
    }
    after "available"
}
