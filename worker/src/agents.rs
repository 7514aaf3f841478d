//! What goes on beside the life of a job: one background agent per file, named by its role.
//!
//! All have one contract: an [`Agent`] visits its partition and says how long that one may rest; [`start`] makes one for
//! each partition and repeats the visits, until the phase at which the agent stops. Each partition is by itself: one that
//! is damaged is visited again with backoff, and the others go on. Of the agents of one role one visits a node of Redis at
//! a time ([`Turns`]), so a node that does not answer holds up its own partitions only; what a server refuses as a whole is
//! not asked again by each of them.
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

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::task::JoinHandle;
use tollgate::failure::Failure;
use tollgate::link::Link;
use tollgate::scripts::ScriptError;

use crate::failpoint::failpoint;
use crate::incidents::Kind;
use crate::partition_state::PartitionState;
use crate::retry_loop::RetryLoop;
use crate::shutdown::Phase;
use crate::supervisor::{Supervisor, panic_message};
use crate::turns::{Turn, Turns};
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

    /// Does what is left after a visit that went well, while others have the turn; answers the rest, if it is to be
    /// another one.
    fn finish(&mut self, _worker: &Worker) -> impl Future<Output = Option<Duration>> + Send {
        async { None }
    }

    /// Takes note that a visit failed.
    fn failed(&mut self, _worker: &Worker, _state: &PartitionState) {}
}

/// Starts an agent for each partition, as `make` makes it, and all of them again if they should end; the handle ends when
/// they have stopped.
pub(crate) fn start<A: Agent>(
    supervisor: &Supervisor,
    worker: &Arc<Worker>,
    mut make: impl FnMut() -> A + Send + 'static,
) -> JoinHandle<()> {
    let worker = worker.clone();
    supervisor.keep(A::NAME, A::UNTIL, move || {
        let (worker, turns) = (worker.clone(), Arc::new(Turns::default()));
        let one = |state: &Arc<PartitionState>| go_on(worker.clone(), state.clone(), make(), turns.clone());
        let mut all: FuturesUnordered<_> = worker.partitions.iter().map(one).collect();
        async move {
            tokio::select! {
                () = async { while all.next().await.is_some() {} } => {}
                () = worker.health.shutdown.reached(Phase::Over) => {}
            }
        }
    })
}

/// Visits one partition again and again.
async fn go_on<A: Agent>(worker: Arc<Worker>, state: Arc<PartitionState>, mut agent: A, turns: Arc<Turns>) {
    let shutdown = &worker.health.shutdown;
    let mut retry = RetryLoop::in_partition(&worker.health, A::UNTIL, A::NAME, state.partition);
    while shutdown.phase() < A::UNTIL {
        failpoint!(task "in", A::NAME);
        let node = worker.tollgate.server().node_of(&state.keys.head());
        let rest = tokio::select! {
            biased;
            turn = turns.take(&worker.spare_links, node) => {
                visit(&worker, &state, &mut agent, &mut retry, turn).await
            }
            () = shutdown.reached(A::UNTIL) => break,
        };
        let rest = match rest {
            Ok(rest) => agent.finish(&worker).await.unwrap_or(rest),
            Err(pause) => pause,
        };
        tokio::select! {
            () = tokio::time::sleep(rest) => {}
            () = shutdown.reached(A::UNTIL) => {}
        }
    }
    retry.gave_up();
}

/// One visit; answers how long to rest, or how long to wait after it has failed.
async fn visit<A: Agent>(
    worker: &Arc<Worker>,
    state: &Arc<PartitionState>,
    agent: &mut A,
    retry: &mut RetryLoop<'_>,
    mut turn: Turn<'_>,
) -> Result<Duration, Duration> {
    // A panic is a bug, but no reason for the other partitions, agents or jobs to stop.
    let visit = AssertUnwindSafe(async {
        failpoint!(task "visit", A::NAME);
        agent.visit(worker, state, turn.link(worker.tollgate.server()).await?).await
    });
    let error = match Box::pin(visit.catch_unwind()).await {
        Ok(Ok(rest)) => {
            retry.succeeded();
            return Ok(rest);
        }
        Ok(Err(error)) => error,
        Err(panic) => {
            agent.failed(worker, state);
            return Err(retry.panicked(&panic_message(&*panic)));
        }
    };
    let pause = retry.failed(&error);
    agent.failed(worker, state);
    if is_refused_to_all(&error) {
        turn.is_refused_for(pause);
    }
    Err(pause)
}

/// Would Redis answer the same for every other partition, at once?
fn is_refused_to_all(error: &ScriptError) -> bool {
    matches!(error, ScriptError::Failure(Failure::NotApplied { node: None, .. }))
        && Kind::of(error).is_of_server()
}
