//! How the process is: its phase, its incidents, its figures. What every part reports to and `/readyz` asks.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

use crate::incidents::{Impact, Incidents, Open};
use crate::line_limit::LineLimit;
use crate::metrics::Metrics;
use crate::shutdown::{Phase, Shutdown};

#[derive(Debug)]
pub(crate) struct Health {
    pub(crate) shutdown: Shutdown,
    pub(crate) incidents: Incidents,
    pub(crate) metrics: Metrics,
    /// Counts how often secrets were to be read again; whoever holds one watches it.
    pub(crate) reloads: watch::Sender<u64>,
    pub(crate) dead_lines: LineLimit,
    pub(crate) mismatch_lines: LineLimit,
    open: AtomicBool,
    /// What an operator has accepted of this Redis.
    accepted: Mutex<Vec<String>>,
}

impl Health {
    pub(crate) fn new(shutdown: Shutdown) -> Self {
        Self {
            shutdown,
            incidents: Incidents::default(),
            metrics: Metrics::default(),
            reloads: watch::Sender::new(0),
            dead_lines: LineLimit::new("jobs moved to dead: `tollgate-producer dead ls`"),
            mismatch_lines: LineLimit::new("ids were used for another request"),
            open: AtomicBool::new(false),
            accepted: Mutex::default(),
        }
    }

    /// The namespace is there.
    pub(crate) fn namespace_opened(&self) {
        self.open.store(true, Ordering::Release);
    }

    /// What an operator has accepted of this Redis, and is so.
    pub(crate) fn accepted(&self, reasons: Vec<String>) {
        *self.accepted.lock().unwrap_or_else(PoisonError::into_inner) = reasons;
    }

    /// Whether jobs are taken and payouts made, and what is wrong.
    pub(crate) fn readiness(&self) -> Readiness {
        let incidents = self.incidents.list();
        let why_not = if !self.open.load(Ordering::Acquire) {
            Some("the namespace is not open yet")
        } else {
            match self.shutdown.phase() {
                Phase::Running if incidents.iter().all(|open| open.impact == Impact::Degraded) => None,
                Phase::Running => Some("not everything works"),
                Phase::Quiet => Some("quiet"),
                Phase::Draining | Phase::Over => Some("draining"),
            }
        };
        let accepted = self.accepted.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Readiness { why_not, incidents, accepted }
    }
}

/// What `/readyz` says.
#[derive(Debug)]
pub(crate) struct Readiness {
    /// `None` if the worker does its work.
    pub(crate) why_not: Option<&'static str>,
    /// What is wrong, also where the work goes on.
    pub(crate) incidents: Vec<Open>,
    /// What is less than we ask for, and was accepted.
    pub(crate) accepted: Vec<String>,
}

impl Readiness {
    pub(crate) fn is_ready(&self) -> bool {
        self.why_not.is_none()
    }
}

/// `ready`, or `not ready: <why>`; then each open incident, and what was accepted.
impl fmt::Display for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.why_not {
            None => f.write_str("ready")?,
            Some(why) => write!(f, "not ready: {why}")?,
        }
        self.incidents.iter().try_for_each(|open| write!(f, "\n{open}"))?;
        self.accepted.iter().try_for_each(|reason| write!(f, "\naccepted: {reason}"))
    }
}
