//! The end: what is in flight is settled, then the worker takes its name off the lists.

use std::time::Duration;

use tokio::task::JoinHandle;
use tollgate::scripts::ScriptError;
use tollgate::scripts::hand_back::hand_back;
use tollgate::scripts::reap::reap;
use tracing::{debug, info, warn};

use crate::partition_state::PartitionState;
use crate::shutdown::Phase;
use crate::worker::{PAYOUTS_A_HAND, Worker};

/// A Redis that does not answer must not hold up the end; the reaper of another worker does the same later.
const DEREGISTER_WITHIN: Duration = Duration::from_secs(2);

/// Waits until whoever takes entries has ended and nothing is in flight, or until trying is over.
pub(super) async fn settle_what_is_in_hand(worker: &Worker, takers: Vec<JoinHandle<()>>) {
    let settled = async {
        for taker in takers {
            let _ = taker.await;
        }
        worker.in_flight.emptied().await;
        // Each payout on its way has a permit.
        let _ = worker.payouts.acquire_many((PAYOUTS_A_HAND * worker.config.concurrency) as u32).await;
    };
    tokio::select! {
        () = settled => info!("drained: nothing is left in flight"),
        () = worker.health.shutdown.reached(Phase::Over) => {
            let entries = worker.in_flight.len();
            warn!(entries, "ended before all was settled: these entries are handed back to other workers");
        }
    }
}

/// Hands back what is still in flight here, and takes this worker off the lists.
pub(super) async fn deregister(worker: &Worker) {
    let removed = async {
        for state in &worker.partitions {
            // A partition that is damaged must not keep the name in the others.
            if let Err(error) = deregister_in(worker, state).await {
                debug!(partition = %state.partition, "not deregistered: {error}");
            }
        }
    };
    if tokio::time::timeout(DEREGISTER_WITHIN, removed).await.is_err() {
        debug!("not deregistered in time");
    }
}

async fn deregister_in(worker: &Worker, state: &PartitionState) -> Result<(), ScriptError> {
    let mut link = worker.tollgate.server().link().await?;
    for queue in &state.queues().all {
        let rows = hand_back(&mut link, &state.keys, queue, &worker.consumer).await?;
        if rows > 0 {
            info!(rows, %queue, "handed back");
        }
    }
    reap(&mut link, &state.keys, &worker.consumer, Duration::ZERO).await?;
    Ok(())
}
