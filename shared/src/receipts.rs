//! Receipts grow old: the loop that raises a partition's receipts floor as far as the rule allows.
//!
//! The rule is the script's ([`receipts_drop`](mod@crate::scripts::receipts_drop)); this only calls it until
//! it has nothing left to do. Must not judge by a clock of its own.

use std::fmt;

use crate::failure::Failure;
use crate::ids::HOUR_MS;
use crate::instant::Instant;
use crate::keys::Keys;
use crate::link::Link;
use crate::scripts::receipts_drop::{Floor, receipts_drop};
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

/// Raises the floor of one partition as far as the rule allows, and unlinks the buckets below.
///
/// Each call of the script is complete in itself: cut off anywhere, the floor is where the last one left it,
/// and the next loop goes on from there. Two loops at once raise the same floor; one of them reads again.
///
/// # Errors
/// As [`settle`](crate::scripts::settle::settle).
pub async fn drop_old(link: &mut Link, keys: &Keys) -> Result<Dropped, ScriptError> {
    /// Others add queues and raise floors rarely; this many surprises in a row are damage.
    const SURPRISES_MAX: usize = 10;
    let floor_hour_before = stats::read(link, keys).await?.head.receipts_floor_hour;
    let mut dropped = Dropped { floor_hour_before, floor_hour: floor_hour_before, buckets: 0 };
    let mut surprises = 0;
    while surprises < SURPRISES_MAX {
        let queues = queue::known(link, keys).await?;
        match receipts_drop(link, keys, &queues, dropped.floor_hour).await {
            Ok(Some(Floor { floor_hour, allowed_hour, unlinked })) => {
                dropped.floor_hour = floor_hour;
                dropped.buckets += unlinked;
                if floor_hour == allowed_hour {
                    return Ok(dropped);
                }
                surprises = 0;
            }
            Ok(None) => {
                dropped.floor_hour = stats::read(link, keys).await?.head.receipts_floor_hour;
                surprises += 1;
            }
            Err(ScriptError::StaleKeys) => surprises += 1,
            Err(error) => return Err(error),
        }
    }
    Err(Failure::unknown("the receipts floor or the list of queues changes all the time").into())
}
