//! What this process has in flight: batches that were delivered to it and are not done.
//!
//! Three uses: after a lost reply the rows that are this worker's but not in flight here are the ones that were lost; what is in
//! flight here and goes on is kept from others; and a drain is over when nothing is in flight.

pub(crate) mod redelivery;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tollgate::fetch::{Delivered, Row};
use tollgate::ids::QueueName;
use tollgate::partition::Partition;
use tollgate::scripts::recover::HeldRow;

use redelivery::Redelivery;

/// Entries of one queue that are decided by one settle call.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    pub(crate) partition: Partition,
    pub(crate) queue: QueueName,
    /// The row in flight that they come from.
    pub(crate) row: Row,
    pub(crate) entries: Vec<Delivered>,
    pub(crate) redelivery: Redelivery,
    /// What of the row has not left it yet, as far as we know.
    pub(crate) left: Left,
    /// When it last went on: was taken, entered a stage, or tried again.
    pub(crate) went_on: WentOn,
}

/// The entries of a row that have not left it. Shared where a batch is taken through its life in parts.
#[derive(Debug, Clone)]
pub(crate) struct Left(Arc<Mutex<Vec<String>>>);

impl Left {
    pub(crate) fn of(entries: &[Delivered]) -> Self {
        Self(Arc::new(Mutex::new(entries.iter().map(|delivered| delivered.entry.clone()).collect())))
    }

    /// All but these, in their order.
    pub(crate) fn without(&self, entries: &[&str]) -> Vec<String> {
        let left = self.lock();
        // As a rule a call names everything that is left, in the same order.
        if left.len() == entries.len() && left.iter().zip(entries).all(|(left, entry)| left == entry) {
            return Vec::new();
        }
        let named: std::collections::HashSet<&str> = entries.iter().copied().collect();
        left.iter().filter(|entry| !named.contains(entry.as_str())).cloned().collect()
    }

    /// These have left the row, or are somebody else's.
    pub(crate) fn remove(&self, entries: &[&str]) {
        let left = self.without(entries);
        *self.lock() = left;
    }

    fn lock(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When a batch last went on.
#[derive(Debug, Clone)]
pub(crate) struct WentOn(Arc<Mutex<Instant>>);

impl WentOn {
    pub(crate) fn now() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    pub(crate) fn again(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn elapsed(&self) -> Duration {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }
}

impl Batch {
    /// The bytes of each entry.
    #[cfg(feature = "failpoints")]
    pub(crate) fn jobs(&self) -> impl Iterator<Item = &[u8]> + Clone {
        self.entries.iter().map(|delivered| delivered.job.as_slice())
    }
}

/// All batches in flight.
#[derive(Debug)]
pub(crate) struct InFlight {
    next: AtomicU64,
    batches: Mutex<BTreeMap<u64, Arc<Batch>>>,
    /// Rows that are ours, or will be, and are being taken or read.
    expected: Mutex<BTreeMap<u64, (Partition, QueueName, String)>>,
    entries: watch::Sender<usize>,
}

impl InFlight {
    pub(crate) fn new() -> Arc<Self> {
        let (batches, expected) = Default::default();
        Arc::new(Self { next: AtomicU64::new(0), batches, expected, entries: watch::Sender::new(0) })
    }

    /// Notes a batch as in flight.
    pub(crate) fn take(self: &Arc<Self>, batch: Batch) -> InFlightBatch {
        let batch = Arc::new(batch);
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.lock().insert(number, batch.clone());
        self.entries.send_modify(|entries| *entries += batch.entries.len());
        InFlightBatch { in_flight: self.clone(), number, batch }
    }

    /// Counts a row as held while it is taken or read.
    pub(crate) fn expect(self: &Arc<Self>, partition: Partition, queue: &QueueName, token: &str) -> Expected {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.expected().insert(number, (partition, queue.clone(), token.to_owned()));
        Expected { in_flight: self.clone(), number }
    }

    /// The rows of one queue that are in flight. One that has stood still for longer than `idle` is not kept from others.
    pub(crate) fn rows(&self, partition: Partition, queue: &QueueName, idle: Duration) -> Vec<HeldRow> {
        let mut rows: Vec<HeldRow> = self
            .lock()
            .values()
            .filter(|batch| batch.partition == partition && batch.queue == *queue)
            .map(|batch| HeldRow { token: batch.row.token.clone(), is_alive: batch.went_on.elapsed() < idle })
            .collect();
        let expected = self.expected();
        let expected = expected.values().filter(|(of, name, _)| *of == partition && name == queue);
        rows.extend(expected.map(|(.., token)| HeldRow { token: token.clone(), is_alive: false }));
        rows
    }

    /// How many entries are in flight.
    pub(crate) fn len(&self) -> usize {
        *self.entries.borrow()
    }

    /// Returns when nothing is in flight. Cancel-safe.
    pub(crate) async fn emptied(&self) {
        let _ = self.entries.subscribe().wait_for(|entries| *entries == 0).await;
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Batch>>> {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn expected(&self) -> MutexGuard<'_, BTreeMap<u64, (Partition, QueueName, String)>> {
        self.expected.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A row that is being taken or read, until this is dropped.
#[derive(Debug)]
pub(crate) struct Expected {
    in_flight: Arc<InFlight>,
    number: u64,
}

impl Drop for Expected {
    fn drop(&mut self) {
        self.in_flight.expected().remove(&self.number);
    }
}

/// A batch that is in flight until this is dropped. What was not settled by then stays in its row.
#[derive(Debug)]
pub(crate) struct InFlightBatch {
    in_flight: Arc<InFlight>,
    number: u64,
    batch: Arc<Batch>,
}

impl InFlightBatch {
    pub(crate) fn batch(&self) -> &Batch {
        &self.batch
    }
}

impl Drop for InFlightBatch {
    fn drop(&mut self) {
        self.in_flight.lock().remove(&self.number);
        self.in_flight.entries.send_modify(|entries| *entries -= self.batch.entries.len());
    }
}
