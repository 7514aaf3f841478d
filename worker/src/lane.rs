//! A lane: one partition as this worker sees it.
//!
//! Which queues are served there and which of them are paused, how large a batch should be, whether a batch waits
//! for Redis to heal, and whether a reply was lost.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use tokio::time::Instant;

use tokio::sync::watch;
use tollgate::ids::QueueName;
use tollgate::keys::Keys;
use tollgate::link::Link;
use tollgate::partition::Partition;
use tollgate::scripts::queue::{self, QueueStatus};
use tollgate::scripts::stats::{PartitionStats, QueueProblem};
use tollgate::scripts::{ScriptError, survey};

use crate::cli::Queues;
use crate::pipeline::batch_size::BatchSize;
use crate::pipeline::read_size::ReadSize;

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

#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) partition: Partition,
    pub(crate) keys: Keys,
    /// The queues that are served.
    queues: RwLock<Arc<ServedQueues>>,
    /// Queues of which something is gone that had been there: not served until they are repaired.
    lost: Mutex<BTreeMap<QueueName, QueueProblem>>,
    batch_size: Mutex<BatchSize>,
    read_size: Mutex<ReadSize>,
    /// How many batches wait for Redis to heal.
    stuck: watch::Sender<usize>,
    /// Rows may be ours that we have not heard of.
    reply_lost: AtomicBool,
    /// Counts up whenever the queues that may be fetched from are others.
    queues_changed: watch::Sender<u64>,
}

impl Lane {
    pub(crate) fn new(partition: Partition, keys: Keys, batch: RangeInclusive<usize>) -> Self {
        Self {
            partition,
            keys,
            queues: RwLock::default(),
            lost: Mutex::default(),
            batch_size: Mutex::new(BatchSize::new(batch)),
            read_size: Mutex::new(ReadSize::new()),
            stuck: watch::Sender::new(0),
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

    /// Reads the lists of queues and which are paused; opens the served ones that are not there yet. A queue that had
    /// been there and is gone is not opened again: that would hide the loss.
    pub(crate) async fn refresh(&self, link: &mut Link, served: &Queues) -> Result<(), ScriptError> {
        let known = queue::list_all(link, &self.keys).await?;
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
    pub(crate) fn stuck(&self) -> Stuck<'_> {
        self.stuck.send_modify(|count| *count += 1);
        Stuck(self)
    }

    /// Does a batch wait for Redis to heal?
    pub(crate) fn is_stuck(&self) -> bool {
        *self.stuck.borrow() > 0
    }

    /// Returns when no batch waits for Redis to heal. Cancel-safe.
    pub(crate) async fn unstuck(&self) {
        let _ = self.stuck.subscribe().wait_for(|count| *count == 0).await;
    }
}

/// A batch that waits for Redis to heal.
#[derive(Debug)]
pub(crate) struct Stuck<'a>(&'a Lane);

impl Drop for Stuck<'_> {
    fn drop(&mut self) {
        self.0.stuck.send_modify(|count| *count -= 1);
    }
}
