//! A reservation that is given up.

use super::shape::kind;
use crate::protocol::ids::{InventoryId, ReservationId};
use crate::protocol::lines::Lines;

kind! {
    /// Puts what was reserved on sale again.
    Release {
        /// Of which inventory.
        inventory: InventoryId,
        /// The id of the reserve.
        reservation: ReservationId,
        /// Some of its lines; all that is reserved if absent.
        lines: Option<Lines>,
    }
    after "held" "available"
    told "held_by_item"
}
