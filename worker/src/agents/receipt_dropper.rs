//! The receipt dropper raises the receipts floor, so that receipts do not pile up for ever.
//!
//! The rule and the pace are in the script: the floor never rises above an entry that is not settled, and by an hour
//! for each hour that went by. Here is what the script cannot see: whether the server's clock runs as time does. It is
//! compared with this process's own over at least a minute, and while they differ nothing is dropped.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tollgate::link::Link;
use tollgate::partition::Partition;
use tollgate::random;
use tollgate::receipts;
use tollgate::scripts::ScriptError;
use tollgate::scripts::receipts_drop::Pace;
use tracing::{info, warn};

use super::Agent;
use crate::partition_state::PartitionState;
use crate::shutdown::Phase;
use crate::worker::Worker;

/// The width of a bucket.
const DROP_EVERY: Duration = Duration::from_secs(3600);
/// For how long the two clocks are compared at least; by as much faster than time the floor catches up.
const WATCH_MIN: Duration = Duration::from_secs(60);

/// Both clocks at one moment.
#[derive(Debug, Clone, Copy)]
struct Sample {
    server_ms: u64,
    ours: Instant,
}

#[derive(Debug, Default)]
pub(crate) struct ReceiptDropper {
    samples: HashMap<Partition, Sample>,
}

impl Agent for ReceiptDropper {
    const NAME: &'static str = "drop receipts";
    const UNTIL: Phase = Phase::Draining;

    async fn visit(
        &mut self,
        worker: &Arc<Worker>,
        state: &Arc<PartitionState>,
        link: &mut Link,
    ) -> Result<Duration, ScriptError> {
        let ours = Instant::now();
        let sample = Sample { server_ms: worker.tollgate.now(link, state.partition).await?.ms(), ours };
        let Some(before) = self.samples.insert(state.partition, sample) else { return Ok(WATCH_MIN) };
        let (server, ours) = (sample.server_ms.checked_sub(before.server_ms), sample.ours - before.ours);
        if !runs_alike(server.map(Duration::from_millis), ours) {
            warn!(
                partition = %state.partition,
                "the clock of Redis did not run as ours did: no receipts are dropped until it does for a minute"
            );
            return Ok(WATCH_MIN);
        }
        let dropped = receipts::drop_old(link, &state.keys, Pace::Paced).await?;
        if dropped.buckets > 0 {
            info!(partition = %state.partition, "old receipts were dropped: {dropped}");
        }
        Ok(match dropped.floor_hour > dropped.floor_hour_before {
            // There may be more to catch up with.
            true => WATCH_MIN,
            false => DROP_EVERY.mul_f64(random::in_range(0.9..1.1)),
        })
    }
}

/// Whether the server's clock went by as much as ours, over long enough to tell. `None`: it went back.
fn runs_alike(server: Option<Duration>, ours: Duration) -> bool {
    // A slow reply, and a clock that is being slewed.
    let tolerance = Duration::from_secs(5) + ours / 500;
    ours >= WATCH_MIN - Duration::from_secs(1)
        && server.is_some_and(|server| server.abs_diff(ours) <= tolerance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_jumps_is_not_believed() {
        let seconds = Duration::from_secs;
        for (server, ours, is_alike) in [
            (Some(60), 60, true),
            (Some(63), 60, true),
            (Some(3_605), 3_600, true),
            (Some(30), 30, false),
            (Some(8 * 86_400), 60, false),
            (Some(120), 60, false),
            (Some(0), 60, false),
            (None, 3_600, false),
        ] {
            assert_eq!(runs_alike(server.map(seconds), seconds(ours)), is_alike, "{server:?} {ours}");
        }
    }
}
