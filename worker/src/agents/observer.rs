//! The observer reads how much waits and how old it is, for `/metrics`. It runs only where that is served.

use std::time::Duration;

use tollgate::link::Link;
use tollgate::scripts::{ScriptError, stats};

use super::Agent;
use crate::process::Worker;
use crate::shutdown::Phase;

const LOOK_EVERY: Duration = Duration::from_secs(2);

pub(crate) struct Observer;

impl Agent for Observer {
    const NAME: &'static str = "observe";
    const UNTIL: Phase = Phase::Over;

    async fn round(&mut self, worker: &Worker, link: &mut Link) -> Result<Duration, ScriptError> {
        for lane in &worker.lanes {
            let partition = stats::read(link, &lane.keys).await?;
            for queue in partition.queues {
                let age_ms =
                    queue.oldest_at_ms.map_or(0, |oldest_ms| partition.at_ms.saturating_sub(oldest_ms));
                let age = Duration::from_millis(age_ms);
                let (metrics, name) = (&worker.health.metrics, queue.name.as_str());
                metrics.queue(lane.partition.number(), name, queue.waiting, queue.pending, age);
            }
        }
        Ok(LOOK_EVERY)
    }
}
