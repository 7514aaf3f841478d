//! What is left of a sale that is over.

use super::shape::kind;
use crate::protocol::ids::InventoryId;

kind! {
    /// Deletes the orders and the buyers of an inventory that has ended; nothing of it may be reserved.
    InventoryArchive {
        /// Which inventory.
        inventory: InventoryId,
    }
    after "available"
}
