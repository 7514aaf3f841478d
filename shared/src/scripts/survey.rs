//! `survey`: what `stats` answers, and remembers what it saw of each queue.

use crate::connection::link::Link;
use crate::protocol::ids::QueueName;
use crate::protocol::keys::Keys;
use crate::scripts::script::{parts, script};

use super::error::ScriptError;
use super::stats::{PartitionStats, Status, ask, read_by};

script!(
    SURVEY, "survey",
    [
        parts::NUMBERS, parts::CLOCK, parts::FORMAT, parts::CHECKS, parts::QUEUE_FIELDS, parts::GROUP,
        parts::IN_FLIGHT, parts::ROWS, parts::ENTRIES, parts::QUEUE_STATE, parts::QUEUE_STREAMS,
        parts::PARTITION_STATS,
    ],
    keys [head queues registered scheduled dead parked resources; queue in_flight],
    args [nonce; name],
    status Status,
    refusals [uninitialised stale_keys corrupt_partition]
);

/// Surveys one partition; `queues` must be all its queues.
///
/// # Errors
/// As [`stats`](super::stats::stats).
pub async fn survey(
    link: &mut Link,
    keys: &Keys,
    queues: &[QueueName],
) -> Result<PartitionStats, ScriptError> {
    ask(SURVEY.call(), Some(keys.resources()), link, keys, queues).await
}

/// The queues of a partition, then its survey: again if a queue was added in between.
///
/// # Errors
/// As [`survey`].
pub async fn read(link: &mut Link, keys: &Keys) -> Result<PartitionStats, ScriptError> {
    read_by(&SURVEY, Some(keys.resources()), link, keys).await
}
