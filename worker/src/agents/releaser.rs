//! The releaser puts what was reserved on sale again when the reservation's time is over and nobody has committed it.
//!
//! A commit wins as long as the release is not settled, so time counts only here: what ends is what would have ended when
//! the oldest entry that is not settled was sent. A queue that stands still ends nothing. And only while the server's
//! clock runs as ours does: one that jumps must not empty every cart. Settle decides; several may try at once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tollgate::link::Link;
use tollgate::partition::Partition;
use tollgate::scripts::ScriptError;
use tollgate::scripts::reservation;
use tollgate::scripts::settle::Answer;
use tracing::warn;

use super::Agent;
use crate::partition_state::PartitionState;
use crate::shutdown::Phase;
use crate::worker::Worker;

/// Reservations that one call ends; an order has 64 lines at most.
const PAGE: usize = 16;
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
        let server_ms = worker.tollgate.now(link).await?.ms();
        if !self.runs_alike(state.partition, server_ms, Instant::now()) {
            return Ok(rest);
        }
        if reservation::due(link, &state.keys, server_ms, 1).await?.is_empty() {
            return Ok(rest);
        }
        let horizon = reservation::horizon(link, &state.keys).await?;
        let due = reservation::due(link, &state.keys, horizon.as_of_ms, PAGE).await?;
        if due.is_empty() {
            return Ok(rest);
        }
        let answers = reservation::expire(link, &state.keys, &due, horizon.as_of_ms).await?;
        let ended = answers.iter().filter(|answer| matches!(answer, Answer::Decided { .. })).count();
        worker.health.metrics.reservations_expired.inc_by(ended as u64);
        // One that is damaged stays in front; the others behind it wait for its repair, as told by the audit.
        Ok(if due.len() == PAGE && ended > 0 { Duration::ZERO } else { rest })
    }
}

impl Releaser {
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
