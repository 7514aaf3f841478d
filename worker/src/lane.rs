//! A lane: one partition as this worker sees it.
//!
//! Which queues are served there and which of them are paused, how large a batch should be, whether a batch waits
//! for Redis to heal, and whether a reply was lost.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use tokio::sync::watch;
use tollgate::ids::QueueName;
use tollgate::keys::Keys;
use tollgate::link::Link;
use tollgate::partition::Partition;
use tollgate::scripts::ScriptError;
use tollgate::scripts::queue::{self, QueueStatus};

use crate::cli::Queues;
use crate::pipeline::batch_size::BatchSize;

#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) partition: Partition,
    pub(crate) keys: Keys,
    /// The queues that may be fetched from, with their weights.
    active: RwLock<Arc<[(QueueName, u32)]>>,
    batch_size: Mutex<BatchSize>,
    /// How many batches wait for Redis to heal.
    stuck: watch::Sender<usize>,
    /// Entries may be pending under us that we have not seen.
    reply_lost: AtomicBool,
    /// Held while entries are taken by another way than the fetch: a re-read must not see a claim half done.
    pub(crate) taking: tokio::sync::Mutex<()>,
}

impl Lane {
    pub(crate) fn new(partition: Partition, keys: Keys, batch_max: usize) -> Self {
        Self {
            partition,
            keys,
            active: RwLock::new(Arc::new([])),
            batch_size: Mutex::new(BatchSize::new(batch_max)),
            stuck: watch::Sender::new(0),
            // A name is never used twice, so at the start nothing can be pending under it.
            reply_lost: AtomicBool::new(false),
            taking: tokio::sync::Mutex::default(),
        }
    }

    /// The queues that may be fetched from now, with their weights.
    pub(crate) fn active(&self) -> Arc<[(QueueName, u32)]> {
        self.active.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the list of queues and which are paused; opens the served ones that are not there yet.
    pub(crate) async fn refresh(&self, link: &mut Link, served: &Queues) -> Result<(), ScriptError> {
        let known = queue::list(link, &self.keys).await?;
        let mut active = Vec::new();
        match served {
            Queues::All => {
                let open = known.into_iter().filter(|(_, status)| *status == QueueStatus::Active);
                active.extend(open.map(|(queue, _)| (queue, 1)));
            }
            Queues::Named(named) => {
                for (queue, weight) in named {
                    let status = match known.iter().find(|(name, _)| name == queue) {
                        Some((_, status)) => *status,
                        None => queue::queue(link, &self.keys, queue, None).await?,
                    };
                    if status == QueueStatus::Active {
                        active.push((queue.clone(), *weight));
                    }
                }
            }
        }
        *self.active.write().unwrap_or_else(PoisonError::into_inner) = active.into();
        Ok(())
    }

    /// Creates the groups that are missing, of all queues that are served and not paused.
    pub(crate) async fn reopen(&self, link: &mut Link) -> Result<(), ScriptError> {
        for (queue, _) in self.active().iter() {
            queue::queue(link, &self.keys, queue, None).await?;
        }
        Ok(())
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
