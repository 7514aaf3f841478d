//! How large a batch should be: about a millisecond of script time, so that Redis stays open to others.
//!
//! Pure. A call's time includes the wait behind other workers' calls; the shortest of the last calls is nearest to
//! the script's own. Only batches of some size teach: in a small one, the round trip is the most of it.

use std::collections::VecDeque;
use std::time::Duration;

const SCRIPT_TIME_TARGET: Duration = Duration::from_millis(1);
/// How many calls are remembered.
const CALLS: usize = 32;
/// Smaller batches than this cost more per job than they save others in waiting.
const TARGET_MIN: usize = 64;

/// The size that the next batch should have.
#[derive(Debug)]
pub(crate) struct BatchSize {
    max: usize,
    target: usize,
    nanos_per_job: VecDeque<u64>,
}

impl BatchSize {
    pub(crate) fn new(max: usize) -> Self {
        Self { max, target: max, nanos_per_job: VecDeque::with_capacity(CALLS) }
    }

    pub(crate) fn target(&self) -> usize {
        self.target
    }

    pub(crate) fn observe(&mut self, jobs: usize, took: Duration) {
        if jobs < TARGET_MIN.min(self.max) {
            return;
        }
        if self.nanos_per_job.len() == CALLS {
            self.nanos_per_job.pop_front();
        }
        self.nanos_per_job.push_back((took.as_nanos() as u64 / jobs as u64).max(1));
        let least = self.nanos_per_job.iter().min().copied().unwrap_or(1);
        let target = SCRIPT_TIME_TARGET.as_nanos() as u64 / least;
        self.target = (target as usize).clamp(TARGET_MIN.min(self.max), self.max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aims_at_a_millisecond_within_the_bounds() {
        let mut size = BatchSize::new(256);
        assert_eq!(size.target(), 256);
        size.observe(100, Duration::from_millis(1));
        assert_eq!(size.target(), 100);
        size.observe(100, Duration::from_millis(50)); // it waited behind others
        assert_eq!(size.target(), 100);
        size.observe(1, Duration::from_micros(200)); // says nothing about script time
        assert_eq!(size.target(), 100);
        for _ in 0..CALLS {
            size.observe(100, Duration::from_secs(1));
        }
        assert_eq!(size.target(), TARGET_MIN);
        let mut small = BatchSize::new(5);
        small.observe(5, Duration::from_secs(1));
        assert_eq!(small.target(), 5);
    }
}
