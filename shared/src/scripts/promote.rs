//! `promote`: puts scheduled jobs that are due back into their streams.

use crate::connection::link::Link;
use crate::protocol::ids::QueueName;
use crate::protocol::keys::Keys;
use crate::scripts::script::{keywords, parts, script};

use super::error::{ScriptError, status};

script!(
    PROMOTE, "promote",
    [
        parts::NUMBERS, parts::CLOCK, parts::FORMAT, parts::HEAD_COUNTERS, parts::CHECKS, parts::PARKED_ROW,
        parts::DEAD_COUNT, parts::QUEUE_STREAMS, parts::REQUEUE,
    ],
    keys [head queues registered parked scheduled dead; queue in_flight],
    args [nonce limit; name],
    status Status,
    refusals [stale_keys uninitialised partition_frozen corrupt_partition]
);

keywords!(
    enum Status {
        Promoted = "promoted",
    }
);

/// What was promoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promotion {
    /// How many went back into their streams.
    pub promoted: u64,
    /// How many were due but have a damaged row, or a queue that is gone: they lie in dead now.
    pub damaged: u64,
    /// Server time, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// When the next scheduled job is due, in milliseconds since the Unix epoch.
    pub next_due_ms: Option<u64>,
}

/// Promotes up to `limit` due jobs; `queues` must be all queues of the partition.
///
/// # Errors
/// [`ScriptError::StaleKeys`] if `queues` is out of date; else as [`settle`](super::settle::settle).
pub async fn promote(
    link: &mut Link,
    keys: &Keys,
    queues: &[QueueName],
    limit: usize,
) -> Result<Promotion, ScriptError> {
    let call = PROMOTE
        .call()
        .key(keys.head())
        .key(keys.queues())
        .key(keys.registered())
        .key(keys.parked())
        .key(keys.scheduled())
        .key(keys.dead())
        .arg(limit);
    let mut reply = call.queues(keys, queues).run(link).await?;
    let Status::Promoted = status(&mut reply)?;
    Ok(Promotion {
        promoted: reply.number("promoted")?,
        damaged: reply.number("damaged")?,
        at_ms: reply.number("at_ms")?,
        // A score is printed as a double; milliseconds are whole.
        next_due_ms: reply.text("next due")?.parse::<f64>().ok().map(|due_ms| due_ms as u64),
    })
}
