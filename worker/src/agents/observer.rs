//! The observer reads how much waits and how old it is, for `/metrics`. It runs only where that is served.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tollgate::ids::QueueName;
use tollgate::link::Link;
use tollgate::partition::Partition;
use tollgate::scripts::{ScriptError, stats};

use super::Agent;
use crate::partition_state::PartitionState;
use crate::shutdown::Phase;
use crate::worker::Worker;

const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The queues whose figures are shown, by partition: those of one that cannot be read are taken back.
#[derive(Default)]
pub(crate) struct Observer {
    shown: HashMap<Partition, Vec<QueueName>>,
}

impl Agent for Observer {
    const NAME: &'static str = "observe";
    const UNTIL: Phase = Phase::Over;

    async fn visit(
        &mut self,
        worker: &Arc<Worker>,
        state: &Arc<PartitionState>,
        link: &mut Link,
    ) -> Result<Duration, ScriptError> {
        let metrics = &worker.health.metrics;
        let partition = stats::read(link, &state.keys).await?;
        metrics.dead_past_bound(
            state.partition.number(),
            partition.head.dead_refused,
            partition.head.dead_stripped,
        );
        metrics.partition(
            state.partition.number(),
            partition.dead,
            partition.scheduled,
            partition.is_conserved(),
        );
        let mut shown = Vec::with_capacity(partition.queues.len());
        for queue in partition.queues {
            let age_ms = queue.oldest_at_ms.map_or(0, |oldest_ms| partition.at_ms.saturating_sub(oldest_ms));
            let age = Duration::from_millis(age_ms);
            metrics.queue(state.partition.number(), &queue.name, queue.waiting, queue.in_flight, age);
            shown.push(queue.name);
        }
        self.shown.insert(state.partition, shown);
        Ok(LOOK_EVERY)
    }

    fn failed(&mut self, worker: &Worker, state: &PartitionState) {
        worker.health.metrics.forget_partition(state.partition.number());
        for queue in self.shown.remove(&state.partition).unwrap_or_default() {
            worker.health.metrics.forget_queue(state.partition.number(), &queue);
        }
    }
}
