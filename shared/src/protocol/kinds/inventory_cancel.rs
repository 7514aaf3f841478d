//! An event that does not take place.

use super::shape::kind;
use crate::protocol::ids::InventoryId;

kind! {
    /// Ends an inventory's sales for good, and what is reserved with them: nothing of it can be committed any more.
    InventoryCancel {
        /// Which inventory.
        inventory: InventoryId,
    }
    after "available"
}
