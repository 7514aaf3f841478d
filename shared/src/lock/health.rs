//! Whether a lock server answers: what waits for it, and what is logged and counted about it.
//!
//! An outage is logged once when it begins and once when it is over. It is over when the server has answered for a
//! while without a failure in between, so that a server that answers every second call is one outage and not many.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::connection::failure::Failure;

/// For so long a server answers every call before its outage is over.
const CALM: Duration = Duration::from_secs(5);

/// What is known of one lock server without asking it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeState {
    /// The server's address, without secrets.
    pub node: String,
    /// What its last call failed on, while it fails; `None` also before the first call.
    pub failing: Option<Failing>,
}

/// A lock server that fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failing {
    /// For how long.
    pub since: Duration,
    /// The last failure.
    pub failure: Failure,
}

#[derive(Debug)]
pub(super) struct Health {
    /// Whether the last call failed: read by every call, so without the mutex.
    failing: AtomicBool,
    /// Whether an outage has been logged that is not over.
    in_outage: AtomicBool,
    outage: Mutex<Option<Outage>>,
}

#[derive(Debug, Clone)]
struct Outage {
    began_at: Instant,
    last_at: Instant,
    failure: Failure,
}

impl Default for Health {
    fn default() -> Self {
        Self { failing: AtomicBool::new(false), in_outage: AtomicBool::new(false), outage: Mutex::default() }
    }
}

impl Health {
    pub(super) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    /// Takes note of a call that failed on the server's side; `others` says what the failure means for locks.
    pub(super) fn failed(&self, node: &str, failure: &Failure, others: &str) {
        self.failed_at(Instant::now(), node, failure, others);
    }

    /// Takes note of an answer.
    pub(super) fn answered(&self, node: &str) {
        if self.failing.load(Ordering::Relaxed) {
            self.failing.store(false, Ordering::Relaxed);
        }
        if self.in_outage.load(Ordering::Relaxed) {
            self.answered_at(Instant::now(), node);
        }
    }

    /// Since when it fails, and on what; `None` while it answers.
    pub(super) fn state(&self) -> Option<Failing> {
        let outage = self.outage().clone()?;
        let failing = self.is_failing() || outage.last_at.elapsed() < CALM;
        failing.then(|| Failing { since: outage.began_at.elapsed(), failure: outage.failure })
    }

    /// True if an outage began with it.
    fn failed_at(&self, now: Instant, node: &str, failure: &Failure, others: &str) -> bool {
        self.failing.store(true, Ordering::Relaxed);
        let mut outage = self.outage();
        if let Some(outage) = outage.as_mut() {
            outage.last_at = now;
            outage.failure = failure.clone();
            return false;
        }
        let hint = failure.refusal().and(failure.hint());
        tracing::warn!(node, hint, "a lock server fails: {failure}; {others}");
        *outage = Some(Outage { began_at: now, last_at: now, failure: failure.clone() });
        self.in_outage.store(true, Ordering::Relaxed);
        true
    }

    /// True if an outage ended with it.
    fn answered_at(&self, now: Instant, node: &str) -> bool {
        let mut outage = self.outage();
        match outage.take_if(|outage| now.saturating_duration_since(outage.last_at) >= CALM) {
            Some(over) => {
                self.in_outage.store(false, Ordering::Relaxed);
                let lasted = now.saturating_duration_since(over.began_at);
                tracing::info!(node, ?lasted, "the lock server answers again");
                true
            }
            None => false,
        }
    }

    fn outage(&self) -> MutexGuard<'_, Option<Outage>> {
        self.outage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_begins_once_and_ends_after_a_calm_while() {
        let health = Health::default();
        let now = Instant::now();
        let failure = Failure::unknown("no answer");
        assert!(health.failed_at(now, "a", &failure, ""));
        assert!(!health.failed_at(now + CALM / 2, "a", &failure, ""), "once");
        assert!(!health.answered_at(now + CALM, "a"), "a failure was less than the calm while ago");
        assert!(!health.failed_at(now + CALM, "a", &failure, ""), "still the same outage");
        assert!(health.is_failing());
        health.answered("a");
        assert!(!health.is_failing(), "calls do not wait for the log");
        assert!(health.state().is_some());
        assert!(health.answered_at(now + 3 * CALM, "a"));
        assert!(health.state().is_none());
        assert!(health.failed_at(now + 4 * CALM, "a", &failure, ""), "the next outage");
    }
}
