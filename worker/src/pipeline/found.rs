//! Rows that are ours and that nobody works on here: found by a recovery, then read.
//!
//! Whoever reads after a lost reply and the reclaimer both find them; a row that one of them, or a take, has in flight by
//! the time the answer comes is left to it.

use tollgate::fetch::{Delivered, Row, read_row};
use tollgate::ids::QueueName;
use tollgate::link::Link;
use tollgate::scripts::ScriptError;
use tollgate::scripts::recover::{Company, Recovered, Recovery, recover};
use tracing::info;

use crate::in_flight::redelivery::Redelivery;
use crate::in_flight::{Batch, Expected, InFlightBatch, Left, WentOn};
use crate::partition_state::PartitionState;
use crate::worker::Worker;

/// Entries that one read of a row asks for.
const PAGE: usize = 500;

/// A row that is ours and has to be read.
#[derive(Debug)]
pub(crate) struct Found {
    recovered: Recovered,
    expected: Expected,
}

/// What a recovery found.
#[derive(Debug)]
pub(crate) struct AllFound {
    pub(crate) rows: Vec<Found>,
    /// How many suspects wait for somebody who is alone.
    pub(crate) suspects: u64,
    /// How many entries the stream has.
    pub(crate) length: u64,
}

/// Finds the rows of one queue that are ours, or become it, and that nobody works on here.
pub(crate) async fn find(
    worker: &Worker,
    state: &PartitionState,
    queue: &QueueName,
    recovery: Recovery,
    company: Company,
    link: &mut Link,
) -> Result<AllFound, ScriptError> {
    let held = worker.in_flight.rows(state.partition, queue, worker.config.claim_idle);
    // After a lost reply a row may be ours: the next call names it.
    let rows = recover(link, &state.keys, queue, &worker.consumer, recovery, company, &held)
        .await
        .inspect_err(|_| state.reply_was_lost())?;
    let (suspects, length) = (rows.suspects, rows.length);
    // Told here, where it is known: the row may be in flight already, since whoever reads after a lost reply was quicker.
    for Recovered { count, deliveries, .. } in rows.rows.iter().filter(|row| row.was_taken_over) {
        worker.health.metrics.reclaimed.inc_by(*count);
        info!(entries = count, deliveries, %queue, "took over what another worker held for too long");
    }
    // What was taken or found at the same time is in flight by now, or is being read. Should it be settled already, it is
    // read for nothing: its row is gone, and nothing is decided of it.
    let known = worker.in_flight.rows(state.partition, queue, worker.config.claim_idle);
    let new = rows.rows.into_iter().filter(|row| known.iter().all(|known| known.token != row.row.token));
    let expect = |recovered: Recovered| {
        let expected = worker.in_flight.expect(state.partition, queue, &recovered.row.token);
        Found { recovered, expected }
    };
    Ok(AllFound { rows: new.map(expect).collect(), suspects, length })
}

impl Found {
    /// Reads its entries, in as many pages as the link wants; what is not read stays in its row, which is found again.
    pub(crate) async fn read(
        self,
        worker: &Worker,
        state: &PartitionState,
        queue: &QueueName,
        link: &mut Link,
    ) -> Result<InFlightBatch, ScriptError> {
        let Self { recovered, expected } = self;
        let mut entries: Vec<Delivered> = Vec::new();
        loop {
            let (count, after) =
                (state.read_size().count(PAGE), entries.last().map(|last| last.entry.clone()));
            let page = read_row(link, &state.keys, queue, &recovered, after.as_deref(), count)
                .await
                .inspect_err(|failure| {
                    if failure.is_time_out() {
                        state.read_size().timed_out(count);
                    }
                })?;
            state.read_size().answered(count, page.len(), page.iter().map(|row| row.job.len()).sum());
            let is_last = page.len() < count;
            entries.extend(page);
            if is_last || !recovered.ids.is_empty() {
                break;
            }
        }
        let redelivery = Redelivery::of(recovered.deliveries.saturating_sub(1)); // one of them is ours
        let held = note_in_flight(worker, state, queue, recovered.row, entries, redelivery);
        drop(expected);
        Ok(held)
    }
}

/// Notes what was served as in flight.
pub(super) fn note_in_flight(
    worker: &Worker,
    state: &PartitionState,
    queue: &QueueName,
    row: Row,
    entries: Vec<Delivered>,
    redelivery: Redelivery,
) -> InFlightBatch {
    let (partition, queue, left) = (state.partition, queue.clone(), Left::of(&entries));
    worker.in_flight.take(Batch { partition, queue, row, entries, redelivery, left, went_on: WentOn::now() })
}
