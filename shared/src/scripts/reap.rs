//! `reap`: removes a consumer that is gone and holds nothing.

use std::time::Duration;

use crate::ids::QueueName;
use crate::keys::Keys;
use crate::link::Link;
use crate::script::{millis, parts, script};

use super::{ScriptError, common_status, with_queues};

script!(
    REAP, "reap", [parts::NUMBERS, parts::CHECKS, parts::ENTRIES, parts::QUEUE_STREAMS],
    keys [queues registered workers],
    args [nonce consumer silent_ms_min]
);

/// What became of the consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaped {
    /// Removed.
    Gone,
    /// It beat within the time.
    Alive,
    /// Entries are pending under it; they have to be claimed first.
    Holding,
}

/// Removes `consumer` if it has been silent for `silent` (zero: it says so of itself) and holds no entry.
/// `queues` must be all queues of the partition.
///
/// # Errors
/// [`ScriptError::StaleKeys`] if `queues` is out of date; else as [`settle`](super::settle::settle).
pub async fn reap(
    link: &mut Link,
    keys: &Keys,
    queues: &[QueueName],
    consumer: &str,
    silent: Duration,
) -> Result<Reaped, ScriptError> {
    let call = REAP.call().key(keys.queues()).key(keys.registered()).key(keys.workers());
    let call = call.arg(consumer).arg(millis(silent));
    let mut reply = with_queues(call, keys, queues).run(link).await?;
    match reply.text("status")?.as_str() {
        "reaped" => Ok(Reaped::Gone),
        "alive" => Ok(Reaped::Alive),
        "holding" => Ok(Reaped::Holding),
        other => Err(common_status(other, &mut reply)),
    }
}
