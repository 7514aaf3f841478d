//! `receipts_drop`: raises the receipts floor and unlinks what is below.

use crate::connection::link::Link;
use crate::protocol::ids::{Bucket, QueueName};
use crate::protocol::keys::Keys;
use crate::scripts::script::{keywords, parts, script};

use super::error::{ScriptError, status};

script!(
    RECEIPTS_DROP, "receipts_drop", [
        parts::NUMBERS, parts::CLOCK, parts::FORMAT, parts::HEAD_COUNTERS, parts::CHECKS, parts::QUEUE_FIELDS,
        parts::IN_FLIGHT, parts::ROWS, parts::ENTRIES, parts::QUEUE_STREAMS,
    ],
    keys [head queues registered; queue in_flight; bucket],
    args [nonce floor_hour bucket_count pace; name],
    status Status,
    refusals [stale_keys uninitialised partition_frozen corrupt_partition]
);

keywords! {
    enum Status {
        Dropped = "dropped",
        Moved = "moved",
    }
}

/// Most buckets in one call: six weeks.
pub const BUCKETS_MAX: u64 = 1_000;

/// How far the floor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Floor {
    /// The floor now, in hours since the Unix epoch.
    pub floor_hour: u64,
    /// The floor that the rule and the pace allow; call again while the two differ.
    pub allowed_hour: u64,
    /// The floor that the rule alone allows.
    pub by_rule_hour: u64,
    /// How many buckets were unlinked.
    pub unlinked: u64,
}

/// How fast the floor may rise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// An hour for each hour since it was last raised, an hour in a minute at most. The caller has seen for a minute
    /// that the server's clock runs like its own.
    Paced,
    /// As far as the rule allows: a person has looked.
    ByHand,
}

impl Pace {
    fn name(self) -> &'static str {
        match self {
            Self::Paced => "paced",
            Self::ByHand => "by_hand",
        }
    }
}

/// Raises the floor from `floor_hour` by up to `hours_max` hours, [`BUCKETS_MAX`] at most; with 0 it only says what is
/// allowed. `queues` must be all queues of the partition.
/// `None` if the floor is another by now: read it again.
///
/// # Errors
/// [`ScriptError::StaleKeys`] if `queues` is out of date; else as [`settle`](super::settle::settle).
pub async fn receipts_drop(
    link: &mut Link,
    keys: &Keys,
    queues: &[QueueName],
    floor_hour: u64,
    pace: Pace,
    hours_max: u64,
) -> Result<Option<Floor>, ScriptError> {
    let hours = hours_max.min(BUCKETS_MAX);
    let mut call = RECEIPTS_DROP.call().key(keys.head()).key(keys.queues()).key(keys.registered());
    call.push_arg(floor_hour);
    call.push_arg(hours);
    call.push_arg(pace.name());
    let mut call = call.queues(keys, queues);
    for hour in floor_hour..floor_hour + hours {
        call.push_key(keys.receipts(Bucket::Hour(hour)));
    }
    let mut reply = call.run(link).await?;
    match status(&mut reply)? {
        Status::Dropped => Ok(Some(Floor {
            floor_hour: reply.number("floor")?,
            allowed_hour: reply.number("allowed floor")?,
            by_rule_hour: reply.number("floor by the rule")?,
            unlinked: reply.number("unlinked")?,
        })),
        Status::Moved => Ok(None),
    }
}
