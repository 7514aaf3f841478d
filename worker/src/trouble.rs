//! What is wrong between this worker and Redis, said once when it begins and once when it is over.
//!
//! Every retry loop reports here under a number of its own. Whatever shares a cause (each loop meets the same
//! outage) is one trouble. Readiness is the absence of trouble. Must not log per attempt.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use tollgate::failure::{Failure, Refusal};
use tollgate::scripts::ScriptError;
use tracing::{info, warn};

/// Who reports: a retry loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Reporter(u64);

/// What is wrong at the moment.
#[derive(Debug, Default)]
pub(crate) struct Troubles {
    reporters: AtomicU64,
    /// How many causes are open: read on every success, so without the lock.
    open: AtomicUsize,
    by_cause: Mutex<HashMap<String, HashSet<Reporter>>>,
}

impl Troubles {
    pub(crate) fn reporter(&self) -> Reporter {
        Reporter(self.reporters.fetch_add(1, Ordering::Relaxed))
    }

    /// Is nothing wrong?
    pub(crate) fn none(&self) -> bool {
        self.open.load(Ordering::Acquire) == 0
    }

    /// `reporter` failed to do `what`.
    pub(crate) fn report(&self, reporter: Reporter, what: &str, error: &ScriptError) {
        let cause = cause(error, what);
        let mut causes = self.by_cause.lock().unwrap_or_else(PoisonError::into_inner);
        if causes.get(&cause).is_some_and(|reporters| reporters.contains(&reporter)) {
            return;
        }
        remove(&mut causes, reporter);
        let reporters = causes.entry(cause).or_default();
        if reporters.is_empty() {
            let hint = match error {
                ScriptError::Failure(failure) => failure.hint(),
                _ => None,
            };
            warn!(hint, "{what}: {error}; nothing is lost, it is tried again until it works");
        }
        reporters.insert(reporter);
        self.open.store(causes.len(), Ordering::Release);
    }

    /// `reporter` succeeded.
    pub(crate) fn over(&self, reporter: Reporter) {
        for cause in self.forget(reporter) {
            info!(cause, "resumed");
        }
    }

    /// `reporter` gave up trying; answers the causes that nobody reports any more.
    pub(crate) fn forget(&self, reporter: Reporter) -> Vec<String> {
        if self.none() {
            return Vec::new();
        }
        let mut causes = self.by_cause.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = remove(&mut causes, reporter);
        self.open.store(causes.len(), Ordering::Release);
        ended
    }
}

/// Removes a reporter; answers the causes that nobody reports any more.
fn remove(causes: &mut HashMap<String, HashSet<Reporter>>, reporter: Reporter) -> Vec<String> {
    let mut ended = Vec::new();
    causes.retain(|cause, reporters| {
        if reporters.remove(&reporter) && reporters.is_empty() {
            ended.push(cause.clone());
        }
        !reporters.is_empty()
    });
    ended
}

/// The label of a failure in metrics.
pub(crate) fn kind(error: &ScriptError) -> &'static str {
    match error {
        ScriptError::Failure(Failure::NotApplied { reason, .. }) => reason.code(),
        ScriptError::Failure(Failure::Unknown { .. }) => "no_answer",
        ScriptError::Failure(Failure::Server { .. }) => "error_reply",
        ScriptError::Uninitialised => "uninitialised",
        ScriptError::Frozen(_) => "partition_frozen",
        ScriptError::CorruptPartition(_) => "corrupt_partition",
        ScriptError::StaleKeys => "stale_keys",
    }
}

/// One outage shows as a reset, a refusal and LOADING in turn, in every loop: it is one cause.
fn cause(error: &ScriptError, what: &str) -> String {
    match error {
        ScriptError::Failure(Failure::Unknown { .. }) => "redis_unavailable".to_owned(),
        ScriptError::Failure(Failure::NotApplied { reason, .. }) => match reason {
            Refusal::Unreachable
            | Refusal::NoLink
            | Refusal::Loading
            | Refusal::Busy
            | Refusal::MasterDown
            | Refusal::Cluster => "redis_unavailable".to_owned(),
            other => other.code().to_owned(),
        },
        // What is wrong with a partition or a command is told apart by where it was met.
        other => format!("{}: {what}", kind(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_outage_is_one_trouble_until_the_last_reporter_is_well() {
        let troubles = Troubles::default();
        let (a, b) = (troubles.reporter(), troubles.reporter());
        let refused = |reason| ScriptError::from(Failure::not_applied(reason, ""));
        troubles.report(a, "fetch", &refused(Refusal::Unreachable));
        troubles.report(b, "settle", &ScriptError::from(Failure::unknown("reset")));
        troubles.report(a, "fetch", &refused(Refusal::Loading));
        assert_eq!(troubles.open.load(Ordering::Relaxed), 1);
        troubles.report(b, "settle", &refused(Refusal::OutOfMemory));
        assert_eq!(troubles.open.load(Ordering::Relaxed), 2, "out of memory is another cause");
        troubles.over(a);
        assert!(!troubles.none());
        troubles.over(b);
        assert!(troubles.none());
    }
}
