//! The promoter puts scheduled jobs that are due, by server time, back into their streams.
//!
//! Every worker has one; only who removes an id from `scheduled` puts it back. Dies the process after a call, or is
//! the reply lost: the jobs are in their streams.

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
use crate::lane::Lane;
use crate::process::Worker;
use crate::shutdown::Phase;

/// Another worker may schedule a job at any time: look at least this often.
const REST_MAX: Duration = Duration::from_millis(500);
/// Against a busy loop where the next job is due within the same millisecond.
const REST_MIN: Duration = Duration::from_millis(1);
/// Jobs in one call.
const LIMIT: usize = 200;

/// Its own list of all queues of each partition, since the script goes over all of them.
#[derive(Default)]
pub(crate) struct Promoter {
    partitions: HashMap<Partition, Known>,
}

#[derive(Default)]
struct Known {
    queues: Vec<QueueName>,
    damaged: u64,
}

impl Agent for Promoter {
    const NAME: &'static str = "promote";
    const UNTIL: Phase = Phase::Draining;

    async fn visit(
        &mut self,
        worker: &Arc<Worker>,
        lane: &Arc<Lane>,
        link: &mut Link,
    ) -> Result<Duration, ScriptError> {
        let known = self.partitions.entry(lane.partition).or_default();
        let promotion = promote_due(worker, lane, &mut known.queues, link).await?;
        let rest = promotion.next_due_ms.map_or(REST_MAX, |due_ms| {
            REST_MAX.min(Duration::from_millis(due_ms.saturating_sub(promotion.at_ms)))
        });
        if promotion.damaged > known.damaged {
            warn!(
                damaged = promotion.damaged,
                partition = %lane.partition,
                "scheduled jobs whose row is damaged stay where they are: `tollgate-producer audit`"
            );
        }
        known.damaged = promotion.damaged;
        Ok(rest.max(REST_MIN))
    }
}

/// Promotes all that is due in one partition; answers the last call's reply.
async fn promote_due(
    worker: &Worker,
    lane: &Lane,
    queues: &mut Vec<QueueName>,
    link: &mut Link,
) -> Result<Promotion, ScriptError> {
    loop {
        match promote(link, &lane.keys, queues, LIMIT).await {
            Ok(promotion) => {
                worker.health.metrics.promoted.inc_by(promotion.promoted);
                if promotion.promoted < LIMIT as u64 {
                    return Ok(promotion);
                }
            }
            Err(ScriptError::StaleKeys) => {
                let known = queue::list(link, &lane.keys).await?;
                *queues = known.into_iter().map(|(queue, _)| queue).collect();
            }
            Err(error) => return Err(error),
        }
    }
}
