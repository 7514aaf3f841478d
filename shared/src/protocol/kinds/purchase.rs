//! Orders that are paid for elsewhere, or free.

use super::shape::kind;
use crate::protocol::ids::{CustomerId, InventoryId};
use crate::protocol::lines::Lines;

kind! {
    /// Sells items of an inventory to a customer: all lines, or none.
    Purchase {
        /// Of which inventory.
        inventory: InventoryId,
        /// To whom.
        customer: CustomerId,
        /// What.
        lines: Lines,
    }
    after "held" "available"
    told "held_by_item" "tickets"
}
