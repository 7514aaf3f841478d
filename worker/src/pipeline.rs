//! The life of a job.
//!
//! ```text
//! fetch    a batch is noted as a row in flight             process dies: another worker takes it over
//! decode   bytes become jobs; what is no job is refused   "
//! schedule a job that is not due yet moves to scheduled   moved or not: one script
//! plan     what settle is to decide                       nothing has happened yet
//! settle   decided, journaled, receipted, out of its row  all of it or nothing: one script
//! outcome  counted; what cannot be decided moves to dead  moved or not: one script
//! ```
//!
//! Every call to Redis here may be repeated: a settled job answers `replayed`, a moved one `not_owner`. So a stage
//! that does not get its answer asks again, and a second worker with the same entries does no harm.
//! A stage that panics loses nothing: its entries are in flight until they are settled.

mod decode;
mod desk;
pub(crate) mod fetch;
pub(crate) mod found;
mod outcome;
mod park;
mod plan;
mod retry;
mod schedule;
mod settle;
mod trace;

use std::panic::AssertUnwindSafe;
use tokio::time::Instant;

use futures_util::FutureExt;
use tollgate::code::Code;
use tollgate::scripts::park::Destination;
use tollgate::scripts::settle::Missing;
use tracing::{error, warn};

use crate::failpoint::failpoint;
use crate::hand::suspicion::Suspicion;
use crate::hand::{Batch, Held};
use crate::lane::Lane;
use crate::retry_loop::GaveUp;
use crate::slots::Slot;
use crate::worker::Worker;

use self::desk::Desk;

/// How often a job may panic alone before it goes to dead. As many as workers it may kill (see `suspicion`).
const PANICS_MAX: usize = 3;

/// Takes a batch through its life. Returns when each of its entries is settled or moved, or when trying is over.
/// Answers the slot.
pub(crate) async fn run(worker: &Worker, lane: &Lane, held: Held, mut slot: Slot) -> Option<Slot> {
    let ended = take_through(worker, lane, held.batch(), &mut slot).await;
    // Out of hand first: what is in hand is not read again.
    drop(held);
    if ended == Err(GaveUp::ReadAgain) {
        warn!("what was served cannot be settled as it came: it is forgotten, and read again");
        lane.reply_was_lost();
    }
    Some(slot)
}

async fn take_through(worker: &Worker, lane: &Lane, batch: &Batch, slot: &mut Slot) -> Result<(), GaveUp> {
    if batch.suspicion == Suspicion::Lost {
        return bury(worker, lane, batch, slot).await;
    }
    if let Some(ended) = survived(life(&mut Desk { worker, lane, batch, slot })).await {
        return ended;
    }
    // One of them makes a stage panic: find it by taking each alone, and let the others pass.
    for entry in &batch.entries {
        let entries = vec![entry.clone()];
        let batch = Batch { entries, ..batch.clone() };
        let mut panics = 1;
        let ended = loop {
            if let Some(ended) = survived(life(&mut Desk { worker, lane, batch: &batch, slot })).await {
                break ended;
            }
            panics += 1;
            if panics > PANICS_MAX {
                error!(entry = entry.entry, queue = %batch.queue, "a job panics whenever it is tried: it goes to dead");
                break bury(worker, lane, &batch, slot).await;
            }
        };
        ended?;
    }
    Ok(())
}

/// Moves every entry of a batch to dead as `worker_lost`.
async fn bury(worker: &Worker, lane: &Lane, batch: &Batch, slot: &mut Slot) -> Result<(), GaveUp> {
    let mut desk = Desk { worker, lane, batch, slot };
    let buried = async {
        let lost = |delivered| (decode::identify(delivered, batch), Destination::Dead(Code::WorkerLost));
        let parcels: Vec<_> = batch.entries.iter().map(lost).collect();
        park::park(&mut desk, &parcels).await.map(drop)
    };
    survived(buried).await.unwrap_or_else(|| {
        error!(queue = %batch.queue, "entries that can be neither settled nor moved stay in flight");
        Ok(())
    })
}

/// What came of it; `None` if it panicked.
async fn survived(stages: impl Future<Output = Result<(), GaveUp>>) -> Option<Result<(), GaveUp>> {
    // Unwind safety: what a stage shares is locks that ignore poisoning, and a link that lends out its connection.
    AssertUnwindSafe(stages).catch_unwind().await.ok()
}

async fn life(desk: &mut Desk<'_>) -> Result<(), GaveUp> {
    let batch = desk.batch;
    failpoint!("after_fetch", batch.jobs());

    let decoded = decode::decode(batch, desk.worker.tollgate.partitions());
    trace::decoded(desk, &decoded);
    failpoint!("after_decode", batch.jobs());

    let due = schedule::schedule(desk, decoded.jobs).await?;

    let plans: Vec<_> = due.iter().map(plan::plan).collect();
    failpoint!("before_settle", batch.jobs());

    trace::settling(desk, &due);
    let sent = Instant::now();
    let answers = settle::settle(desk, &plans, Missing::Undecided).await?;
    let answered = Instant::now();
    failpoint!("after_settle", batch.jobs());

    trace::answered(&due, &answers);
    outcome::count(desk, sent, answered, &answers);
    outcome::bury(desk, &due, &answers, decoded.refused).await?;
    outcome::explain_mismatches(desk, &due, &answers).await;
    Ok(())
}
