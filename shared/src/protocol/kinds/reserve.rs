//! Carts, and seats held while somebody pays.

use super::shape::kind;
use crate::protocol::ids::{CustomerId, InventoryId};
use crate::protocol::lines::Lines;
use crate::protocol::span_ms::SpanMs;

kind! {
    /// Sets items of an inventory aside for a customer: all lines, or none.
    Reserve {
        /// Of which inventory.
        inventory: InventoryId,
        /// For whom.
        customer: CustomerId,
        /// What.
        lines: Lines,
        /// For how long at least; after that it may end.
        hold_for_ms: SpanMs,
    }
    after "held" "available"
    told "held_by_item"
}
