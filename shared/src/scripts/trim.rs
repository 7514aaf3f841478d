//! `trim`: removes settled entries from a queue's stream, singly where a slow row keeps too many of them.

use crate::connection::link::Link;
use crate::protocol::ids::QueueName;
use crate::protocol::keys::Keys;
use crate::scripts::script::{keywords, parts, script};

use super::error::{ScriptError, status};

script!(
    TRIM, "trim",
    [
        parts::NUMBERS, parts::FORMAT, parts::HEAD_COUNTERS, parts::CHECKS, parts::QUEUE_FIELDS, parts::GROUP,
        parts::IN_FLIGHT, parts::ROWS, parts::ENTRIES,
    ],
    keys [head queue in_flight],
    args [nonce name kept_max count],
    status Status,
    refusals [uninitialised partition_frozen corrupt_partition]
);

keywords!(
    enum Status {
        Trimmed = "trimmed",
    }
);

/// How many settled entries a slow row may keep in its stream before they are deleted singly.
pub const KEPT_MAX: u64 = 50_000;
/// How many are deleted singly in one call: some milliseconds of Redis's time.
const PAGE: u64 = 1_000;

/// What a trim did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trimmed {
    /// Entries that were removed.
    pub removed: u64,
    /// Whether there are more to delete: call again.
    pub is_unfinished: bool,
}

/// Trims the stream of `queue`, of which `kept_max` settled entries may be kept.
///
/// # Errors
/// As [`settle`](super::settle::settle).
pub async fn trim(
    link: &mut Link,
    keys: &Keys,
    queue: &QueueName,
    kept_max: u64,
) -> Result<Trimmed, ScriptError> {
    let call = TRIM.call().key(keys.head()).key(keys.queue(queue)).key(keys.in_flight(queue));
    let mut reply = call.arg(queue.as_str()).arg(kept_max).arg(PAGE).run(link).await?;
    let Status::Trimmed = status(&mut reply)?;
    Ok(Trimmed { removed: reply.number("removed")?, is_unfinished: reply.number("is unfinished")? == 1 })
}
