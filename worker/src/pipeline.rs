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

mod context;
mod decode;
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
use crate::in_flight::redelivery::Redelivery;
use crate::in_flight::{Batch, InFlightBatch};
use crate::partition_state::PartitionState;
use crate::retry_loop::GaveUp;
use crate::slots::Slot;
use crate::worker::Worker;

use self::context::StageContext;

/// How often a job may panic alone before it goes to dead. As many as workers it may kill (see `redelivery`).
const PANICS_MAX: usize = 3;

/// Takes a batch through its life. Returns when each of its entries is settled or moved, or when trying is over.
/// Answers the slot.
pub(crate) async fn run(
    worker: &Worker,
    state: &PartitionState,
    held: InFlightBatch,
    mut slot: Slot,
) -> Option<Slot> {
    let ended = take_through(worker, state, held.batch(), &mut slot).await;
    // First it is in flight no more: what is in flight here is not read again.
    drop(held);
    if ended == Err(GaveUp::ReadAgain) {
        warn!("what was served cannot be settled as it came: it is forgotten, and read again");
        state.reply_was_lost();
    }
    Some(slot)
}

async fn take_through(
    worker: &Worker,
    state: &PartitionState,
    batch: &Batch,
    slot: &mut Slot,
) -> Result<(), GaveUp> {
    if batch.redelivery == Redelivery::Lost {
        return dead_letter(worker, state, batch, slot).await;
    }
    if let Some(ended) = survived(life(&mut StageContext { worker, state, batch, slot })).await {
        return ended;
    }
    // One of them makes a stage panic: find it by taking each alone, and let the others pass.
    for entry in &batch.entries {
        let entries = vec![entry.clone()];
        let batch = Batch { entries, ..batch.clone() };
        let mut panics = 1;
        let ended = loop {
            if let Some(ended) =
                survived(life(&mut StageContext { worker, state, batch: &batch, slot })).await
            {
                break ended;
            }
            panics += 1;
            if panics > PANICS_MAX {
                error!(entry = entry.entry, queue = %batch.queue, "a job panics whenever it is tried: it goes to dead");
                break dead_letter(worker, state, &batch, slot).await;
            }
        };
        ended?;
    }
    Ok(())
}

/// Moves every entry of a batch to dead as `worker_lost`.
async fn dead_letter(
    worker: &Worker,
    state: &PartitionState,
    batch: &Batch,
    slot: &mut Slot,
) -> Result<(), GaveUp> {
    let mut context = StageContext { worker, state, batch, slot };
    let moved = async {
        let lost = |delivered| (decode::identify(delivered, batch), Destination::Dead(Code::WorkerLost));
        let identities: Vec<_> = batch.entries.iter().map(lost).collect();
        park::park(&mut context, &identities).await.map(drop)
    };
    survived(moved).await.unwrap_or_else(|| {
        error!(queue = %batch.queue, "entries that can be neither settled nor moved stay in flight");
        Ok(())
    })
}

/// What came of it; `None` if it panicked.
async fn survived(stages: impl Future<Output = Result<(), GaveUp>>) -> Option<Result<(), GaveUp>> {
    // Unwind safety: what a stage shares is locks that ignore poisoning, and a link that lends out its connection.
    AssertUnwindSafe(stages).catch_unwind().await.ok()
}

async fn life(context: &mut StageContext<'_>) -> Result<(), GaveUp> {
    let batch = context.batch;
    failpoint!("after_fetch", batch.jobs());

    let decoded = decode::decode(batch, context.worker.tollgate.partitions());
    trace::decoded(context, &decoded);
    failpoint!("after_decode", batch.jobs());

    let due = schedule::schedule(context, decoded.jobs).await?;

    let plans: Vec<_> = due.iter().map(plan::plan).collect();
    failpoint!("before_settle", batch.jobs());

    trace::settling(context, &due);
    let sent = Instant::now();
    let answers = settle::settle(context, &plans, Missing::Undecided).await?;
    let answered = Instant::now();
    failpoint!("after_settle", batch.jobs());

    trace::answered(&due, &answers);
    outcome::count(context, sent, answered, &answers);
    outcome::dead_letter(context, &due, &answers, decoded.refused).await?;
    outcome::explain_mismatches(context, &due, &answers).await;
    Ok(())
}
