//! The reclaimer looks at the rows in flight: keeps those that are worked on here from others, reads again what is ours
//! and was not heard of, and takes over what another worker has held for too long.
//!
//! One row is settled before the next is taken over. A suspect is taken over only when nothing else is worked on in this
//! process (see `in_flight/redelivery.rs`). Paused queues too: what is in flight is settled, whoever's it is. If the owner
//! lives after all (it was paused, or is slow), it finds its row under another token, and decides nothing of it. If the
//! process dies after it took a row over, the next one takes it over after the same time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tollgate::ids::QueueName;
use tollgate::link::Link;
use tollgate::partition::Partition;
use tollgate::scripts::ScriptError;
use tollgate::scripts::recover::{Company, Recovery};
use tollgate::scripts::trim::{self, trim};

use super::Agent;
use crate::failpoint::failpoint;
use crate::in_flight::InFlightBatch;
use crate::partition_state::PartitionState;
use crate::pipeline;
use crate::pipeline::fetch::is_time_out;
use crate::pipeline::found::{Found, find};
use crate::shutdown::Phase;
use crate::slots::{Share, Slot};
use crate::worker::Worker;

/// How often to look, unless rows get old sooner.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How long a visit waits for a batch to be settled before it turns to the other partitions.
const SETTLED_WITHIN: Duration = Duration::from_millis(500);

#[derive(Default)]
pub(crate) struct Reclaimer {
    /// The batch of each partition that is being settled: one that waits for Redis holds up no other partition.
    settling: HashMap<Partition, JoinHandle<()>>,
    /// The queues that were quiet when they were last looked at, with how many of their entries were settled.
    looked_at: HashMap<(Partition, QueueName), u64>,
}

impl Agent for Reclaimer {
    const NAME: &'static str = "reclaim";
    const UNTIL: Phase = Phase::Draining;

    async fn visit(
        &mut self,
        worker: &Arc<Worker>,
        state: &Arc<PartitionState>,
        link: &mut Link,
    ) -> Result<Duration, ScriptError> {
        for queue in &state.queues().all {
            let quiet = self.quiet(worker, state, queue);
            let looked_at = (state.partition, queue.clone());
            if quiet.is_some() && self.looked_at.get(&looked_at) == quiet.as_ref() {
                continue;
            }
            loop {
                if !self.has_settled(state).await {
                    return Ok(SETTLED_WITHIN);
                }
                if !self.one(worker, state, queue, link).await? {
                    break;
                }
            }
            match quiet {
                Some(settled) => _ = self.looked_at.insert(looked_at, settled),
                None => _ = self.looked_at.remove(&looked_at),
            }
        }
        // Within idle + a quarter of it, a row of a dead worker is found; fleets spread by the jitter.
        let longest = worker.config.claim_idle / 4;
        Ok(state.rest_of_one(LOOK_EVERY.min(longest), longest))
    }
}

impl Reclaimer {
    /// How many entries of a queue are settled, if nothing of it is in flight that could be taken over, or is ours. While
    /// that number stays there is nothing to look for in it.
    fn quiet(&self, worker: &Worker, state: &PartitionState, queue: &QueueName) -> Option<u64> {
        let claim_idle = worker.config.claim_idle;
        let quiet = state.quiet(queue, claim_idle)?;
        worker.in_flight.rows(state.partition, queue, claim_idle).is_empty().then_some(quiet)
    }

    /// Whether the last batch of this partition is settled, or is so soon.
    async fn has_settled(&mut self, state: &PartitionState) -> bool {
        let Some(settling) = self.settling.get_mut(&state.partition) else { return true };
        if tokio::time::timeout(SETTLED_WITHIN, settling).await.is_err() {
            return false;
        }
        self.settling.remove(&state.partition);
        true
    }

    /// Looks once, and begins to settle what it finds; whether there may be more.
    async fn one(
        &mut self,
        worker: &Arc<Worker>,
        state: &Arc<PartitionState>,
        queue: &QueueName,
        link: &mut Link,
    ) -> Result<bool, ScriptError> {
        // To take over is to fetch: neither while quiet nor while a batch waits for Redis to recover.
        let recovery = match worker.health.shutdown.phase() {
            _ if state.is_blocked() => Recovery::Keep,
            Phase::Running => Recovery::Others(worker.config.claim_idle),
            _ => Recovery::Own,
        };
        let may_take = matches!(recovery, Recovery::Others(_));
        let found = find(worker, state, queue, recovery, Company::Others, link).await?;
        if !found.rows.is_empty() {
            let held = read(worker, state, queue, found.rows, link).await?;
            self.settle(worker, state, held, None);
            return Ok(may_take);
        }
        if found.suspects > 0 && may_take {
            // Alone from before it is taken over until it is settled: what dies meanwhile died with it.
            let slot = worker.slots.take(Share::Alone).await;
            let found = find(worker, state, queue, recovery, Company::Alone, link).await?;
            let any = !found.rows.is_empty();
            let held = read(worker, state, queue, found.rows, link).await?;
            self.settle(worker, state, held, Some(slot));
            return Ok(any);
        }
        if found.length > trim::KEPT_MAX {
            while trim(link, &state.keys, queue, trim::KEPT_MAX).await?.is_unfinished {}
        }
        Ok(false)
    }

    /// One batch after the other, in the slot that is given, or one for each.
    fn settle(
        &mut self,
        worker: &Arc<Worker>,
        state: &Arc<PartitionState>,
        batches: Vec<InFlightBatch>,
        slot: Option<Slot>,
    ) {
        let (worker, state, partition) = (worker.clone(), state.clone(), state.partition);
        let settling = tokio::spawn(async move {
            let mut slot = slot;
            for held in batches {
                failpoint!("after_claim", held.batch().jobs());
                let given = match slot.take() {
                    Some(slot) => slot,
                    None => worker.slots.take(held.batch().redelivery.share()).await,
                };
                slot = pipeline::run(&worker, &state, held, given).await;
            }
        });
        self.settling.insert(partition, settling);
    }
}

async fn read(
    worker: &Worker,
    state: &PartitionState,
    queue: &QueueName,
    rows: Vec<Found>,
    link: &mut Link,
) -> Result<Vec<InFlightBatch>, ScriptError> {
    let mut held = Vec::with_capacity(rows.len());
    for row in rows {
        held.push(row.read(worker, state, queue, link).await.inspect_err(|error| {
            state.reply_was_lost();
            _ = is_time_out(error);
        })?);
    }
    Ok(held)
}
