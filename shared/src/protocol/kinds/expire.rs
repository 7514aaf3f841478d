//! A reservation whose time is over.

use super::shape::kind;
use crate::protocol::ids::InventoryId;

kind! {
    /// What is reserved and not committed is on sale again: a step under the reservation's own id.
    Expire {
        /// Of which inventory.
        inventory: InventoryId,
        /// No job that is not settled was sent before this time.
        as_of_ms: u64,
    }
    after "held" "available"
    told "held_by_item"
}
