//! A seat for another.

use super::shape::kind;
use crate::protocol::code::Code;
use crate::protocol::ids::{InventoryId, ItemId, OrderId};
use crate::protocol::input::InputError;

kind! {
    /// Gives one unit of an order for one of another item, in one step: reserved stays reserved, sold stays sold.
    Exchange {
        /// Of which inventory.
        inventory: InventoryId,
        /// The id of the purchase or of the reserve.
        order: OrderId,
        /// What is on sale again.
        from: ItemId,
        /// What the order has instead.
        to: ItemId,
    }
    was "order_was"
    after "held" "available"
    told "held_by_item" "tickets" "void"
    check |request| {
        if request.from != request.to {
            return Ok(());
        }
        Err(InputError::new(Code::SameItem, "to", request.to.as_str(), "another item than from"))
    }
}
