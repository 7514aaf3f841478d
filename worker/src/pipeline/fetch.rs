//! Fetch: one reader per partition, on a connection of its own, takes entries and hands batches on.
//!
//! The next batch is read while the last one settles. A read is never cancelled while it may still be served, except
//! at the very end. After any error the entries that are pending under us but not in hand are those whose reply was
//! lost: they are read again, without counting a delivery. Must not fetch while a batch waits for Redis to heal.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tollgate::fetch::{Delivered, FetchError, Wait, fetch};
use tollgate::ids::QueueName;
use tollgate::link::{BlockingLink, Link};
use tollgate::random;
use tollgate::scripts::ScriptError;
use tollgate::scripts::claim::Redelivered;
use tollgate::scripts::pending::pending;

use crate::failpoint::failpoint;
use crate::hand::{Batch, Held};
use crate::lane::Lane;
use crate::pipeline::{self, suspicion::Suspicion};
use crate::process::Worker;
use crate::retry_loop::{GaveUp, RetryLoop};
use crate::shutdown::Phase;

/// How long a read waits: also how long an idle worker takes to end, and a pause to take hold.
const BLOCK: Duration = Duration::from_millis(500);
/// How often to look whether a queue is served again, while none is.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Entries that one re-read asks for.
const PENDING_PAGE: usize = 500;

/// Fetches until the worker drains.
pub(crate) async fn run(worker: Arc<Worker>, lane: Arc<Lane>) {
    let mut reader = Reader { worker: &worker, lane: &lane, link: None };
    // The task may have died between a read and its handing on: what is pending and not in hand is read first.
    lane.reply_was_lost();
    let mut retry = RetryLoop::in_partition(&worker.health, Phase::Draining, "fetch", lane.partition);
    while reader.may_fetch().await {
        failpoint!(task "in", "fetch");
        let gave_up = match reader.read().await {
            Ok(batches) => {
                retry.succeeded();
                reader.hand_on(batches).await
            }
            Err(error) => {
                lane.reply_was_lost();
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
    lane: &'a Arc<Lane>,
    link: Option<BlockingLink>,
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
            () = self.lane.unstuck() => true,
        }
    }

    async fn read(&mut self) -> Result<Vec<Held>, ScriptError> {
        if self.lane.take_reply_lost() {
            return self.read_again().await.inspect_err(|_| self.lane.reply_was_lost());
        }
        let queues = shuffled(&self.lane.queues().active);
        if queues.is_empty() {
            tokio::time::sleep(LOOK_EVERY).await;
            return Ok(Vec::new());
        }
        match self.fetch(&queues).await {
            Ok(fetched) => {
                let held =
                    fetched.into_iter().map(|(queue, entries)| self.take(queue, entries, Suspicion::None));
                Ok(held.collect())
            }
            Err(FetchError::NoGroup) => {
                let mut link = self.worker.tollgate.server().link().await?;
                // Deleted, by whomever: it is not made again. The others are served without it.
                self.lane.survey(&mut link).await?;
                self.lane.refresh(&mut link, &self.worker.config.queues).await?;
                Ok(Vec::new())
            }
            Err(FetchError::Failure(failure)) => Err(failure.into()),
        }
    }

    /// The first queue that has entries, in the order given; if none has, whichever gets some first.
    async fn fetch(&mut self, queues: &[QueueName]) -> Result<Vec<(QueueName, Vec<Delivered>)>, FetchError> {
        if queues.len() > 1 {
            for queue in queues {
                let fetched = self.fetch_once(std::slice::from_ref(queue), Wait::No).await?;
                if !fetched.is_empty() {
                    return Ok(fetched);
                }
            }
        }
        self.fetch_once(queues, Wait::ForEntries).await
    }

    async fn fetch_once(
        &mut self,
        queues: &[QueueName],
        wait: Wait,
    ) -> Result<Vec<(QueueName, Vec<Delivered>)>, FetchError> {
        let (keys, consumer) = (&self.lane.keys, &self.worker.consumer);
        let count = self.lane.read_size().count(self.lane.batch_target());
        let link = match &mut self.link {
            Some(link) => link,
            empty => empty.insert(self.worker.tollgate.server().blocking_link(BLOCK).await?),
        };
        let fetched = fetch(link, keys, queues, consumer, count, wait).await;
        match &fetched {
            Ok(fetched) => {
                let entries = || fetched.iter().flat_map(|(_, entries)| entries);
                let bytes = entries().map(|delivered| delivered.job.len()).sum();
                self.lane.read_size().answered(count, entries().count(), bytes);
            }
            Err(FetchError::Failure(failure)) if failure.is_time_out() => {
                self.lane.read_size().timed_out(count);
            }
            Err(_) => {}
        }
        fetched
    }

    /// What is pending under us and not in hand: it was served to us, and we did not hear of it. As much as one answer
    /// has of it; the rest with the next call, so that what came over a slow link is not lost with what does not.
    async fn read_again(&self) -> Result<Vec<Held>, ScriptError> {
        let _nothing_is_taken_meanwhile = self.lane.taking.lock().await;
        let mut link = self.worker.tollgate.server().link().await?;
        let mut held = Vec::new();
        for queue in &self.lane.queues().all {
            let in_hand = self.worker.hand.of_queue(self.lane.partition, queue);
            let mut after: Option<String> = None;
            loop {
                let (page, is_last) = self.page(&mut link, queue, after.as_deref()).await?;
                after = page.last().map(|row| row.entry.clone());
                let mut unsuspected = Vec::new();
                for Redelivered { entry, deliveries, job } in page {
                    let suspicion = Suspicion::of(deliveries.saturating_sub(1)); // one of them is to us
                    let delivered = Delivered { entry, job };
                    if in_hand.contains(&delivered.entry) {
                    } else if suspicion == Suspicion::None {
                        unsuspected.push(delivered);
                    } else {
                        held.push(self.take(queue.clone(), vec![delivered], suspicion));
                    }
                }
                if !unsuspected.is_empty() {
                    held.push(self.take(queue.clone(), unsuspected, Suspicion::None));
                }
                if is_last {
                    break;
                }
                if !held.is_empty() {
                    self.lane.reply_was_lost();
                    return Ok(held);
                }
            }
        }
        Ok(held)
    }

    /// One page of what is pending under us, and whether it is the last.
    async fn page(
        &self,
        link: &mut Link,
        queue: &QueueName,
        after: Option<&str>,
    ) -> Result<(Vec<Redelivered>, bool), ScriptError> {
        let (keys, consumer) = (&self.lane.keys, &self.worker.consumer);
        let count = self.lane.read_size().count(PENDING_PAGE);
        let page = pending(link, keys, queue, consumer, after, count).await.inspect_err(|error| {
            if is_time_out(error) {
                self.lane.read_size().timed_out(count);
            }
        })?;
        self.lane.read_size().answered(count, page.len(), page.iter().map(|row| row.job.len()).sum());
        let is_last = page.len() < count;
        Ok((page, is_last))
    }

    fn take(&self, queue: QueueName, entries: Vec<Delivered>, suspicion: Suspicion) -> Held {
        self.worker.hand.take(Batch { partition: self.lane.partition, queue, entries, suspicion })
    }

    /// Each batch as soon as a slot is free. If all is over before, it stays pending for others.
    async fn hand_on(&self, batches: Vec<Held>) -> Result<(), GaveUp> {
        for held in batches {
            let slot = tokio::select! {
                slot = self.worker.slots.take(held.batch().suspicion.share()) => slot,
                () = self.worker.health.shutdown.reached(Phase::Over) => return Err(GaveUp::Over),
            };
            let (worker, lane) = (self.worker.clone(), self.lane.clone());
            tokio::spawn(async move {
                let run = AssertUnwindSafe(pipeline::run(&worker, &lane, held, slot));
                if run.catch_unwind().await.is_err() {
                    // Its entries are pending and not in hand any more: they are read again.
                    lane.reply_was_lost();
                }
            });
        }
        Ok(())
    }
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
