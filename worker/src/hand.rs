//! What this process has in hand: batches that were delivered to it and are not done.
//!
//! Two uses: after a lost reply the entries that are pending here but not in hand are the ones that were lost;
//! and a drain is over when the hand is empty.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use tollgate::fetch::Delivered;
use tollgate::ids::QueueName;
use tollgate::partition::Partition;

use crate::pipeline::suspicion::Suspicion;

/// Entries of one queue that are decided by one settle call.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) partition: Partition,
    pub(crate) queue: QueueName,
    pub(crate) entries: Vec<Delivered>,
    pub(crate) suspicion: Suspicion,
}

impl Batch {
    /// The bytes of each entry.
    #[cfg(feature = "failpoints")]
    pub(crate) fn jobs(&self) -> impl Iterator<Item = &[u8]> + Clone {
        self.entries.iter().map(|delivered| delivered.job.as_slice())
    }
}

/// All batches in hand.
#[derive(Debug)]
pub(crate) struct Hand {
    next: AtomicU64,
    batches: Mutex<HashMap<u64, Arc<Batch>>>,
    entries: watch::Sender<usize>,
}

impl Hand {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { next: AtomicU64::new(0), batches: Mutex::default(), entries: watch::Sender::new(0) })
    }

    /// Takes a batch in hand.
    pub(crate) fn take(self: &Arc<Self>, batch: Batch) -> Held {
        let batch = Arc::new(batch);
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.lock().insert(number, batch.clone());
        self.entries.send_modify(|entries| *entries += batch.entries.len());
        Held { hand: self.clone(), number, batch }
    }

    /// The entries of one queue that are in hand.
    pub(crate) fn of_queue(&self, partition: Partition, queue: &QueueName) -> HashSet<String> {
        let batches = self.lock();
        let batches = batches.values().filter(|batch| batch.partition == partition && batch.queue == *queue);
        batches.flat_map(|batch| batch.entries.iter().map(|delivered| delivered.entry.clone())).collect()
    }

    /// How many entries are in hand.
    pub(crate) fn len(&self) -> usize {
        *self.entries.borrow()
    }

    /// Returns when nothing is in hand. Cancel-safe.
    pub(crate) async fn emptied(&self) {
        let _ = self.entries.subscribe().wait_for(|entries| *entries == 0).await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Arc<Batch>>> {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A batch that is in hand until this is dropped. What was not settled by then stays pending in Redis.
#[derive(Debug)]
pub(crate) struct Held {
    hand: Arc<Hand>,
    number: u64,
    batch: Arc<Batch>,
}

impl Held {
    pub(crate) fn batch(&self) -> &Batch {
        &self.batch
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.hand.lock().remove(&self.number);
        self.hand.entries.send_modify(|entries| *entries -= self.batch.entries.len());
    }
}
