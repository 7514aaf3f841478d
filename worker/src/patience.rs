//! Trying again: what a loop does between two attempts.
//!
//! The pauses grow and are jittered, so that a fleet does not come back as one. Saying what is wrong is left to
//! [`Troubles`](crate::trouble::Troubles). Must not be used for a call that is unsafe to repeat; ours all are safe.

use std::time::Duration;

use tollgate::scripts::ScriptError;

use crate::health::Health;
use crate::shutdown::Phase;
use crate::trouble::Reporter;

const PAUSE_MIN: Duration = Duration::from_millis(50);
/// Also the longest that a healed Redis waits for us.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// The phase came at which trying ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GaveUp;

/// The attempts of one loop. Dropped it counts as a success.
pub(crate) struct Patience<'a> {
    health: &'a Health,
    until: Phase,
    what: String,
    reporter: Reporter,
    failures: u32,
}

impl<'a> Patience<'a> {
    /// For doing `what`, until the phase `until`.
    pub(crate) fn new(health: &'a Health, until: Phase, what: impl Into<String>) -> Self {
        Self { health, until, what: what.into(), reporter: health.troubles.reporter(), failures: 0 }
    }

    /// Takes note of a failure and waits until it is time to try again.
    pub(crate) async fn after(&mut self, error: &ScriptError) -> Result<(), GaveUp> {
        self.health.metrics.redis_failure(error);
        // A connection that broke while it was idle is replaced by the next attempt, without a word: after a restart of
        // Redis every loop meets that once, at a time of its own.
        let broken = matches!(error, ScriptError::Failure(failure) if failure.is_broken_connection());
        if self.failures > 0 || !broken {
            self.health.troubles.report(self.reporter, &self.what, error);
        }
        let pause = jittered(pause(self.failures), rand::random());
        self.failures = self.failures.saturating_add(1);
        tokio::select! {
            () = tokio::time::sleep(pause) => Ok(()),
            () = self.health.shutdown.reached(self.until) => {
                self.failures = 0;
                self.health.troubles.forget(self.reporter);
                Err(GaveUp)
            }
        }
    }

    /// Takes note of a success.
    pub(crate) fn well(&mut self) {
        if self.failures > 0 {
            self.failures = 0;
            self.health.troubles.over(self.reporter);
        }
    }
}

impl Drop for Patience<'_> {
    fn drop(&mut self) {
        self.well();
    }
}

/// Doubles with each failure.
fn pause(failures: u32) -> Duration {
    PAUSE_MIN.saturating_mul(1 << failures.min(10)).min(PAUSE_MAX)
}

/// Between half and all of it; `chance` is 0 to 255.
fn jittered(pause: Duration, chance: u8) -> Duration {
    pause / 2 + pause * u32::from(chance) / 510
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_second_and_differ() {
        assert_eq!(pause(0), PAUSE_MIN);
        assert_eq!(pause(1), PAUSE_MIN * 2);
        assert_eq!(pause(99), PAUSE_MAX);
        assert_eq!(jittered(PAUSE_MAX, 0), PAUSE_MAX / 2);
        assert_eq!(jittered(PAUSE_MAX, 255), PAUSE_MAX);
    }
}
