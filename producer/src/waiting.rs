//! Waiting for what may pass, with longer and longer pauses, for a while at most.

use std::time::{Duration, Instant};

/// The pause after a failure, doubled up to the second value.
const PAUSE: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// How long something has been waited for.
#[derive(Default)]
pub(crate) struct Waiting {
    since: Option<Instant>,
    pauses: u32,
}

impl Waiting {
    /// The next pause; `None` once `wait_max` is over.
    pub(crate) fn next(&mut self, wait_max: Duration) -> Option<Duration> {
        let waited = self.since.get_or_insert_with(Instant::now).elapsed();
        let left = wait_max.checked_sub(waited).filter(|left| !left.is_zero())?;
        let pause = PAUSE.saturating_mul(1 << self.pauses.min(10)).min(PAUSE_MAX).min(left);
        self.pauses += 1;
        Some(pause)
    }

    pub(crate) fn is_first(&self) -> bool {
        self.pauses == 1
    }
}
