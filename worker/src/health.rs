//! How the process is: its phase, its troubles, its figures. What every part reports to and `/readyz` asks.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::metrics::Metrics;
use crate::shutdown::{Phase, Shutdown};
use crate::trouble::Troubles;

#[derive(Debug)]
pub(crate) struct Health {
    pub(crate) shutdown: Shutdown,
    pub(crate) troubles: Troubles,
    pub(crate) metrics: Metrics,
    open: AtomicBool,
}

impl Health {
    pub(crate) fn new(shutdown: Shutdown) -> Self {
        Self {
            shutdown,
            troubles: Troubles::default(),
            metrics: Metrics::default(),
            open: AtomicBool::new(false),
        }
    }

    /// The namespace is there.
    pub(crate) fn namespace_opened(&self) {
        self.open.store(true, Ordering::Release);
    }

    /// Why no jobs are taken at the moment; `None` if they are.
    pub(crate) fn unready(&self) -> Option<&'static str> {
        if !self.open.load(Ordering::Acquire) {
            return Some("the namespace is not open yet");
        }
        match self.shutdown.phase() {
            Phase::Running if self.troubles.none() => None,
            Phase::Running => Some("Redis or a partition does not work; see the log"),
            Phase::Quiet => Some("quiet"),
            Phase::Draining | Phase::Over => Some("draining"),
        }
    }
}
