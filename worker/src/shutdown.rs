//! How a worker ends: four phases, in this order, never back.
//!
//! A [`Shutdown`] is what every task holds to learn of the phase; only the one who handles signals can advance it.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

/// What the worker may still do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Everything.
    Running,
    /// No new entries; agents and heartbeat go on (SIGTSTP).
    Quiet,
    /// No new entries; what is in flight is settled, then the process ends (SIGTERM, SIGINT, SIGQUIT).
    Draining,
    /// Whatever is not done stays in flight, for others (all done, drain timeout, or a second signal).
    Over,
}

/// The end that advances the phase.
#[derive(Debug)]
pub(crate) struct Control {
    phase: watch::Sender<Phase>,
    failed: AtomicBool,
}

impl Control {
    pub(crate) fn new() -> Self {
        Self { phase: watch::Sender::new(Phase::Running), failed: AtomicBool::new(false) }
    }

    pub(crate) fn listen(&self) -> Shutdown {
        Shutdown(self.phase.subscribe())
    }

    /// Begins the drain of a worker that cannot go on.
    pub(crate) fn fail(&self) {
        self.failed.store(true, Ordering::Release);
        self.advance(Phase::Draining);
    }

    /// Whether the worker ends because it could not go on.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Never goes back.
    pub(crate) fn advance(&self, to: Phase) {
        self.phase.send_if_modified(|phase| {
            let later = to > *phase;
            *phase = to.max(*phase);
            later
        });
    }
}

/// The end that listens.
#[derive(Debug, Clone)]
pub(crate) struct Shutdown(watch::Receiver<Phase>);

impl Shutdown {
    pub(crate) fn phase(&self) -> Phase {
        *self.0.borrow()
    }

    /// Returns when the phase has been reached. Cancel-safe.
    pub(crate) async fn reached(&self, phase: Phase) {
        let mut receiver = self.0.clone();
        // The sender lives as long as the process; without it everything is over.
        let _ = receiver.wait_for(|now| *now >= phase).await;
    }
}
