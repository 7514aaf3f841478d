//! The surveyor looks whether every queue is what it was: whether a stream, its group or its place in the list is gone,
//! and whether what was accepted is still somewhere.
//!
//! What is gone is not made again: it is an incident until somebody repairs it. The survey also remembers how much was
//! ever added to each queue, so that a loss can be counted, and since when the oldest entry of each is known, so that it
//! has an age whatever the clock does.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tollgate::link::Link;
use tollgate::partition::Partition;
use tollgate::scripts::ScriptError;
use tollgate::scripts::integrity::{MissingKey, integrity};
use tollgate::scripts::stats::{PartitionStats, QueueStats, StreamIds};

use super::Agent;
use crate::incidents::{Incident, Kind, Reporter};
use crate::partition_state::PartitionState;
use crate::shutdown::Phase;
use crate::worker::Worker;

/// Well within the minute in which a loss is to be seen.
const LOOK_EVERY: Duration = Duration::from_secs(20);
/// The same in a large fleet.
const LOOK_EVERY_MAX: Duration = Duration::from_secs(40);
/// While something is wrong: how long its repair takes to be seen.
const LOOK_EVERY_WHILE_WRONG: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(crate) struct Surveyor {
    /// Who reports each thing that is wrong, by what it is about.
    reporters: HashMap<(Partition, String), Reporter>,
}

impl Agent for Surveyor {
    const NAME: &'static str = "survey";
    const UNTIL: Phase = Phase::Draining;

    async fn visit(
        &mut self,
        worker: &Arc<Worker>,
        state: &Arc<PartitionState>,
        link: &mut Link,
    ) -> Result<Duration, ScriptError> {
        let stats = state.survey(link).await?;
        let mut wrong = wrong(worker, state.partition, &stats);
        for MissingKey { key, what } in integrity(link, &state.keys).await? {
            let subject = format!("{key} of partition {}", state.partition);
            wrong.push(Incident::new(Kind::KeyMissing, subject, what).degraded());
        }
        let incidents = &worker.health.incidents;
        // What is over, first.
        let subjects: Vec<&str> = wrong.iter().map(|incident| incident.subject.as_str()).collect();
        self.reporters.retain(|(partition, subject), reporter| {
            let lasts = *partition != state.partition || subjects.contains(&subject.as_str());
            if !lasts {
                incidents.resolve(*reporter);
            }
            lasts
        });
        let rest = match wrong.is_empty() {
            true => state.rest_of_one(LOOK_EVERY, LOOK_EVERY_MAX),
            false => LOOK_EVERY_WHILE_WRONG,
        };
        for incident in wrong {
            let subject = (state.partition, incident.subject.clone());
            let reporter = *self.reporters.entry(subject).or_insert_with(|| incidents.reporter());
            incidents.open(reporter, incident);
        }
        Ok(rest)
    }
}

/// All that is wrong with the queues of a partition, at most one thing of each queue.
fn wrong(worker: &Worker, partition: Partition, stats: &PartitionStats) -> Vec<Incident> {
    let mut wrong: Vec<_> =
        stats.queues.iter().filter_map(|queue| queue_incident(worker, partition, queue)).collect();
    if stats.head.vanished > 0 {
        let gone = stats.head.vanished;
        let reason =
            format!("{gone} jobs were deleted from their streams past the scripts, before they were settled");
        let incident = Incident::new(Kind::JobsMissing, format!("partition {partition}"), reason).degraded();
        wrong.push(incident.hint("`tollgate-producer repair queue` counts them as lost"));
        return wrong;
    }
    // Where something is lost the sums cannot be right.
    if stats.queues.iter().all(|queue| queue.problem.is_none()) && !stats.is_conserved() {
        let (accepted, found) = stats.conservation();
        let reason = match stats.contradicted_queue() {
            Some(queue) => format!(
                "entries of queue {} were taken out of the stream, or out of a worker's hands, past the scripts",
                queue.name
            ),
            None => format!("{accepted} jobs were accepted and {found} are accounted for"),
        };
        wrong.push(Incident::new(Kind::JobsMissing, format!("partition {partition}"), reason).degraded());
    }
    wrong
}

fn queue_incident(worker: &Worker, partition: Partition, queue: &QueueStats) -> Option<Incident> {
    let name = &queue.name;
    let subject = format!("queue {name} in partition {partition}");
    if let Some(problem) = queue.problem {
        let gone = match queue.lost {
            0 => String::new(),
            lost => format!("; {lost} jobs are gone with it"),
        };
        let reason = format!("the queue was lost: {problem}{gone}; it is not served until it is repaired");
        let incident = Incident::new(Kind::QueueLost, subject, reason)
            .hint(format!("`tollgate-producer repair queue {name}` says what is left of it"));
        return Some(if worker.config.queues.names(name) { incident } else { incident.degraded() });
    }
    let reason = match queue.ids {
        StreamIds::OfTheClock => return None,
        StreamIds::Ahead => {
            "the ids of its stream are ahead of the clock: ages count from when an entry was seen, and the receipts floor waits"
        }
        StreamIds::Full => "its last id is the highest there is: nothing can be added to it any more",
    };
    let incident = Incident::new(Kind::StreamIds, subject, reason).degraded();
    Some(incident.hint(format!("`tollgate-producer repair queue {name}` gives it ids of the clock again")))
}
