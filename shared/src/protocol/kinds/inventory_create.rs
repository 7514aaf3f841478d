//! An inventory, from nothing.

use super::shape::kind;
use super::window::check_window;
use crate::protocol::ids::InventoryId;
use crate::protocol::instant::Instant;
use crate::protocol::quantity::Quantity;

kind! {
    /// Creates an inventory, which sells from when it is loaded.
    InventoryCreate {
        /// Its name.
        inventory: InventoryId,
        /// How many units one customer may have; no bound if absent.
        per_customer: Option<Quantity>,
        /// The first instant at which it sells.
        opens_at: Option<Instant>,
        /// The first instant at which it no longer sells.
        closes_at: Option<Instant>,
    }
    after "available"
    check |request| check_window(request.opens_at, request.closes_at)
}

impl InventoryCreate {
    /// An inventory that sells at any time and to anybody.
    pub fn new(inventory: InventoryId) -> Self {
        Self { inventory, per_customer: None, opens_at: None, closes_at: None }
    }
}
