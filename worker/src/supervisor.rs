//! The supervisor: no long-lived task ends without a word.
//!
//! A task that ends before its time, by a panic or by itself, is started again after a pause, and is an open incident
//! until it has gone well for a while. One that keeps ending ends the process: the worker drains and exits with 1, so
//! that whoever supervises the process sees it. Relies on tasks that may be cut off anywhere and begun again, as the
//! death of the process would do it.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::JoinHandle;
use tollgate::backoff::Backoff;
use tracing::error;

use crate::health::Health;
use crate::incidents::{Incident, Kind};
use crate::shutdown::{Control, Phase};

const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// A task that was started again counts as well after this time.
const WELL_AFTER: Duration = Duration::from_secs(10);
/// A task that has ended so often without being well in between does not get well by being started again.
const FAILURES_MAX: u32 = 10;

/// Starts long-lived tasks and watches over them. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Supervisor {
    health: Arc<Health>,
    control: Arc<Control>,
    drain_timeout: Duration,
}

impl Supervisor {
    pub(crate) fn new(health: Arc<Health>, control: Arc<Control>, drain_timeout: Duration) -> Self {
        Self { health, control, drain_timeout }
    }

    /// Runs what `begin` makes until the phase `until`, where it may end, beginning it anew if it ends before. The
    /// handle ends with it.
    pub(crate) fn keep<F>(
        &self,
        name: impl Into<String>,
        until: Phase,
        begin: impl FnMut() -> F + Send + 'static,
    ) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send,
    {
        let (supervisor, name) = (self.clone(), name.into());
        tokio::spawn(async move { supervisor.watch(&name, until, begin).await })
    }

    async fn watch<F>(&self, name: &str, until: Phase, mut begin: impl FnMut() -> F)
    where
        F: Future<Output = ()>,
    {
        let Health { shutdown, incidents, .. } = &*self.health;
        let reporter = incidents.reporter();
        let mut backoff = Backoff::new(PAUSE_MIN, PAUSE_MAX);
        loop {
            // Unwind safety: what tasks share is locks that ignore poisoning, and links that lend out their connection.
            let mut task = pin!(AssertUnwindSafe(async { begin().await }).catch_unwind());
            let ended = loop {
                tokio::select! {
                    ended = &mut task => break ended,
                    () = tokio::time::sleep(WELL_AFTER), if backoff.failures() > 0 => {
                        backoff.reset();
                        incidents.resolve(reporter);
                    }
                }
            };
            if shutdown.phase() >= until {
                incidents.withdraw(reporter);
                return;
            }
            let how = match &ended {
                Ok(()) => "ended by itself".to_owned(),
                Err(panic) => format!("panicked: {}", panic_message(&**panic)),
            };
            let failures = backoff.failures() + 1;
            let reason = format!("the task `{name}` {how}; it is started again");
            incidents.open(reporter, Incident::new(Kind::TaskRestarted, name, reason));
            self.health.metrics.task_restarted();
            if failures >= FAILURES_MAX {
                error!("the task `{name}` {how}, {failures} times in a row: this worker drains and ends");
                return self.end();
            }
            tokio::select! {
                () = tokio::time::sleep(backoff.next_pause()) => {}
                () = shutdown.reached(until) => {}
            }
        }
    }

    /// Ends the process: what is in flight is settled as far as that goes within the drain timeout.
    fn end(&self) {
        self.control.fail();
        let (control, drain_timeout) = (self.control.clone(), self.drain_timeout);
        tokio::spawn(async move {
            tokio::time::sleep(drain_timeout).await;
            control.advance(Phase::Over);
        });
    }
}

/// What a panic said.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("without a message").to_owned()
}
