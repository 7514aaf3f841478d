//! The heartbeater says that this worker lives and what it runs, and reads which queues there are and are paused.
//!
//! Nothing rests on a beat: a worker that stops beating loses its name in the list, never a job.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tollgate::link::Link;
use tollgate::scripts::{ScriptError, beat};
use tracing::error;

use super::Agent;
use crate::partition_state::PartitionState;
use crate::shutdown::{Control, Phase};
use crate::worker::Worker;

/// Also how long a pause and a new queue take to be seen, of up to ten workers.
const BEAT_EVERY: Duration = Duration::from_secs(1);
/// The same of a large fleet; well within the time after which a worker counts as silent.
const BEAT_EVERY_MAX: Duration = Duration::from_secs(4);
/// With many partitions beats get rarer, so that they stay a small part of what Redis does.
const REST_PER_PARTITION: Duration = Duration::from_millis(5);

/// For so long the same words are said in every partition.
const DESCRIPTION_AGE_MAX: Duration = Duration::from_millis(200);

/// How long a beat is apart from the next.
pub(crate) fn every(worker: &Worker, state: &PartitionState) -> Duration {
    let rest = BEAT_EVERY.max(REST_PER_PARTITION * worker.partitions.len() as u32);
    state.rest_of_one(rest, BEAT_EVERY_MAX.max(rest))
}

/// What it says of itself, and since when.
type Said = (Instant, Arc<str>);

#[derive(Clone)]
pub(crate) struct Heartbeater {
    /// Of all partitions.
    description: Arc<Mutex<Option<Said>>>,
    control: Arc<Control>,
}

impl Agent for Heartbeater {
    const NAME: &'static str = "heartbeat";
    const UNTIL: Phase = Phase::Over;

    async fn visit(
        &mut self,
        worker: &Arc<Worker>,
        state: &Arc<PartitionState>,
        link: &mut Link,
    ) -> Result<Duration, ScriptError> {
        let beaten = beat::beat(link, &state.keys, &worker.consumer, &self.description(worker)).await;
        let beaten = match beaten {
            Ok(beaten) => beaten,
            // A list of workers that is damaged is no reason not to see which queues are paused.
            Err(error) => {
                state.refresh(link, &worker.config.queues).await?;
                return Err(error);
            }
        };
        let is_ours = beaten.identity.as_ref() == Some(worker.tollgate.identity());
        state.serve(link, state.heard(beaten), &worker.config.queues).await?;
        // A namespace that was initialised with another number of partitions has none of this name: its metadata knows.
        let now = if is_ours { None } else { worker.tollgate.identity_now(link).await? };
        if let Some(now) = now.filter(|now| now != worker.tollgate.identity()) {
            // Nothing in flight is of this namespace: it is left, not settled.
            let before = worker.tollgate.identity();
            error!(%before, %now, "Redis was emptied and the namespace initialised anew; this worker ends: start it again");
            self.control.fail();
            self.control.advance(Phase::Over);
        }
        Ok(every(worker, state))
    }
}

impl Heartbeater {
    pub(crate) fn new(control: Arc<Control>) -> Self {
        Self { description: Arc::default(), control }
    }

    fn description(&self, worker: &Worker) -> Arc<str> {
        let mut description = self.description.lock().unwrap_or_else(PoisonError::into_inner);
        if description.as_ref().is_none_or(|(said_at, _)| said_at.elapsed() > DESCRIPTION_AGE_MAX) {
            *description = None;
        }
        let (_, words) =
            description.get_or_insert_with(|| (Instant::now(), worker.describe().encode().into()));
        words.clone()
    }
}
