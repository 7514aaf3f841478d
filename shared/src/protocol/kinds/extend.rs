//! More time for a reservation.

use super::shape::kind;
use crate::protocol::ids::{InventoryId, ReservationId};
use crate::protocol::span_ms::SpanMs;

kind! {
    /// Lets a reservation end later, never earlier.
    Extend {
        /// Of which inventory.
        inventory: InventoryId,
        /// The id of the reserve.
        reservation: ReservationId,
        /// For how long from the decision at least.
        hold_for_ms: SpanMs,
    }
    after "held" "available"
}
