//! One partition as this worker sees it.
//!
//! Which queues are served there and which of them are paused, how large a batch should be, whether a batch waits
//! for Redis to recover, and whether a reply was lost.

pub(crate) mod batch_size;
mod read_size;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;
use tokio::time::Instant;

use tokio::sync::watch;
use tollgate::ids::QueueName;
use tollgate::keys::Keys;
use tollgate::link::Link;
use tollgate::partition::Partition;
use tollgate::random;
use tollgate::scripts::beat::Beaten;
use tollgate::scripts::queue::{self, QueueStatus};
use tollgate::scripts::stats::{PartitionStats, QueueProblem};
use tollgate::scripts::{ScriptError, survey};

use crate::config::Queues;
use batch_size::BatchSize;
use read_size::ReadSize;

/// The queues that a worker serves in one partition.
#[derive(Debug, Default)]
pub(crate) struct ServedQueues {
    /// Those that may be fetched from, with their weights.
    pub(crate) active: Vec<(QueueName, u32)>,
    /// The paused ones as well: what a dead worker held of them is taken over, and what was lost on the way is read
    /// again, so that a paused queue drains.
    pub(crate) all: Vec<QueueName>,
    /// Every queue that there is a list of, served here or not.
    known: Vec<QueueName>,
}

/// What a beat found.
#[derive(Debug)]
struct Heard {
    at: Instant,
    workers: u64,
    /// The queues of which nothing was in flight, each with how many of its entries had been settled.
    quiet: Vec<(QueueName, u64)>,
}

/// Of so many workers each looks as often as if it were alone.
const WORKERS_AT_FULL_PACE: f64 = 10.0;

#[derive(Debug)]
pub(crate) struct PartitionState {
    pub(crate) partition: Partition,
    pub(crate) keys: Keys,
    /// The queues that are served.
    queues: RwLock<Arc<ServedQueues>>,
    /// Queues of which something is gone that had been there: not served until they are repaired.
    lost: Mutex<BTreeMap<QueueName, QueueProblem>>,
    /// What the last beat found.
    heard: Mutex<Option<Heard>>,
    batch_size: Mutex<BatchSize>,
    read_size: Mutex<ReadSize>,
    /// How many batches wait for Redis to recover.
    blocked: watch::Sender<usize>,
    /// Rows may be ours that we have not heard of.
    reply_lost: AtomicBool,
    /// Counts up whenever the queues that may be fetched from are others.
    queues_changed: watch::Sender<u64>,
}

impl PartitionState {
    pub(crate) fn new(partition: Partition, keys: Keys, batch: RangeInclusive<usize>) -> Self {
        Self {
            partition,
            keys,
            queues: RwLock::default(),
            lost: Mutex::default(),
            heard: Mutex::default(),
            batch_size: Mutex::new(BatchSize::new(batch)),
            read_size: Mutex::new(ReadSize::new()),
            blocked: watch::Sender::new(0),
            // A name is never used twice, so at the start no row can be under it.
            reply_lost: AtomicBool::new(false),
            queues_changed: watch::Sender::new(0),
        }
    }

    /// The queues that are served now.
    pub(crate) fn queues(&self) -> Arc<ServedQueues> {
        self.queues.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether a queue is in the lists of the partition.
    pub(crate) fn knows(&self, queue: &QueueName) -> bool {
        self.lost().contains_key(queue) || self.queues().known.contains(queue)
    }

    fn lost(&self) -> MutexGuard<'_, BTreeMap<QueueName, QueueProblem>> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what a beat found; answers the queues that it lists.
    pub(crate) fn heard(&self, beaten: Beaten) -> Vec<(QueueName, QueueStatus)> {
        let Beaten { workers, queues, quiet, .. } = beaten;
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Heard { at: Instant::now(), workers, quiet });
        queues
    }

    /// How long one worker rests who would rest for `rest` if it were alone: all workers of a partition together look as
    /// often as ten do, so that a fleet that has nothing to do costs Redis the same whatever its size. Up to `longest`;
    /// spread by a fifth either way.
    pub(crate) fn rest_of_one(&self, rest: Duration, longest: Duration) -> Duration {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let workers = heard.as_ref().map_or(1, |heard| heard.workers);
        let rest = rest.mul_f64((workers as f64 / WORKERS_AT_FULL_PACE).max(1.0)).min(longest);
        rest.mul_f64(random::in_range(0.8..1.2))
    }

    /// How many entries of a queue were settled when a beat found nothing of it in flight, less than `within` ago: no row
    /// of it can be as old as that.
    pub(crate) fn quiet(&self, queue: &QueueName, within: Duration) -> Option<u64> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let heard = heard.as_ref().filter(|heard| heard.at.elapsed() < within)?;
        heard.quiet.iter().find(|(quiet, _)| quiet == queue).map(|(_, settled)| *settled)
    }

    /// Reads the lists of queues and which are paused, and takes them in.
    pub(crate) async fn refresh(&self, link: &mut Link, served: &Queues) -> Result<(), ScriptError> {
        let known = queue::list_all(link, &self.keys).await?;
        self.serve(link, known, served).await
    }

    /// Takes in which queues there are and which are paused; opens the served ones that are not there yet. A queue that
    /// had been there and is gone is not opened again: that would hide the loss.
    pub(crate) async fn serve(
        &self,
        link: &mut Link,
        known: Vec<(QueueName, QueueStatus)>,
        served: &Queues,
    ) -> Result<(), ScriptError> {
        let wanted: Vec<(QueueName, u32)> = match served {
            Queues::All => known.iter().map(|(queue, _)| (queue.clone(), 1)).collect(),
            Queues::Named(named) => named.clone(),
        };
        let known_names = known.iter().map(|(queue, _)| queue.clone()).collect();
        let mut queues = ServedQueues { known: known_names, ..ServedQueues::default() };
        for (queue, weight) in wanted {
            if self.lost().contains_key(&queue) {
                continue;
            }
            let listed = known.iter().find(|(name, _)| *name == queue).map(|(_, status)| *status);
            let status = match listed {
                Some(status @ (QueueStatus::Active | QueueStatus::Paused)) => status,
                None | Some(QueueStatus::Unopened) => {
                    match queue::queue(link, &self.keys, &queue, None).await {
                        Err(ScriptError::QueueLost { queue, problem }) => {
                            self.lost().insert(queue, problem);
                            continue;
                        }
                        opened => opened?,
                    }
                }
            };
            if status == QueueStatus::Active {
                queues.active.push((queue.clone(), weight));
            }
            queues.all.push(queue);
        }
        let before = std::mem::replace(
            &mut *self.queues.write().unwrap_or_else(PoisonError::into_inner),
            Arc::new(queues),
        );
        if before.active != self.queues().active {
            self.queues_changed.send_modify(|count| *count += 1);
        }
        Ok(())
    }

    /// Looks at every queue of the partition, and learns which are lost.
    pub(crate) async fn survey(&self, link: &mut Link) -> Result<PartitionStats, ScriptError> {
        let stats = survey::read(link, &self.keys).await?;
        let lost = stats.queues.iter().filter_map(|queue| Some((queue.name.clone(), queue.problem?)));
        *self.lost() = lost.collect();
        Ok(stats)
    }

    /// Hears when the queues that may be fetched from are others.
    pub(crate) fn queue_changes(&self) -> watch::Receiver<u64> {
        self.queues_changed.subscribe()
    }

    /// How much one read may ask for.
    pub(crate) fn read_size(&self) -> MutexGuard<'_, ReadSize> {
        self.read_size.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many jobs the next batch should have.
    pub(crate) fn batch_target(&self) -> usize {
        self.batch_size.lock().unwrap_or_else(PoisonError::into_inner).target()
    }

    /// A settle call over `jobs` was sent and answered then.
    pub(crate) fn settled(&self, jobs: usize, sent: Instant, answered: Instant) {
        self.batch_size.lock().unwrap_or_else(PoisonError::into_inner).observe(jobs, sent, answered);
    }

    pub(crate) fn reply_was_lost(&self) {
        self.reply_lost.store(true, Ordering::Release);
    }

    /// Whether a reply was lost since the last call.
    pub(crate) fn take_reply_lost(&self) -> bool {
        self.reply_lost.swap(false, Ordering::AcqRel)
    }

    /// Counts a batch as waiting until the guard is dropped.
    pub(crate) fn blocked(&self) -> Blocked<'_> {
        self.blocked.send_modify(|count| *count += 1);
        Blocked(self)
    }

    /// Does a batch wait for Redis to recover?
    pub(crate) fn is_blocked(&self) -> bool {
        *self.blocked.borrow() > 0
    }

    /// Returns when no batch waits for Redis to recover. Cancel-safe.
    pub(crate) async fn unblocked(&self) {
        let _ = self.blocked.subscribe().wait_for(|count| *count == 0).await;
    }
}

/// A batch that waits for Redis to recover.
#[derive(Debug)]
pub(crate) struct Blocked<'a>(&'a PartitionState);

impl Drop for Blocked<'_> {
    fn drop(&mut self) {
        self.0.blocked.send_modify(|count| *count -= 1);
    }
}

#[cfg(test)]
mod tests {
    use tollgate::ids::Namespace;
    use tollgate::partition::Partitions;

    use super::*;

    fn state() -> PartitionState {
        let partitions = Partitions::new(1).unwrap();
        let partition = partitions.get(0).unwrap();
        PartitionState::new(partition, Keys::new(&Namespace::default(), partition, partitions), 1..=100)
    }

    fn beaten(workers: u64, quiet: Vec<(QueueName, u64)>) -> Beaten {
        Beaten { at_ms: 0, workers, identity: None, queues: Vec::new(), quiet }
    }

    #[test]
    fn a_large_fleet_looks_as_often_as_ten_workers_do() {
        let state = state();
        let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
        let rests = |workers: u64, longest: Duration| {
            state.heard(beaten(workers, Vec::new()));
            let rest = state.rest_of_one(second, longest).as_secs_f64();
            (rest / 1.2, rest / 0.8)
        };
        for (workers, longest, expected) in
            [(1, minute, 1.0), (10, minute, 1.0), (50, minute, 5.0), (5_000, minute, 60.0)]
        {
            let (least, most) = rests(workers, longest);
            assert!(least <= expected && expected <= most, "{workers} workers: {least} to {most} s");
        }
    }

    #[test]
    fn a_queue_is_quiet_only_as_long_as_the_beat_is_younger_than_a_row_would_have_to_be() {
        let (state, queue) = (state(), QueueName::default());
        assert_eq!(state.quiet(&queue, Duration::MAX), None, "nothing was heard");
        state.heard(beaten(2, vec![(queue.clone(), 7)]));
        assert_eq!(state.quiet(&queue, Duration::from_secs(30)), Some(7));
        assert_eq!(state.quiet(&queue, Duration::ZERO), None, "a row may have come and grown old since");
        state.heard(beaten(2, Vec::new()));
        assert_eq!(state.quiet(&queue, Duration::from_secs(30)), None, "something is in flight");
    }
}
