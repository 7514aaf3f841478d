//! What was sold and comes back.

use super::shape::kind;
use crate::protocol::ids::{InventoryId, OrderId};
use crate::protocol::lines::Lines;

kind! {
    /// Puts what an order bought on sale again.
    Return {
        /// Of which inventory.
        inventory: InventoryId,
        /// The id of the purchase or of the reserve.
        order: OrderId,
        /// Some of its lines; all that is sold if absent.
        lines: Option<Lines>,
    }
    was "order_was"
    after "held" "available"
    told "held_by_item" "void"
}
