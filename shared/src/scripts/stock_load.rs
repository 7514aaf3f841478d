//! `stock_load`: uploads the items that an inventory is to begin with.

use crate::connection::link::Link;
use crate::protocol::ids::InventoryId;
use crate::protocol::keys::Keys;
use crate::protocol::stock_name::StockName;
use crate::scripts::script::{keywords, parts, script};

use super::error::{ScriptError, status};

script!(
    STOCK_LOAD,
    "stock_load",
    [parts::NUMBERS, parts::CLOCK, parts::FORMAT, parts::HEAD_COUNTERS, parts::CHECKS],
    keys [head inventory stock],
    args [nonce name buckets; number text],
    status Status,
    refusals [uninitialised partition_frozen corrupt_partition]
);

keywords!(
    enum Status {
        Taken = "taken",
        NotLoading = "not_loading",
        NotFound = "not_found",
        WrongStock = "wrong_stock",
    }
);

/// What a call did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// The buckets are there.
    So {
        /// How many items there are by now.
        items: u64,
        /// How many units of all of them.
        units: u64,
    },
    /// The inventory has its items already, or is closed.
    NotLoading,
    /// There is no such inventory.
    NotFound,
    /// This bucket is none that `settle` reads.
    Wrong(String),
}

/// Uploads some buckets, each its number and its text, of the list `name`, which has `count` of them.
///
/// # Errors
/// As [`settle`](super::settle::settle).
///
/// # Cancel safety
/// The same call again takes nothing twice.
pub async fn stock_load(
    link: &mut Link,
    keys: &Keys,
    inventory: &InventoryId,
    (name, count): (&StockName, usize),
    buckets: &[(usize, String)],
) -> Result<Taken, ScriptError> {
    let mut call =
        STOCK_LOAD.call().key(keys.head()).key(keys.inventory(inventory)).key(keys.stock(inventory));
    call.push_arg(name.as_str());
    call.push_arg(count);
    for (number, text) in buckets {
        call.push_arg(number);
        call.push_arg(text);
    }
    let mut reply = call.run(link).await?;
    Ok(match status(&mut reply)? {
        Status::Taken => Taken::So { items: reply.number("items")?, units: reply.number("units")? },
        Status::NotLoading => Taken::NotLoading,
        Status::NotFound => Taken::NotFound,
        Status::WrongStock => Taken::Wrong(reply.text("bucket")?),
    })
}
