//! Receipts grow old: the loop that raises a partition's receipts floor as far as the rule allows.
//!
//! The rule is the script's ([`receipts_drop`](mod@crate::scripts::receipts_drop)); this only calls it until
//! it has nothing left to do. Must not judge the age of an id by a clock of its own.

use std::fmt;

use crate::connection::failure::Failure;
use crate::connection::link::Link;
use crate::protocol::ids::{Bucket, HOUR_MS};
use crate::protocol::instant::Instant;
use crate::protocol::keys::Keys;
use crate::scripts::receipts_drop::{BUCKETS_MAX, Floor, Pace, receipts_drop};
use crate::scripts::{ScriptError, queue, stats};

/// What one partition dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dropped {
    /// The floor before, in hours since the Unix epoch.
    pub floor_hour_before: u64,
    /// The floor now: a timed id of an earlier hour is answered `id_expired`.
    pub floor_hour: u64,
    /// How many receipt buckets went.
    pub buckets: u64,
}

impl Dropped {
    /// The first instant whose ids still have their receipts.
    pub fn floor_at(&self) -> Option<Instant> {
        Instant::from_ms(self.floor_hour.checked_mul(HOUR_MS)?)
    }
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.floor_at() {
            Some(at) => write!(f, "floor {at}, {} buckets dropped", self.buckets),
            None => write!(f, "floor hour {}, {} buckets dropped", self.floor_hour, self.buckets),
        }
    }
}

/// Raises the floor of one partition as far as the rule and `pace` allow, and unlinks the buckets below.
///
/// Each call of the script is complete in itself: cut off anywhere, the floor is where the last one left it,
/// and the next loop goes on from there. Two loops at once raise the same floor; one of them reads again.
///
/// # Errors
/// As [`settle`](crate::scripts::settle::settle).
pub async fn drop_old(link: &mut Link, keys: &Keys, pace: Pace) -> Result<Dropped, ScriptError> {
    let hours = match pace {
        // It allows no more at once.
        Pace::Paced => 1,
        Pace::ByHand => BUCKETS_MAX,
    };
    let floor_hour_before = stats::read(link, keys).await?.head.receipts_floor_hour;
    let mut dropped = Dropped { floor_hour_before, floor_hour: floor_hour_before, buckets: 0 };
    loop {
        let floor = raise(link, keys, &mut dropped.floor_hour, pace, hours).await?;
        dropped.buckets += floor.unlinked;
        // A paced call that has raised is not allowed another hour for a minute.
        if floor.floor_hour >= floor.allowed_hour || pace == Pace::Paced {
            return Ok(dropped);
        }
    }
}

/// What raising the floor by hand would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preview {
    /// The floor now, in hours since the Unix epoch.
    pub floor_hour: u64,
    /// The floor that the rule allows.
    pub by_rule_hour: u64,
    /// The floor that workers would raise it to by themselves now.
    pub paced_hour: u64,
    /// How many receipts lie in between.
    pub receipts: u64,
}

/// Says what [`drop_old`] by hand would do now; changes nothing.
///
/// # Errors
/// As [`drop_old`].
pub async fn preview(link: &mut Link, keys: &Keys) -> Result<Preview, ScriptError> {
    let mut floor_hour = stats::read(link, keys).await?.head.receipts_floor_hour;
    let floor = raise(link, keys, &mut floor_hour, Pace::Paced, 0).await?;
    let hours: Vec<u64> = (floor_hour..floor.by_rule_hour).collect();
    let mut receipts = 0;
    for chunk in hours.chunks(BUCKETS_MAX as usize) {
        let mut pipeline = redis::Pipeline::with_capacity(chunk.len());
        for hour in chunk {
            pipeline.cmd("HLEN").arg(keys.receipts(Bucket::Hour(*hour)));
        }
        for reply in link.run_pipeline(&pipeline).await? {
            receipts += redis::from_redis_value::<u64>(reply?)
                .map_err(|error| Failure::unknown(format!("a count that cannot be read: {error}")))?;
        }
    }
    Ok(Preview { floor_hour, by_rule_hour: floor.by_rule_hour, paced_hour: floor.allowed_hour, receipts })
}

/// One call of the script, again while the floor or the list of queues has changed since it was read.
async fn raise(
    link: &mut Link,
    keys: &Keys,
    floor_hour: &mut u64,
    pace: Pace,
    hours: u64,
) -> Result<Floor, ScriptError> {
    /// Others add queues and raise floors rarely; this many surprises in a row are damage.
    const SURPRISES_MAX: usize = 10;
    for _ in 0..SURPRISES_MAX {
        let queues = queue::known(link, keys).await?;
        match receipts_drop(link, keys, &queues, *floor_hour, pace, hours).await {
            Ok(Some(floor)) => {
                *floor_hour = floor.floor_hour;
                return Ok(floor);
            }
            Ok(None) => *floor_hour = stats::read(link, keys).await?.head.receipts_floor_hour,
            Err(ScriptError::StaleKeys) => {}
            Err(error) => return Err(error),
        }
    }
    Err(Failure::unknown("the receipts floor or the list of queues changed at each attempt; try again")
        .into())
}
