//! `dead_retry` and `dead_discard`: what an operator does with jobs that gave up.

use crate::connection::link::Link;
use crate::protocol::ids::{JobId, QueueName};
use crate::protocol::keys::Keys;
use crate::scripts::script::{Keyword, Reply, keywords, parts, script};

use super::error::{ScriptError, status};

script!(
    DEAD_RETRY, "dead_retry",
    [
        parts::NUMBERS, parts::FORMAT, parts::HEAD_COUNTERS, parts::CHECKS, parts::PARKED_ROW,
        parts::DEAD_COUNT, parts::QUEUE_STREAMS, parts::REQUEUE,
    ],
    keys [head queues registered parked dead; queue in_flight],
    args [nonce queue_count; name; id],
    status Status,
    each Retried,
    refusals [stale_keys uninitialised partition_frozen corrupt_partition]
);

script!(
    DEAD_DISCARD, "dead_discard",
    [
        parts::NUMBERS, parts::FORMAT, parts::HEAD_COUNTERS, parts::CHECKS, parts::PARKED_ROW,
        parts::DEAD_COUNT,
    ],
    keys [head parked dead],
    args [nonce; id],
    status Status,
    each Discarded,
    refusals [uninitialised partition_frozen corrupt_partition]
);

keywords!(
    enum Status {
        Done = "done",
    }
);

keywords! {
    enum Retried {
        Requeued = "requeued",
        Absent = "absent",
        Damaged = "corrupt_state",
        NotKept = "not_kept",
    }
}

keywords! {
    enum Discarded {
        Discarded = "discarded",
        Absent = "absent",
    }
}

/// Most ids in one call.
pub const IDS_MAX: usize = 100;

/// What became of one id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeadResult {
    /// Back in its stream.
    Requeued,
    /// Given up for good.
    Discarded,
    /// Not in dead.
    Absent,
    /// There are no bytes to put back: too many were dead for the same reason when it came.
    NotKept,
    /// Its row is damaged, or its queue is gone; left as it was.
    Damaged,
}

/// Puts dead jobs back into their streams; `queues` must be all queues of the partition, `ids` at most [`IDS_MAX`].
///
/// # Errors
/// [`ScriptError::StaleKeys`] if `queues` is out of date; else as [`settle`](super::settle::settle).
pub async fn retry(
    link: &mut Link,
    keys: &Keys,
    queues: &[QueueName],
    ids: &[JobId],
) -> Result<Vec<DeadResult>, ScriptError> {
    let call = DEAD_RETRY
        .call()
        .key(keys.head())
        .key(keys.queues())
        .key(keys.registered())
        .key(keys.parked())
        .key(keys.dead())
        .arg(queues.len());
    let mut call = call.queues(keys, queues);
    ids.iter().for_each(|id| call.push_arg(id.as_str()));
    read(call.run(link).await?, ids.len(), |result| match result {
        Retried::Requeued => DeadResult::Requeued,
        Retried::Absent => DeadResult::Absent,
        Retried::Damaged => DeadResult::Damaged,
        Retried::NotKept => DeadResult::NotKept,
    })
}

/// Gives dead jobs up for good; `ids` at most [`IDS_MAX`].
///
/// # Errors
/// As [`settle`](super::settle::settle).
pub async fn discard(link: &mut Link, keys: &Keys, ids: &[JobId]) -> Result<Vec<DeadResult>, ScriptError> {
    let mut call = DEAD_DISCARD.call().key(keys.head()).key(keys.parked()).key(keys.dead());
    ids.iter().for_each(|id| call.push_arg(id.as_str()));
    read(call.run(link).await?, ids.len(), |result| match result {
        Discarded::Discarded => DeadResult::Discarded,
        Discarded::Absent => DeadResult::Absent,
    })
}

fn read<T: Keyword>(
    mut reply: Reply,
    count: usize,
    meaning: impl Fn(T) -> DeadResult,
) -> Result<Vec<DeadResult>, ScriptError> {
    let Status::Done = status(&mut reply)?;
    let results = (0..count).map(|_| reply.keyword("result").map(&meaning));
    Ok(results.collect::<Result<_, _>>()?)
}
