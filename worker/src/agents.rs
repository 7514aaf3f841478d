//! What goes on beside the life of a job: one background agent per file, named by its role.
//!
//! All have one contract: an [`Agent`] visits one partition at a time and says how long that one may rest; [`start`]
//! repeats the visits, until the phase at which the agent stops. Each partition is by itself: one that is damaged is
//! visited again with backoff, and the others go on. What Redis refuses as a whole ends the round for all of them.
//! A visit in progress is finished; it is cut off only when all is over, and every visit is safe to cut off and to
//! repeat.

pub(crate) mod expirer;
pub(crate) mod finder;
pub(crate) mod heartbeater;
pub(crate) mod observer;
pub(crate) mod payer;
pub(crate) mod promoter;
pub(crate) mod reaper;
pub(crate) mod receipt_dropper;
pub(crate) mod reclaimer;
pub(crate) mod releaser;
pub(crate) mod surveyor;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tollgate::failure::Failure;
use tollgate::link::Link;
use tollgate::scripts::ScriptError;

use crate::failpoint::failpoint;
use crate::incidents::Kind;
use crate::partition_state::PartitionState;
use crate::retry_loop::RetryLoop;
use crate::shutdown::Phase;
use crate::supervisor::{Supervisor, panic_message};
use crate::worker::Worker;

/// One role.
pub(crate) trait Agent: Send + 'static {
    /// For messages and fail points.
    const NAME: &'static str;
    /// The phase in which it begins no further visit.
    const UNTIL: Phase;

    /// Does what there is to do in one partition; answers how long that one may rest.
    fn visit(
        &mut self,
        worker: &Arc<Worker>,
        state: &Arc<PartitionState>,
        link: &mut Link,
    ) -> impl Future<Output = Result<Duration, ScriptError>> + Send;

    /// Does what is left when each partition that was due has been visited; answers a rest for those that did well,
    /// if it is to be another one.
    fn finish(&mut self, _worker: &Worker) -> impl Future<Output = Option<Duration>> + Send {
        async { None }
    }

    /// Takes note that a visit failed.
    fn failed(&mut self, _worker: &Worker, _state: &PartitionState) {}
}

/// Starts the agent that `make` makes, and again if it should end; the handle ends when the agent has stopped.
pub(crate) fn start<A: Agent>(
    supervisor: &Supervisor,
    worker: &Arc<Worker>,
    mut make: impl FnMut() -> A + Send + 'static,
) -> JoinHandle<()> {
    let worker = worker.clone();
    supervisor.keep(A::NAME, A::UNTIL, move || {
        let (worker, agent) = (worker.clone(), make());
        async move {
            tokio::select! {
                () = rounds(&worker, agent) => {}
                () = worker.health.shutdown.reached(Phase::Over) => {}
            }
        }
    })
}

/// One partition in the eyes of one agent.
struct Partition<'a> {
    state: &'a Arc<PartitionState>,
    retry: RetryLoop<'a>,
    due_at: Instant,
    /// What its last visit asked for, until the round is over.
    rest: Option<Duration>,
}

async fn rounds<A: Agent>(worker: &Arc<Worker>, mut agent: A) {
    let shutdown = &worker.health.shutdown;
    let mut partitions: Vec<Partition<'_>> = worker
        .partitions
        .iter()
        .map(|state| {
            let retry = RetryLoop::in_partition(&worker.health, A::UNTIL, A::NAME, state.partition);
            Partition { state, retry, due_at: Instant::now(), rest: None }
        })
        .collect();
    while shutdown.phase() < A::UNTIL {
        failpoint!(task "in", A::NAME);
        let mut held = worker.spare_links.take();
        round(worker, &mut agent, &mut partitions, &mut held).await;
        if let Some(link) = held {
            worker.spare_links.put(link);
        }
        let (rest_of_all, now) = (agent.finish(worker).await, Instant::now());
        for partition in &mut partitions {
            if let Some(rest) = partition.rest.take() {
                partition.due_at = now + rest_of_all.unwrap_or(rest);
            }
        }
        let next_at = partitions.iter().map(|partition| partition.due_at).min().unwrap_or(now);
        tokio::select! {
            () = tokio::time::sleep_until(next_at) => {}
            () = shutdown.reached(A::UNTIL) => {}
        }
    }
    partitions.iter_mut().for_each(|partition| partition.retry.gave_up());
}

/// Visits each partition that is due.
async fn round<A: Agent>(
    worker: &Arc<Worker>,
    agent: &mut A,
    partitions: &mut [Partition<'_>],
    held: &mut Option<Link>,
) {
    let begun = Instant::now();
    for n in 0..partitions.len() {
        let Partition { state, retry, due_at, rest } = &mut partitions[n];
        if *due_at > begun || worker.health.shutdown.phase() >= A::UNTIL {
            continue;
        }
        // A panic is a bug, but no reason for the other partitions, agents or jobs to stop.
        let visit = AssertUnwindSafe(async {
            failpoint!(task "visit", A::NAME);
            let link = match &mut *held {
                Some(link) => link,
                empty => empty.insert(worker.tollgate.server().link().await?),
            };
            agent.visit(worker, state, link).await
        });
        let error = match visit.catch_unwind().await {
            Ok(Ok(asked)) => {
                retry.succeeded();
                *rest = Some(asked);
                continue;
            }
            Ok(Err(error)) => error,
            Err(panic) => {
                *due_at = Instant::now() + retry.panicked(&panic_message(&*panic));
                agent.failed(worker, state);
                continue;
            }
        };
        let next_at = Instant::now() + retry.failed(&error);
        *due_at = next_at;
        agent.failed(worker, state);
        if is_refused_to_all(&error) {
            // The next round begins with another one, in case it is only this one after all.
            partitions.iter_mut().for_each(|other| other.due_at = other.due_at.max(next_at));
            partitions.rotate_left(n + 1);
            return;
        }
    }
}

/// Would Redis answer the same for every other partition, at once?
fn is_refused_to_all(error: &ScriptError) -> bool {
    matches!(error, ScriptError::Failure(Failure::NotApplied { node: None, .. }))
        && Kind::of(error).is_of_server()
}
