//! Fetch: one reader per partition takes batches and hands them on.
//!
//! The next batch is taken while the last one settles. A take notes its batch as a row in flight; after any error the
//! rows that are ours but not in flight here are those whose reply was lost: they are read again, without counting a delivery.
//! It waits on a connection of its own, and only after every queue has given less than was asked for: what the wait brings
//! is a wake-up. Of a single queue a take is sent right behind it. Must not take while a batch waits for Redis to recover.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::Instant;
use tollgate::fetch::{Take, Taken, Woken, wait};
use tollgate::ids::QueueName;
use tollgate::link::{BlockingLink, Link};
use tollgate::random;
use tollgate::scripts::ScriptError;
use tollgate::scripts::ready::ready;
use tollgate::scripts::recover::{Company, Recovery};
use tollgate::scripts::stats::QueueProblem;

use crate::failpoint::failpoint;
use crate::in_flight::redelivery::Redelivery;
use crate::in_flight::{Expected, InFlightBatch};
use crate::partition_state::PartitionState;
use crate::pipeline;
use crate::pipeline::found::{find, note_in_flight};
use crate::retry_loop::{GaveUp, RetryLoop};
use crate::shutdown::Phase;
use crate::worker::Worker;

/// How long the first wait is after there was work, and the longest: each that brings nothing doubles it. It bounds what
/// a wake-up costs that was lost, with a worker that died over it.
const BLOCK_MIN: Duration = Duration::from_millis(500);
const BLOCK_MAX: Duration = Duration::from_secs(5);
/// The same of one worker in a large fleet: the others look, too.
const LOOK_AGAIN_MAX: Duration = Duration::from_secs(30);
/// How long a queue that gave less than was asked for is left alone while others have enough.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(20);
/// How often to look whether a queue is served again, while none is.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Fetches until the worker drains.
pub(crate) async fn run(worker: Arc<Worker>, state: Arc<PartitionState>) {
    let mut reader = Reader {
        worker: &worker,
        state: &state,
        link: None,
        waiting: None,
        dry: BTreeSet::new(),
        looked_at: Instant::now(),
        block: BLOCK_MIN,
    };
    // The task may have died between a take and its handing on: what is ours and not in flight here is read first.
    state.reply_was_lost();
    let mut retry = RetryLoop::in_partition(&worker.health, Phase::Draining, "fetch", state.partition);
    while reader.may_fetch().await {
        failpoint!(task "in", "fetch");
        let gave_up = match reader.read().await {
            Ok(batches) => {
                retry.succeeded();
                reader.hand_on(batches).await
            }
            Err(error) => {
                state.reply_was_lost();
                retry.after(&error).await
            }
        };
        if gave_up.is_err() {
            break;
        }
    }
}

struct Reader<'a> {
    worker: &'a Arc<Worker>,
    state: &'a Arc<PartitionState>,
    link: Option<Link>,
    /// The connection that waits.
    waiting: Option<BlockingLink>,
    /// The queues that gave less than was asked for when they were last asked.
    dry: BTreeSet<QueueName>,
    /// When it was last looked whether something came into the dry ones.
    looked_at: Instant,
    block: Duration,
}

impl Reader<'_> {
    /// Waits while nothing may be fetched; `false` when nothing will be any more.
    async fn may_fetch(&self) -> bool {
        let shutdown = &self.worker.health.shutdown;
        if shutdown.phase() == Phase::Quiet {
            shutdown.reached(Phase::Draining).await;
        }
        tokio::select! {
            biased;
            () = shutdown.reached(Phase::Draining) => false,
            () = self.state.unblocked() => true,
        }
    }

    async fn read(&mut self) -> Result<Vec<InFlightBatch>, ScriptError> {
        if self.state.take_reply_lost() {
            return self.read_again().await.inspect_err(|_| self.state.reply_was_lost());
        }
        let queues = self.state.queues();
        if queues.active.is_empty() {
            tokio::time::sleep(LOOK_EVERY).await;
            return Ok(Vec::new());
        }
        let others_have_enough = queues.active.iter().any(|(queue, _)| !self.dry.contains(queue));
        if others_have_enough && !self.dry.is_empty() && self.looked_at.elapsed() > LOOK_AGAIN_AFTER {
            self.look_again().await?;
        }
        // In the order of their weights, and again each time, so that none starves.
        for queue in shuffled(&queues.active) {
            if !self.dry.contains(&queue)
                && let Some(held) = self.take(&queue).await?
            {
                return Ok(vec![held]);
            }
        }
        let held = self.wait(queues.active.iter().map(|(queue, _)| queue.clone()).collect()).await?;
        Ok(held.into_iter().collect())
    }

    /// Takes a batch of one queue.
    async fn take(&mut self, queue: &QueueName) -> Result<Option<InFlightBatch>, ScriptError> {
        let (state, worker) = (self.state, self.worker);
        let count = state.read_size().count(state.batch_target());
        let take = Take::new(&state.keys, queue, &worker.consumer, count);
        // A recovery that meets its row before we have heard of it does not read it again.
        let expected = worker.in_flight.expect(state.partition, queue, take.token());
        let taken = take.run(self.link().await?).await;
        self.taken(queue, count, taken, expected).await
    }

    /// What came of a take of up to `count` entries.
    async fn taken(
        &mut self,
        queue: &QueueName,
        count: usize,
        taken: Result<Option<Taken>, ScriptError>,
        expected: Expected,
    ) -> Result<Option<InFlightBatch>, ScriptError> {
        let (state, worker) = (self.state, self.worker);
        let taken = match taken {
            // Deleted, by whomever: it is not made again. The others are served without it.
            Err(ScriptError::QueueLost { problem, .. }) if problem != QueueProblem::WrongType => {
                let link = self.link().await?;
                state.survey(link).await?;
                state.refresh(link, &worker.config.queues).await?;
                return Ok(None);
            }
            Err(error) => {
                if is_time_out(&error) {
                    state.read_size().timed_out(count);
                }
                return Err(error);
            }
            Ok(taken) => taken,
        };
        let Some(taken) = taken else {
            self.dry.insert(queue.clone());
            return Ok(None);
        };
        let bytes = taken.entries.iter().map(|delivered| delivered.job.len()).sum();
        state.read_size().answered(count, taken.entries.len(), bytes);
        self.block = BLOCK_MIN;
        if taken.entries.len() < count {
            self.dry.insert(queue.clone());
        }
        let held = note_in_flight(worker, state, queue, taken.row, taken.entries, Redelivery::None);
        drop(expected);
        Ok(Some(held))
    }

    /// Waits until something comes into one of the queues, or they are others, or it is time to look. Of a single queue
    /// it also takes what has come.
    async fn wait(&mut self, queues: Vec<QueueName>) -> Result<Option<InFlightBatch>, ScriptError> {
        // With many partitions most wait: one connection each, and another only while there is work.
        if let Some(link) = self.link.take() {
            self.worker.spare_links.put(self.node().as_ref(), link);
        }
        if let [queue] = &queues[..] {
            return self.wait_and_take(queue).await;
        }
        let mut changes = self.state.queue_changes();
        let waiting = waiting_link(&mut self.waiting, self.worker).await?;
        let woken = tokio::select! {
            woken = wait(waiting, &self.state.keys, &queues, self.block) => woken?,
            _ = changes.changed() => return Ok(None),
            () = self.worker.health.shutdown.reached(Phase::Quiet) => return Ok(None),
        };
        match woken {
            Woken::By(queue) => _ = self.dry.remove(&queue),
            // A take makes the group again, or names what was lost.
            Woken::NoGroup => self.dry.clear(),
            Woken::No => {
                // Half of it: in a small fleet each looks after every wait.
                if self.looked_at.elapsed() >= self.state.rest_of_one(self.block / 2, LOOK_AGAIN_MAX) {
                    self.look_again().await?;
                }
                self.block = (self.block * 2).min(BLOCK_MAX);
            }
        }
        Ok(None)
    }

    /// The same with one queue: the take is sent behind the read that waits. What is cut off may have taken something,
    /// which is then read again.
    async fn wait_and_take(&mut self, queue: &QueueName) -> Result<Option<InFlightBatch>, ScriptError> {
        let (state, worker) = (self.state, self.worker);
        let count = state.read_size().count(state.batch_target());
        let take = Take::new(&state.keys, queue, &worker.consumer, count);
        let expected = worker.in_flight.expect(state.partition, queue, take.token());
        let mut changes = state.queue_changes();
        let waiting = waiting_link(&mut self.waiting, worker).await?;
        let done = tokio::select! {
            done = take.run_when_woken(waiting, self.block) => Some(done),
            _ = changes.changed() => None,
            () = worker.health.shutdown.reached(Phase::Quiet) => None,
        };
        let taken = match done {
            None => {
                state.reply_was_lost();
                return Ok(None);
            }
            // Nothing was taken: a take by itself makes the script known.
            Some(Err(ScriptError::Failure(failure))) if failure.is_no_script() => {
                self.dry.clear();
                return Ok(None);
            }
            Some(Err(error)) => Err(error),
            Some(Ok((woken, taken))) => {
                if woken == Woken::No && taken.is_none() {
                    self.block = (self.block * 2).min(BLOCK_MAX);
                }
                Ok(taken)
            }
        };
        self.looked_at = Instant::now();
        self.taken(queue, count, taken, expected).await
    }

    /// Looks which of the dry queues have something by now.
    async fn look_again(&mut self) -> Result<(), ScriptError> {
        let dry: Vec<QueueName> = self.dry.iter().cloned().collect();
        let keys = &self.state.keys;
        let ready = ready(self.link().await?, keys, &dry).await?;
        ready.iter().for_each(|queue| _ = self.dry.remove(queue));
        self.looked_at = Instant::now();
        Ok(())
    }

    async fn link(&mut self) -> Result<&mut Link, ScriptError> {
        let spare = match &self.link {
            Some(_) => None,
            None => self.worker.spare_links.take(self.node().as_ref()),
        };
        match &mut self.link {
            Some(link) => Ok(link),
            empty => Ok(empty.insert(match spare {
                Some(link) => link,
                None => self.worker.tollgate.server().link().await?,
            })),
        }
    }

    fn node(&self) -> Option<Arc<str>> {
        self.worker.tollgate.server().node_of(&self.state.keys.head())
    }

    /// What is ours and not in flight here: it was served to us, and we did not hear of it. A suspect waits for the reclaimer,
    /// which reads it when nothing else is worked on.
    async fn read_again(&mut self) -> Result<Vec<InFlightBatch>, ScriptError> {
        let (worker, state) = (self.worker, self.state);
        let mut held = Vec::new();
        for queue in &state.queues().all {
            let link = self.link().await?;
            let found = find(worker, state, queue, Recovery::Own, Company::Others, link).await?;
            for row in found.rows {
                held.push(row.read(worker, state, queue, link).await?);
            }
        }
        Ok(held)
    }

    /// Each batch as soon as a slot is free. If all is over before, its row is handed back.
    async fn hand_on(&self, batches: Vec<InFlightBatch>) -> Result<(), GaveUp> {
        for held in batches {
            let slot = tokio::select! {
                slot = self.worker.slots.take(held.batch().redelivery.share()) => slot,
                () = self.worker.health.shutdown.reached(Phase::Over) => return Err(GaveUp::Over),
            };
            let (worker, state) = (self.worker.clone(), self.state.clone());
            tokio::spawn(async move {
                let run = AssertUnwindSafe(pipeline::run(&worker, &state, held, slot));
                if run.catch_unwind().await.is_err() {
                    // Its row is ours and not in flight here any more: it is read again.
                    state.reply_was_lost();
                }
            });
        }
        Ok(())
    }
}

async fn waiting_link<'a>(
    held: &'a mut Option<BlockingLink>,
    worker: &Worker,
) -> Result<&'a mut BlockingLink, ScriptError> {
    Ok(match held {
        Some(waiting) => waiting,
        empty => empty.insert(worker.tollgate.server().blocking_link(BLOCK_MAX).await?),
    })
}

/// Did no answer come in time?
pub(crate) fn is_time_out(error: &ScriptError) -> bool {
    matches!(error, ScriptError::Failure(failure) if failure.is_time_out())
}

/// The queues in a random order in which each is before the others as often as its weight says: so each is read
/// first at times, and none starves (Efraimidis and Spirakis, weighted random sampling, 2006).
fn shuffled(queues: &[(QueueName, u32)]) -> Vec<QueueName> {
    if let [(only, _)] = queues {
        return vec![only.clone()];
    }
    let drawn =
        queues.iter().map(|(queue, weight)| (random::random::<f64>().powf(1.0 / f64::from(*weight)), queue));
    let mut drawn: Vec<_> = drawn.collect();
    drawn.sort_by(|a, b| b.0.total_cmp(&a.0));
    drawn.into_iter().map(|(_, queue)| queue.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_decide_how_often_a_queue_is_first_and_none_starves() {
        let queue = |name: &str| QueueName::parse(name).unwrap();
        let queues = [(queue("a"), 3), (queue("b"), 1)];
        let first_a = (0..10_000).filter(|_| shuffled(&queues)[0].as_str() == "a").count();
        assert!((7_200..7_800).contains(&first_a), "{first_a} of 10,000, not three quarters");
        assert_eq!(shuffled(&queues).len(), 2);
    }
}
