//! `receipts_drop`: raises the receipts floor and unlinks what is below.

use crate::ids::{Bucket, QueueName};
use crate::keys::Keys;
use crate::link::Link;
use crate::script::{parts, script};

use super::{ScriptError, common_status};

script!(
    RECEIPTS_DROP, "receipts_drop", [parts::NUMBERS, parts::CHECKS, parts::HEAD_COUNTERS, parts::ENTRIES, parts::QUEUE_STREAMS],
    keys [head queues registered],
    args [nonce floor_hour bucket_count]
);

/// Most buckets in one call: six weeks.
pub const BUCKETS_MAX: u64 = 1_000;

/// How far the floor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Floor {
    /// The floor now, in hours since the Unix epoch.
    pub floor_hour: u64,
    /// The floor that the rule allows; call again while the two differ.
    pub allowed_hour: u64,
    /// How many buckets were unlinked.
    pub unlinked: u64,
}

/// Raises the floor from `floor_hour` by up to [`BUCKETS_MAX`] hours; `queues` must be all queues of the partition.
/// `None` if the floor is another by now: read it again.
///
/// # Errors
/// [`ScriptError::StaleKeys`] if `queues` is out of date; else as [`settle`](super::settle::settle).
pub async fn receipts_drop(
    link: &mut Link,
    keys: &Keys,
    queues: &[QueueName],
    floor_hour: u64,
) -> Result<Option<Floor>, ScriptError> {
    let mut call = RECEIPTS_DROP.call().key(keys.head()).key(keys.queues()).key(keys.registered());
    call.push_arg(floor_hour);
    call.push_arg(BUCKETS_MAX);
    let mut call = super::with_queues(call, keys, queues);
    for hour in floor_hour..floor_hour + BUCKETS_MAX {
        call.push_key(keys.receipts(Bucket::Hour(hour)));
    }
    let mut reply = call.run(link).await?;
    match reply.text("status")?.as_str() {
        "dropped" => Ok(Some(Floor {
            floor_hour: reply.number("floor")?,
            allowed_hour: reply.number("allowed floor")?,
            unlinked: reply.number("unlinked")?,
        })),
        "moved" => Ok(None),
        other => Err(common_status(other, &mut reply)),
    }
}
