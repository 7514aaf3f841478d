//! What goes on beside the life of a job: one background agent per file, named by its role.
//!
//! All have one contract: an [`Agent`] does one round at a time and says how long to rest; [`start`] repeats rounds,
//! with backoff after a failure, until the phase at which the agent stops. A round in progress is finished; it is
//! cut off only when all is over, and every round is safe to cut off and to repeat.

pub(crate) mod heartbeater;
pub(crate) mod observer;
pub(crate) mod payer;
pub(crate) mod promoter;
pub(crate) mod reaper;
pub(crate) mod receipt_dropper;
pub(crate) mod reclaimer;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::JoinHandle;
use tollgate::failure::{Failure, Refusal};
use tollgate::link::Link;
use tollgate::scripts::ScriptError;

use crate::patience::Patience;
use crate::process::Worker;
use crate::shutdown::Phase;

/// One role.
pub(crate) trait Agent: Send + 'static {
    /// For messages.
    const NAME: &'static str;
    /// The phase in which it begins no further round.
    const UNTIL: Phase;

    /// Does what there is to do; answers how long to rest.
    fn round(
        &mut self,
        worker: &Worker,
        link: &mut Link,
    ) -> impl Future<Output = Result<Duration, ScriptError>> + Send;
}

/// Starts an agent; the handle ends when the agent has stopped.
pub(crate) fn start<A: Agent>(worker: &Arc<Worker>, agent: A) -> JoinHandle<()> {
    let worker = worker.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = rounds(&worker, agent) => {}
            () = worker.health.shutdown.reached(Phase::Over) => {}
        }
    })
}

async fn rounds<A: Agent>(worker: &Worker, mut agent: A) {
    let shutdown = &worker.health.shutdown;
    let mut patience = Patience::new(&worker.health, A::UNTIL, A::NAME);
    let mut held: Option<Link> = None;
    while shutdown.phase() < A::UNTIL {
        // A panic is a bug, but no reason for the other agents or for the jobs to stop.
        let round = AssertUnwindSafe(async {
            let link = match &mut held {
                Some(link) => link,
                empty => empty.insert(worker.tollgate.server().link().await?),
            };
            agent.round(worker, link).await
        });
        let done = round.catch_unwind().await;
        let bug = || Err(Failure::not_applied(Refusal::Client, "a bug: the round panicked").into());
        match done.unwrap_or_else(|_| bug()) {
            Ok(rest) => {
                patience.well();
                tokio::select! {
                    () = tokio::time::sleep(rest) => {}
                    () = shutdown.reached(A::UNTIL) => {}
                }
            }
            Err(error) => {
                if patience.after(&error).await.is_err() {
                    return;
                }
            }
        }
    }
}
