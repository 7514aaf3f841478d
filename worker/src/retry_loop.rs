//! Trying again: what a loop does between two attempts.
//!
//! Pauses come from [`Backoff`]; what is wrong is said by [`Incidents`](crate::incidents::Incidents), and counted
//! in the metrics. Must not be used for a call that is unsafe to repeat; ours all are safe.

use std::time::Duration;

use tollgate::backoff::Backoff;
use tollgate::partition::Partition;
use tollgate::scripts::ScriptError;
use tollgate_cli::hints;

use crate::health::Health;
use crate::incidents::{Incident, Kind, Reporter};
use crate::shutdown::Phase;

/// A restart of Redis shows as an answer that does not come and as a refusal in turn.
const UNAVAILABLE: &str =
    "nothing, if it restarts; is Redis running, and is REDIS_URL right? try `redis-cli -u URL ping`";
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// Also the longest that a Redis that is well again waits for us.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Why nobody tries any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GaveUp {
    /// The phase at which trying ends was reached.
    Over,
    /// What was to be sent is refused by ourselves, so that sending it again is in vain: it is to be read again.
    ReadAgain,
}

/// The attempts of one loop. When it is dropped, that counts as a success.
pub(crate) struct RetryLoop<'a> {
    health: &'a Health,
    until: Phase,
    what: String,
    /// What its incidents are about, where that is not Redis as a whole.
    subject: String,
    reporter: Reporter,
    backoff: Backoff,
}

impl<'a> RetryLoop<'a> {
    /// For doing `what`, until the phase `until`.
    pub(crate) fn new(health: &'a Health, until: Phase, what: impl Into<String>) -> Self {
        let what = what.into();
        Self::about(health, until, what.clone(), what)
    }

    /// The same, for doing `what` in one partition.
    pub(crate) fn in_partition(health: &'a Health, until: Phase, what: &str, partition: Partition) -> Self {
        Self::about(
            health,
            until,
            format!("{what} in partition {partition}"),
            format!("partition {partition}"),
        )
    }

    fn about(health: &'a Health, until: Phase, what: String, subject: String) -> Self {
        let (reporter, backoff) = (health.incidents.reporter(), Backoff::new(PAUSE_MIN, PAUSE_MAX));
        Self { health, until, what, subject, reporter, backoff }
    }

    /// Takes note of a failure and waits until it is time to try again.
    pub(crate) async fn after(&mut self, error: &ScriptError) -> Result<(), GaveUp> {
        let pause = self.failed(error);
        tokio::select! {
            () = tokio::time::sleep(pause) => Ok(()),
            () = self.health.shutdown.reached(self.until) => {
                self.gave_up();
                Err(GaveUp::Over)
            }
        }
    }

    /// Takes note of a failure; answers how long to wait before the next attempt.
    pub(crate) fn failed(&mut self, error: &ScriptError) -> Duration {
        self.health.metrics.redis_failure(error);
        // A connection that broke while it was idle is replaced by the next attempt, without a word: after a restart of
        // Redis every loop meets that once, at a time of its own.
        let broken = matches!(error, ScriptError::Failure(failure) if failure.is_broken_connection());
        if self.backoff.failures() > 0 || !broken {
            self.health.incidents.open(self.reporter, self.incident(error));
        }
        self.backoff.next_pause()
    }

    /// Takes note of a panic; answers how long to wait before the next attempt.
    pub(crate) fn panicked(&mut self, message: &str) -> Duration {
        let reason = format!("{} panicked: {message}; it is tried again", self.what);
        self.health.incidents.open(self.reporter, Incident::new(Kind::Bug, &self.subject, reason));
        self.backoff.next_pause()
    }

    /// Takes note of a success.
    pub(crate) fn succeeded(&mut self) {
        if self.backoff.failures() > 0 {
            self.backoff.reset();
            self.health.incidents.resolve(self.reporter);
        }
    }

    /// Takes note that nobody tries any more.
    pub(crate) fn gave_up(&mut self) {
        self.backoff.reset();
        self.health.incidents.withdraw(self.reporter);
    }

    fn incident(&self, error: &ScriptError) -> Incident {
        let kind = Kind::of(error);
        let subject = match node_of(error) {
            // Whatever is on that node shares its trouble.
            Some(node) if kind.is_of_server() && !node.is_empty() => format!("node {node}"),
            Some(_) => self.subject.clone(),
            None if kind.is_of_server() => String::new(),
            None => self.subject.clone(),
        };
        // Where the namespace is not there, everything may be lost that was in it.
        let kept = if kind == Kind::Uninitialised { "" } else { "nothing is lost, " };
        let reason = format!("{}: {error}; {kept}it is tried again until it works", self.what);
        let incident = Incident::new(kind, subject, reason);
        // What a producer does about an answer that did not come is nothing for a worker.
        let is_unknown = matches!(error, ScriptError::Failure(failure) if failure.may_have_happened());
        let hint = if is_unknown { Some(UNAVAILABLE.into()) } else { hints::of(error) };
        match hint {
            Some(hint) => incident.hint(hint),
            None => incident,
        }
    }
}

/// The node of a cluster that a failure is about.
fn node_of(error: &ScriptError) -> Option<&str> {
    match error {
        ScriptError::Failure(failure) => failure.node(),
        _ => None,
    }
}

impl Drop for RetryLoop<'_> {
    fn drop(&mut self) {
        self.succeeded();
    }
}
