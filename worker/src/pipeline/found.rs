//! Rows that are ours and that nobody works on here: found by a recovery, then read.
//!
//! Whoever reads after a lost reply and the reclaimer both find them; a row that one of them, or a take, has in hand by
//! the time the answer comes is left to it.

use tollgate::fetch::{Delivered, Row, read_row};
use tollgate::ids::QueueName;
use tollgate::link::Link;
use tollgate::scripts::ScriptError;
use tollgate::scripts::recover::{Company, Recovered, Recovery, recover};
use tracing::info;

use crate::hand::suspicion::Suspicion;
use crate::hand::{Batch, Expected, Held, Left, WentOn};
use crate::lane::Lane;
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
    lane: &Lane,
    queue: &QueueName,
    recovery: Recovery,
    company: Company,
    link: &mut Link,
) -> Result<AllFound, ScriptError> {
    let held = worker.hand.rows(lane.partition, queue, worker.config.claim_idle);
    // After a lost reply a row may be ours: the next call names it.
    let rows = recover(link, &lane.keys, queue, &worker.consumer, recovery, company, &held)
        .await
        .inspect_err(|_| lane.reply_was_lost())?;
    let (suspects, length) = (rows.suspects, rows.length);
    // Told here, where it is known: the row may be in hand already, since whoever reads after a lost reply was quicker.
    for Recovered { count, deliveries, .. } in rows.rows.iter().filter(|row| row.was_taken_over) {
        worker.health.metrics.reclaimed.inc_by(*count);
        info!(entries = count, deliveries, %queue, "took over what another worker held for too long");
    }
    // What was taken or found at the same time is in hand by now, or is being read. Should it be settled already, it is
    // read for nothing: its row is gone, and nothing is decided of it.
    let known = worker.hand.rows(lane.partition, queue, worker.config.claim_idle);
    let new = rows.rows.into_iter().filter(|row| known.iter().all(|known| known.token != row.row.token));
    let expect = |recovered: Recovered| {
        let expected = worker.hand.expect(lane.partition, queue, &recovered.row.token);
        Found { recovered, expected }
    };
    Ok(AllFound { rows: new.map(expect).collect(), suspects, length })
}

impl Found {
    /// Reads its entries, in as many pages as the link wants; what is not read stays in its row, which is found again.
    pub(crate) async fn read(
        self,
        worker: &Worker,
        lane: &Lane,
        queue: &QueueName,
        link: &mut Link,
    ) -> Result<Held, ScriptError> {
        let Self { recovered, expected } = self;
        let mut entries: Vec<Delivered> = Vec::new();
        loop {
            let (count, after) =
                (lane.read_size().count(PAGE), entries.last().map(|last| last.entry.clone()));
            let page = read_row(link, &lane.keys, queue, &recovered, after.as_deref(), count)
                .await
                .inspect_err(|failure| {
                    if failure.is_time_out() {
                        lane.read_size().timed_out(count);
                    }
                })?;
            lane.read_size().answered(count, page.len(), page.iter().map(|row| row.job.len()).sum());
            let is_last = page.len() < count;
            entries.extend(page);
            if is_last || !recovered.ids.is_empty() {
                break;
            }
        }
        let suspicion = Suspicion::of(recovered.deliveries.saturating_sub(1)); // one of them is ours
        let held = in_hand(worker, lane, queue, recovered.row, entries, suspicion);
        drop(expected);
        Ok(held)
    }
}

/// Takes in hand what was served.
pub(super) fn in_hand(
    worker: &Worker,
    lane: &Lane,
    queue: &QueueName,
    row: Row,
    entries: Vec<Delivered>,
    suspicion: Suspicion,
) -> Held {
    let (partition, queue, left) = (lane.partition, queue.clone(), Left::of(&entries));
    worker.hand.take(Batch { partition, queue, row, entries, suspicion, left, went_on: WentOn::now() })
}
