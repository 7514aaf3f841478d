//! `receipts_lower`: lowers the receipts floor again, after a clock was wrong.

use crate::connection::link::Link;
use crate::protocol::keys::Keys;
use crate::scripts::script::{keywords, parts, script};

use super::error::{ScriptError, status};

script!(
    RECEIPTS_LOWER,
    "receipts_lower",
    [parts::NUMBERS, parts::CLOCK, parts::FORMAT, parts::HEAD_COUNTERS,],
    keys [head],
    args [nonce],
    status Status,
    refusals [uninitialised partition_frozen corrupt_partition]
);

keywords!(
    enum Status {
        Lowered = "lowered",
    }
);

/// A floor before and after, in hours since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lowered {
    /// Before.
    pub floor_hour_before: u64,
    /// Now.
    pub floor_hour: u64,
}

/// Lowers the floor of one partition to just above the highest hour of which receipts were dropped.
///
/// # Errors
/// As [`settle`](super::settle::settle).
pub async fn receipts_lower(link: &mut Link, keys: &Keys) -> Result<Lowered, ScriptError> {
    let mut reply = RECEIPTS_LOWER.call().key(keys.head()).run(link).await?;
    let Status::Lowered = status(&mut reply)?;
    Ok(Lowered { floor_hour_before: reply.number("floor before")?, floor_hour: reply.number("floor")? })
}
