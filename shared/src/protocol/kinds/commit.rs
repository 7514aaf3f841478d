//! A reservation that was paid.

use super::shape::kind;
use crate::protocol::ids::{InventoryId, ReservationId};
use crate::protocol::lines::Lines;

kind! {
    /// Sells what was reserved.
    Commit {
        /// Of which inventory.
        inventory: InventoryId,
        /// The id of the reserve.
        reservation: ReservationId,
        /// Some of its lines; all that is reserved if absent.
        lines: Option<Lines>,
    }
    after "held" "available"
    told "tickets"
}
