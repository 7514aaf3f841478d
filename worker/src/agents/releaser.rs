//! The releaser puts what was reserved on sale again when the reservation's time is over and nobody has committed it, and
//! ends what is reserved of a cancelled inventory.
//!
//! A commit wins as long as the release is not settled, so time counts only here: what ends is what would have ended when
//! the oldest entry that is not settled was sent. A queue that stands still ends nothing. And only while the server's
//! clock runs as ours does: one that jumps must not empty every cart. Settle decides; several may try at once.
//!
//! A cancelled inventory is found by its member in front of the index; settle takes it out with the last reservation. So
//! wherever this process dies, the next look of any worker finds what is left.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tollgate::ids::InventoryId;
use tollgate::link::Link;
use tollgate::partition::Partition;
use tollgate::scripts::ScriptError;
use tollgate::scripts::reservation::{self, Reservation};
use tollgate::scripts::settle::Answer;
use tracing::warn;

use super::Agent;
use crate::failpoint::failpoint;
use crate::partition_state::PartitionState;
use crate::shutdown::Phase;
use crate::worker::Worker;

/// Reservations that one call ends; an order has 64 lines at most.
const PAGE: usize = 16;
/// Members of the index that one step of a scan looks at.
const SCAN: usize = 500;
/// Cancelled inventories that one visit goes on with.
const CANCELLED_AT_ONCE: usize = 8;
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The same of one worker in a large fleet.
const LOOK_EVERY_MAX: Duration = Duration::from_secs(30);
/// For how long the two clocks must have run alike: at first, and after they did not.
const WATCH_FIRST: Duration = Duration::from_millis(500);
const WATCH_AFTER_JUMP: Duration = Duration::from_secs(60);
/// By how much they may differ: a slow reply.
const TOLERANCE_MS: u64 = 5_000;

/// Both clocks at one moment, and for how long they have to be watched from there.
#[derive(Debug, Clone, Copy)]
struct Watch {
    server_ms: u64,
    ours: Instant,
    needed: Duration,
}

#[derive(Debug, Default)]
pub(crate) struct Releaser {
    watches: HashMap<Partition, Watch>,
    /// How far the index was read for each cancelled inventory.
    cursors: HashMap<(Partition, InventoryId), u64>,
}

impl Agent for Releaser {
    const NAME: &'static str = "release";
    const UNTIL: Phase = Phase::Draining;

    async fn visit(
        &mut self,
        worker: &Arc<Worker>,
        state: &Arc<PartitionState>,
        link: &mut Link,
    ) -> Result<Duration, ScriptError> {
        let rest = state.rest_of_one(LOOK_EVERY, LOOK_EVERY_MAX);
        let server_ms = worker.tollgate.now(link, state.partition).await?.ms();
        let runs_alike = self.runs_alike(state.partition, server_ms, Instant::now());
        if !reservation::is_any_due(link, &state.keys, server_ms).await? {
            return Ok(rest);
        }
        let is_more = self.end_cancelled(worker, state, link, server_ms).await?;
        let rest = if is_more { Duration::ZERO } else { rest };
        if !runs_alike {
            return Ok(rest);
        }
        let horizon = reservation::horizon(link, &state.keys).await?;
        let due = reservation::due(link, &state.keys, horizon.as_of_ms, PAGE).await?;
        if due.is_empty() {
            return Ok(rest);
        }
        let ended = end(worker, state, link, &due, horizon.as_of_ms).await?;
        // One that is damaged stays in front; the others behind it wait for its repair, as told by the audit.
        Ok(if due.len() == PAGE && ended > 0 { Duration::ZERO } else { rest })
    }
}

/// Ends what may end of these; answers how many this call ended.
async fn end(
    worker: &Worker,
    state: &PartitionState,
    link: &mut Link,
    due: &[Reservation],
    as_of_ms: u64,
) -> Result<usize, ScriptError> {
    let answers = reservation::expire(link, &state.keys, due, as_of_ms).await?;
    let ended = answers.iter().filter(|answer| matches!(answer, Answer::Decided { .. })).count();
    worker.health.metrics.reservations_expired.inc_by(ended as u64);
    Ok(ended)
}

impl Releaser {
    /// One step of the scan for each cancelled inventory; answers whether there is more to do at once.
    async fn end_cancelled(
        &mut self,
        worker: &Worker,
        state: &PartitionState,
        link: &mut Link,
        server_ms: u64,
    ) -> Result<bool, ScriptError> {
        let mut is_more = false;
        for inventory in reservation::cancelled(link, &state.keys, CANCELLED_AT_ONCE).await? {
            let place = (state.partition, inventory);
            let cursor = self.cursors.get(&place).copied().unwrap_or_default();
            let (next, open) = reservation::open_of(link, &state.keys, &place.1, cursor, SCAN).await?;
            let mut ended = 0;
            for page in open.chunks(PAGE) {
                ended += end(worker, state, link, page, server_ms).await?;
                failpoint!("after_releases", std::iter::empty());
            }
            is_more |= next != 0 || ended > 0;
            if next == 0 {
                self.cursors.remove(&place)
            } else {
                self.cursors.insert(place, next)
            };
        }
        Ok(is_more)
    }

    /// Whether the server's clock has gone by as much as ours, for long enough.
    fn runs_alike(&mut self, partition: Partition, server_ms: u64, ours: Instant) -> bool {
        let new = |needed| Watch { server_ms, ours, needed };
        let watch = *self.watches.entry(partition).or_insert(new(WATCH_FIRST));
        let passed = ours.saturating_duration_since(watch.ours);
        let expected_ms = watch.server_ms.saturating_add(passed.as_millis() as u64);
        // Clocks that are set right by a little all the time differ by more in the long run.
        let tolerance_ms = TOLERANCE_MS + passed.as_millis() as u64 / 500;
        if server_ms.abs_diff(expected_ms) > tolerance_ms {
            warn!(
                %partition,
                "the clock of Redis did not run as ours did: no reservation ends until it has done so for a minute"
            );
            self.watches.insert(partition, new(WATCH_AFTER_JUMP));
            return false;
        }
        passed >= watch.needed
    }
}

#[cfg(test)]
mod tests {
    use tollgate::partition::Partitions;

    use super::*;

    #[test]
    fn a_clock_that_jumps_ends_nothing_for_a_minute() {
        let mut releaser = Releaser::default();
        let partition = Partitions::ONE.iter().next().unwrap();
        let begun = Instant::now();
        let mut look = |server_s: u64, ours_s: u64| {
            releaser.runs_alike(partition, 1_000_000 + server_s * 1000, begun + Duration::from_secs(ours_s))
        };
        assert!(!look(0, 0), "nothing is known yet");
        assert!(look(1, 1));
        assert!(look(3_603, 3_600));
        assert!(!look(2 * 3_600, 3_601), "an hour ahead");
        assert!(!look(2 * 3_600 + 59, 3_660));
        assert!(!look(3_661, 3_661), "and back");
        assert!(!look(3_720, 3_720));
        assert!(look(3_721, 3_721));
    }
}
