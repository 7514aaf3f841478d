//! The reclaimer takes over entries that another worker has held for too long, and settles them.
//!
//! The script claims a batch of entries that were delivered once, or else a single one that is suspected of killing
//! workers (see `pipeline/suspicion.rs`); one claim is settled before the next. Paused queues too: what is in a worker's
//! hands is settled, whoever's they are. If the owner lives after all (it was paused, or is slow), both settle and one is
//! told `replayed`. If the process dies after a claim, the next one claims after the same time.
//! What it holds itself for so long without having it in hand was served to a read that it had given up: it is read again.
//! How long is too long is told by the server's clock and, in case that goes back, by watching who beats (`silence`).

mod silence;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;
use tollgate::fetch::Delivered;
use tollgate::ids::QueueName;
use tollgate::link::Link;
use tollgate::partition::Partition;
use tollgate::random;
use tollgate::scripts::ScriptError;
use tollgate::scripts::claim::{Claimed, Redelivered, claim_from};
use tracing::info;

use self::silence::Silence;
use super::Agent;
use crate::failpoint::failpoint;
use crate::hand::{Batch, Held};
use crate::lane::Lane;
use crate::pipeline::fetch::is_time_out;
use crate::pipeline::{self, suspicion::Suspicion};
use crate::process::Worker;
use crate::shutdown::Phase;

/// How often to look, unless entries get old sooner.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How long a visit waits for a batch to be settled before it turns to the other partitions.
const SETTLED_WITHIN: Duration = Duration::from_millis(500);

/// Beats may be missed; with many partitions they come rarer.
const SILENT_MIN: Duration = Duration::from_secs(5);
const SILENT_BEATS: u32 = 5;

#[derive(Default)]
pub(crate) struct Reclaimer {
    /// The batch of each partition that is being settled: one that waits for Redis holds up no other partition.
    settling: HashMap<Partition, JoinHandle<()>>,
    /// Who else holds entries of each queue, as watched from visit to visit.
    silence: HashMap<(Partition, QueueName), Silence>,
}

impl Agent for Reclaimer {
    const NAME: &'static str = "reclaim";
    const UNTIL: Phase = Phase::Draining;

    async fn visit(
        &mut self,
        worker: &Arc<Worker>,
        lane: &Arc<Lane>,
        link: &mut Link,
    ) -> Result<Duration, ScriptError> {
        for queue in &lane.queues().all {
            // A claim is a fetch: neither while quiet nor while a batch waits for Redis to heal.
            while worker.health.shutdown.phase() == Phase::Running && !lane.is_stuck() {
                if !self.has_settled(lane).await {
                    return Ok(SETTLED_WITHIN);
                }
                let silence = self.silence.entry((lane.partition, queue.clone())).or_default();
                let Some(held) = take(worker, lane, queue, silence, link).await? else { break };
                failpoint!("after_claim", held.batch().jobs());
                self.settle(worker, lane, held);
            }
        }
        // Within idle + a quarter of it, an entry of a dead worker is found; fleets spread by the jitter.
        let rest = LOOK_EVERY.min(worker.config.claim_idle / 4);
        Ok(rest.mul_f64(random::in_range(0.8..1.2)))
    }
}

impl Reclaimer {
    /// Whether the last batch of this partition is settled, or is so soon.
    async fn has_settled(&mut self, lane: &Lane) -> bool {
        let Some(settling) = self.settling.get_mut(&lane.partition) else { return true };
        if tokio::time::timeout(SETTLED_WITHIN, settling).await.is_err() {
            return false;
        }
        self.settling.remove(&lane.partition);
        true
    }

    fn settle(&mut self, worker: &Arc<Worker>, lane: &Arc<Lane>, held: Held) {
        let (worker, lane, partition) = (worker.clone(), lane.clone(), lane.partition);
        let settling = tokio::spawn(async move {
            let slot = worker.slots.take(held.batch().suspicion.share()).await;
            pipeline::run(&worker, &lane, held, slot).await;
        });
        self.settling.insert(partition, settling);
    }
}

/// Claims a batch, or one suspect.
async fn take(
    worker: &Worker,
    lane: &Lane,
    queue: &QueueName,
    silence: &mut Silence,
    link: &mut Link,
) -> Result<Option<Held>, ScriptError> {
    let _no_reread_meanwhile = lane.taking.lock().await;
    let (idle, count) = (worker.config.claim_idle, lane.read_size().count(lane.batch_target()));
    let silent_for = idle.max(SILENT_MIN).max(worker.beat_every() * SILENT_BEATS);
    let silent = silence.silent(silent_for, Instant::now());
    let claimed = claim_from(link, &lane.keys, queue, &worker.consumer, idle, count, &silent).await;
    // After a lost reply the entries may be ours.
    let Claimed { own, holders, entries: claimed } = claimed.inspect_err(|error| {
        lane.reply_was_lost();
        if is_time_out(error) {
            lane.read_size().timed_out(count);
        }
    })?;
    lane.read_size().answered(count, claimed.len(), claimed.iter().map(|entry| entry.job.len()).sum());
    silence.observe(holders, Instant::now());
    // A read that was given up may be served later, when what its reply had lost was read again already: then entries
    // are held under our name that nobody has in hand, and where there is no other worker nobody would take them over.
    if own > worker.hand.of_queue(lane.partition, queue).len() as u64 {
        lane.reply_was_lost();
    }
    let deliveries = claimed.iter().map(|entry| entry.deliveries).max();
    let Some(deliveries) = deliveries else { return Ok(None) };
    worker.health.metrics.reclaimed.inc_by(claimed.len() as u64);
    info!(entries = claimed.len(), deliveries, %queue, "took over what another worker held for too long");
    let entries =
        claimed.into_iter().map(|Redelivered { entry, job, .. }| Delivered { entry, job }).collect();
    let (partition, queue, suspicion) = (lane.partition, queue.clone(), Suspicion::of(deliveries));
    Ok(Some(worker.hand.take(Batch { partition, queue, entries, suspicion })))
}
