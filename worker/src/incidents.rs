//! Incidents: what is wrong at the moment, for Redis, partitions, the payout gateway, locks and the process itself.
//!
//! Each is said once when it begins, once a minute while it lasts, and once when it ends; `/readyz` lists what is
//! open, and a metric counts it by [`Kind`]. Every loop that can fail reports under a [`Reporter`] of its own;
//! whatever shares a cause (each loop meets the same outage) is one incident, over when its last reporter is well.
//! An incident is known by its kind and its subject: subjects come from a closed set (partitions, servers, tasks),
//! never from what a user sends. Must not log per attempt.

mod incident;
mod kind;
mod register;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use tracing::{info, warn};

pub(crate) use incident::{Incident, Open, Reporter};
pub(crate) use kind::{Impact, Kind};
use register::{Line, Register};

/// All that is wrong at the moment.
#[derive(Debug, Default)]
pub(crate) struct Incidents {
    reporters: AtomicU64,
    /// How many are open: read on every success, so without the lock.
    open: AtomicUsize,
    register: Mutex<Register>,
}

impl Incidents {
    /// A reporter that nobody else is.
    pub(crate) fn reporter(&self) -> Reporter {
        Reporter(self.reporters.fetch_add(1, Ordering::Relaxed))
    }

    /// Is nothing wrong?
    pub(crate) fn none(&self) -> bool {
        self.open.load(Ordering::Acquire) == 0
    }

    /// `reporter` finds that something is wrong; what it had found before is over. As often as it likes.
    pub(crate) fn open(&self, reporter: Reporter, incident: Incident) {
        self.change(|register, now| register.open(reporter, incident, now));
    }

    /// `reporter` is well.
    pub(crate) fn resolve(&self, reporter: Reporter) {
        if !self.none() {
            self.change(|register, now| register.resolve(reporter, now));
        }
    }

    /// `reporter` does not try any more, so it cannot tell whether it would be well.
    pub(crate) fn withdraw(&self, reporter: Reporter) {
        if !self.none() {
            self.change(|register, _| register.withdraw(reporter));
        }
    }

    /// Says what lasts, where nothing was said of it for a minute. To be called a few times a minute.
    pub(crate) fn remind(&self) {
        if !self.none() {
            self.change(|register, now| register.remind(now));
        }
    }

    /// What is open, the oldest first.
    pub(crate) fn list(&self) -> Vec<Open> {
        if self.none() {
            return Vec::new();
        }
        self.register.lock().unwrap_or_else(PoisonError::into_inner).list(Instant::now())
    }

    fn change(&self, change: impl FnOnce(&mut Register, Instant) -> Vec<Line>) {
        let mut register = self.register.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = change(&mut register, Instant::now());
        self.open.store(register.len(), Ordering::Release);
        drop(register);
        lines.into_iter().for_each(say);
    }
}

fn say(line: Line) {
    match line {
        Line::Begun { kind, subject, reason, hint } => {
            warn!(incident = %kind, subject = some(&subject), hint, "{reason}");
        }
        Line::Lasts { kind, subject, reasons, hint, age, reports } => {
            let seconds = age.as_secs();
            let reasons = reasons.join("; also: ");
            warn!(incident = %kind, subject = some(&subject), seconds, reports, hint, "still: {reasons}");
        }
        Line::Ended { kind, subject, age } => {
            info!(incident = %kind, subject = some(&subject), seconds = age.as_secs(), "resumed");
        }
        Line::Changed { kind, subject, age, into } => {
            let seconds = age.as_secs();
            info!(incident = %kind, subject = some(&subject), seconds, "over, but now: {into}");
        }
    }
}

fn some(subject: &str) -> Option<&str> {
    Some(subject).filter(|subject| !subject.is_empty())
}
