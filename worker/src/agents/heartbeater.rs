//! The heartbeater says that this worker lives and what it runs, and reads which queues there are and are paused.
//!
//! Nothing rests on a beat: a worker that stops beating loses its name in the list, never a job.

use std::time::Duration;

use tollgate::link::Link;
use tollgate::scripts::{ScriptError, beat};

use super::Agent;
use crate::process::Worker;
use crate::shutdown::Phase;

/// Also how long a pause and a new queue take to be seen.
const BEAT_EVERY: Duration = Duration::from_secs(1);
/// With many partitions beats get rarer, so that they stay a small part of what Redis does.
const REST_PER_PARTITION: Duration = Duration::from_millis(5);

pub(crate) struct Heartbeater;

impl Agent for Heartbeater {
    const NAME: &'static str = "heartbeat";
    const UNTIL: Phase = Phase::Over;

    async fn round(&mut self, worker: &Worker, link: &mut Link) -> Result<Duration, ScriptError> {
        let description = worker.describe().encode();
        for lane in &worker.lanes {
            beat::beat(link, &lane.keys, &worker.consumer, &description).await?;
            lane.refresh(link, &worker.config.queues).await?;
        }
        Ok(BEAT_EVERY.max(REST_PER_PARTITION * worker.lanes.len() as u32))
    }
}
