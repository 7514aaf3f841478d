//! The promoter puts scheduled jobs that are due, by server time, back into their streams.
//!
//! Every worker has one; only who removes an id from `scheduled` puts it back. If the process dies after a call, or
//! the reply is lost, the jobs are in their streams. A job whose row is damaged moves to dead, where it is seen.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tollgate::ids::QueueName;
use tollgate::link::Link;
use tollgate::partition::Partition;
use tollgate::scripts::promote::{Promotion, promote};
use tollgate::scripts::{ScriptError, queue};
use tracing::warn;

use super::Agent;
use crate::partition_state::PartitionState;
use crate::shutdown::Phase;
use crate::worker::Worker;

/// Another worker may schedule a job at any time: look at least this often.
const REST_MAX: Duration = Duration::from_millis(500);
/// The same of one worker in a large fleet: the others look, too.
const REST_MAX_OF_ONE: Duration = Duration::from_secs(5);
/// Against a busy loop where the next job is due within the same millisecond.
const REST_MIN: Duration = Duration::from_millis(1);
/// Jobs in one call.
const LIMIT: usize = 200;

/// Its own list of all queues of each partition, since the script goes over all of them.
#[derive(Default)]
pub(crate) struct Promoter {
    queues: HashMap<Partition, Vec<QueueName>>,
}

impl Agent for Promoter {
    const NAME: &'static str = "promote";
    const UNTIL: Phase = Phase::Draining;

    async fn visit(
        &mut self,
        worker: &Arc<Worker>,
        state: &Arc<PartitionState>,
        link: &mut Link,
    ) -> Result<Duration, ScriptError> {
        let queues = self.queues.entry(state.partition).or_default();
        let promotion = promote_due(worker, state, queues, link).await?;
        let rest_max = state.rest_of_one(REST_MAX, REST_MAX_OF_ONE);
        let rest = promotion.next_due_ms.map_or(rest_max, |due_ms| {
            rest_max.min(Duration::from_millis(due_ms.saturating_sub(promotion.at_ms)))
        });
        Ok(rest.max(REST_MIN))
    }
}

/// Promotes all that is due in one partition; answers the last call's reply.
async fn promote_due(
    worker: &Worker,
    state: &PartitionState,
    queues: &mut Vec<QueueName>,
    link: &mut Link,
) -> Result<Promotion, ScriptError> {
    loop {
        match promote(link, &state.keys, queues, LIMIT).await {
            Ok(promotion) => {
                let Promotion { promoted, damaged, .. } = promotion;
                worker.health.metrics.promoted.inc_by(promoted);
                if damaged > 0 {
                    worker.health.metrics.parked_many("corrupt_state", damaged);
                    warn!(
                        damaged,
                        partition = %state.partition,
                        "scheduled jobs whose row is damaged or whose queue is gone moved to dead: `tollgate-producer audit` names them"
                    );
                }
                if promoted + damaged < LIMIT as u64 {
                    return Ok(promotion);
                }
            }
            Err(ScriptError::StaleKeys) => {
                *queues = queue::known(link, &state.keys).await?;
            }
            Err(error) => return Err(error),
        }
    }
}
