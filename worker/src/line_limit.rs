//! A limit on log lines about single jobs: a burst is named job by job, a flood is counted.
//!
//! Every line that is left out is counted, and the count is said as soon as lines are let through again, or by the
//! reminder. The clock is an argument of what decides.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::info;

/// Lines that may be written at once.
const BURST: u32 = 100;
/// One more for each of these.
const PAUSE: Duration = Duration::from_millis(100);

/// The lines of one kind.
#[derive(Debug)]
pub(crate) struct LineLimit {
    what: &'static str,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Of [`BURST`], at `since`.
    used: u32,
    since: Option<Instant>,
    /// Since the last line.
    left_out: u64,
}

impl LineLimit {
    /// For lines about `what`, in words that follow a number.
    pub(crate) fn new(what: &'static str) -> Self {
        Self { what, state: Mutex::default() }
    }

    /// Whether the next line may be written.
    pub(crate) fn may_write(&self) -> bool {
        let (may, left_out) = self.lock().next(Instant::now());
        self.say(left_out);
        may
    }

    /// Says how many lines were left out, if no more were meanwhile.
    pub(crate) fn remind(&self) {
        let left_out = std::mem::take(&mut self.lock().left_out);
        self.say(left_out);
    }

    fn say(&self, left_out: u64) {
        if left_out > 0 {
            info!(left_out, "{left_out} more {}", self.what);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether a line may be written, and how many were left out before it.
    fn next(&mut self, now: Instant) -> (bool, u64) {
        let since = *self.since.get_or_insert(now);
        let earned = (now.saturating_duration_since(since).as_millis() / PAUSE.as_millis()) as u32;
        if earned > 0 {
            self.used = self.used.saturating_sub(earned);
            self.since = Some(since + PAUSE * earned);
        }
        if self.used >= BURST {
            self.left_out += 1;
            return (false, 0);
        }
        self.used += 1;
        (true, std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_written_and_a_flood_is_counted() {
        let (mut state, begun) = (State::default(), Instant::now());
        let written = (0..1_000).filter(|_| state.next(begun).0).count();
        assert_eq!((written, state.left_out), (100, 900));
        let later = begun + PAUSE * 2;
        assert_eq!(state.next(later), (true, 900));
        assert_eq!(state.next(later), (true, 0));
        assert_eq!(state.next(later), (false, 0));
        // A long silence earns no more than a burst.
        let much_later = later + Duration::from_secs(3_600);
        assert_eq!((0..1_000).filter(|_| state.next(much_later).0).count(), 100);
    }
}
