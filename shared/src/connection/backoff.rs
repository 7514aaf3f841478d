//! Backoff: how long a loop waits between two attempts.
//!
//! The pauses double up to a bound and are jittered, so that a fleet does not come back as one. Pure but for the
//! random numbers. Must not be used for a call that is unsafe to repeat.

use std::time::Duration;

use crate::random;

/// The pauses of one loop.
#[derive(Debug, Clone)]
pub struct Backoff {
    min: Duration,
    max: Duration,
    failures: u32,
}

impl Backoff {
    /// Pauses from `min`, doubled with each failure, to `max`; each is jittered down to its half at most.
    pub fn new(min: Duration, max: Duration) -> Self {
        Self { min, max, failures: 0 }
    }

    /// How many failures there were since the last success.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Counts a failure; answers how long to wait before the next attempt.
    pub fn next_pause(&mut self) -> Duration {
        let pause = self.pause();
        self.failures = self.failures.saturating_add(1);
        jittered(pause, random::random())
    }

    /// There was a success: the next failure waits for the shortest pause again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    fn pause(&self) -> Duration {
        // Thirty doublings of anything are past every bound.
        self.min.saturating_mul(1 << self.failures.min(30)).min(self.max)
    }
}

/// Between half and all of it; `chance` is 0 to 255.
fn jittered(pause: Duration, chance: u8) -> Duration {
    pause / 2 + pause * u32::from(chance) / 510
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_bound_and_differ() {
        let (min, max) = (Duration::from_millis(50), Duration::from_secs(1));
        let mut backoff = Backoff::new(min, max);
        for expected in [50, 100, 200, 400, 800, 1000, 1000] {
            let expected = Duration::from_millis(expected);
            assert_eq!(backoff.pause(), expected);
            let pause = backoff.next_pause();
            assert!((expected / 2..=expected).contains(&pause), "{pause:?}");
        }
        assert_eq!(backoff.failures(), 7);
        (0..100).for_each(|_| _ = backoff.next_pause());
        assert_eq!(backoff.pause(), max);
        backoff.reset();
        assert_eq!(backoff.pause(), min);
        assert_eq!(jittered(max, 0), max / 2);
        assert_eq!(jittered(max, 255), max);
    }
}
