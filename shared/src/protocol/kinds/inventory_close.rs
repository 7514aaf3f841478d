//! The end of a sale.

use super::shape::kind;
use crate::protocol::ids::InventoryId;

kind! {
    /// Ends an inventory's sales for good; what is reserved may still be committed.
    InventoryClose {
        /// Which inventory.
        inventory: InventoryId,
    }
    after "available"
}
