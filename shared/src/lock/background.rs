//! What is done in the background, counted, so that the end of a process can wait for it.

use std::time::Instant;

use tokio::sync::watch;

/// How much is still to be done in the background.
#[derive(Debug, Clone)]
pub(super) struct Background(watch::Sender<usize>);

/// One thing that is being done in the background.
#[derive(Debug)]
pub(super) struct Busy(watch::Sender<usize>);

impl Default for Background {
    fn default() -> Self {
        Self(watch::Sender::new(0))
    }
}

impl Background {
    pub(super) fn busy(&self) -> Busy {
        self.0.send_modify(|busy| *busy += 1);
        Busy(self.0.clone())
    }

    /// Waits until nothing is left to do, or until `ends_at`; how much is left.
    pub(super) async fn done(&self, ends_at: Instant) -> usize {
        let mut busy = self.0.subscribe();
        let idle = busy.wait_for(|busy| *busy == 0);
        let _ = tokio::time::timeout_at(ends_at.into(), idle).await;
        *self.0.borrow()
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.send_modify(|busy| *busy -= 1);
    }
}
