//! The reaper removes workers that are gone from the list of workers.
//!
//! Nothing rests on the list: what a dead worker has in flight is taken over by its row. A worker that was only paused for
//! long gets its name back with its next beat.

use std::sync::Arc;
use std::time::Duration;

use tollgate::link::Link;
use tollgate::scripts::ScriptError;
use tollgate::scripts::reap::{Reaped, reap};
use tollgate::workers;
use tracing::info;

use super::{Agent, heartbeater};
use crate::partition_state::PartitionState;
use crate::shutdown::Phase;
use crate::worker::Worker;

const LOOK_EVERY: Duration = Duration::from_secs(30);
const LOOK_EVERY_MAX: Duration = Duration::from_secs(300);
/// No shorter silence counts as death; beats come every five seconds or sooner.
const SILENT_MIN: Duration = Duration::from_secs(60);
/// In claim idles: by then the rows of a dead worker have been taken over.
const SILENT_CLAIM_IDLES: u32 = 3;

pub(crate) struct Reaper;

impl Agent for Reaper {
    const NAME: &'static str = "reap";
    const UNTIL: Phase = Phase::Draining;

    async fn visit(
        &mut self,
        worker: &Arc<Worker>,
        state: &Arc<PartitionState>,
        link: &mut Link,
    ) -> Result<Duration, ScriptError> {
        let silent = SILENT_MIN.max(worker.config.claim_idle * SILENT_CLAIM_IDLES);
        let silent_ms = silent.as_millis() as u64;
        let beats = workers::beats(link, &state.keys).await?;
        // Our own beat is the server's time, nearly. One from far ahead of it was made before the clock went back.
        let Some(now_ms) = beats.iter().find(|beat| beat.consumer == worker.consumer).map(|beat| beat.at_ms)
        else {
            // Not there yet.
            return Ok(heartbeater::every(worker, state));
        };
        for beat in beats.iter().filter(|beat| beat.consumer != worker.consumer) {
            // The script looks again before it removes one.
            if now_ms.abs_diff(beat.at_ms) >= silent_ms
                && reap(link, &state.keys, &beat.consumer, silent).await? == Reaped::Gone
            {
                worker.health.metrics.reaped.inc();
                info!(consumer = beat.consumer, partition = %state.partition, "removed a worker that is gone");
            }
        }
        Ok(state.rest_of_one(LOOK_EVERY, LOOK_EVERY_MAX))
    }
}
