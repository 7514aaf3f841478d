//! The reaper removes consumers that are gone from the groups and from the list of workers.
//!
//! The script checks and deletes at once, and never a consumer that holds an entry: those are claimed first. A worker
//! that was only paused for long loses its name and gets it back with its next beat and read.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tollgate::ids::QueueName;
use tollgate::link::Link;
use tollgate::random;
use tollgate::scripts::reap::{Reaped, reap};
use tollgate::scripts::{ScriptError, queue};
use tollgate::workers;
use tracing::info;

use super::Agent;
use crate::lane::Lane;
use crate::process::Worker;
use crate::shutdown::Phase;

const LOOK_EVERY: Duration = Duration::from_secs(30);
/// No shorter silence counts as death; beats come every second.
const SILENT_MIN: Duration = Duration::from_secs(60);
/// In claim idles: by then the entries of a dead worker have been claimed.
const SILENT_CLAIM_IDLES: u32 = 3;

pub(crate) struct Reaper;

impl Agent for Reaper {
    const NAME: &'static str = "reap";
    const UNTIL: Phase = Phase::Draining;

    async fn visit(
        &mut self,
        worker: &Arc<Worker>,
        lane: &Arc<Lane>,
        link: &mut Link,
    ) -> Result<Duration, ScriptError> {
        let silent = SILENT_MIN.max(worker.config.claim_idle * SILENT_CLAIM_IDLES);
        let queues = queue::known(link, &lane.keys).await?;
        for consumer in silent_consumers(lane, &queues, link, silent, &worker.consumer).await? {
            if consumer != worker.consumer
                && reap(link, &lane.keys, &queues, &consumer, silent).await? == Reaped::Gone
            {
                worker.health.metrics.reaped.inc();
                info!(consumer, partition = %lane.partition, "removed a worker that is gone");
            }
        }
        Ok(LOOK_EVERY.mul_f64(random::in_range(0.8..1.2)))
    }
}

/// The consumers that seem to be gone; the script looks again before it removes one.
async fn silent_consumers(
    lane: &Lane,
    queues: &[QueueName],
    link: &mut Link,
    silent: Duration,
    own: &str,
) -> Result<Vec<String>, ScriptError> {
    let silent_ms = silent.as_millis() as u64;
    let beats = workers::beats(link, &lane.keys).await?;
    // Our own beat is the server's time, nearly. One from far ahead of it was made before the clock went back.
    let ours = beats.iter().find(|beat| beat.consumer == own);
    let now_ms = ours.or(beats.iter().max_by_key(|beat| beat.at_ms)).map_or(0, |beat| beat.at_ms);
    let mut silent_for_ms: BTreeMap<String, u64> =
        beats.into_iter().map(|beat| (beat.consumer, now_ms.abs_diff(beat.at_ms))).collect();
    for queue in queues {
        for consumer in workers::consumers(link, &lane.keys, queue).await? {
            // One that never beat is known by its reads alone.
            silent_for_ms.entry(consumer.name).or_insert(consumer.idle_ms);
        }
    }
    Ok(silent_for_ms.into_iter().filter(|(_, ms)| *ms >= silent_ms).map(|(name, _)| name).collect())
}
