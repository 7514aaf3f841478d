//! An inventory, from nothing.

use super::shape::kind;
use super::window::check_window;
use crate::protocol::code::Code;
use crate::protocol::codes_name::CodesName;
use crate::protocol::ids::InventoryId;
use crate::protocol::input::InputError;
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
        /// The uploaded codes of which each unit that is sold gets one.
        codes: Option<CodesName>,
        /// How many these are.
        codes_count: Option<Quantity>,
    }
    after "available"
    check |request| {
        if request.codes.is_some() != request.codes_count.is_some() {
            let count = request.codes_count.map(|count| count.get().to_string()).unwrap_or_default();
            let allowed = "given with the list of codes, which a command uploads";
            return Err(InputError::new(Code::QuantityOutOfRange, "codes_count", &count, allowed));
        }
        check_window(request.opens_at, request.closes_at)
    }
}

impl InventoryCreate {
    /// An inventory that sells at any time and to anybody.
    pub fn new(inventory: InventoryId) -> Self {
        Self {
            inventory,
            per_customer: None,
            opens_at: None,
            closes_at: None,
            codes: None,
            codes_count: None,
        }
    }
}
