//! How large a batch should be: about a millisecond of script time, so that Redis stays open to others.
//!
//! Pure. A call waits in Redis behind others: our own other call is answered first, so a call's time counts from that
//! answer on; of the waits behind other workers, the shortest of the last calls has the least. Only batches of some size teach: in a small one, the round trip is the most of it.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::time::Duration;

use tokio::time::Instant;

const SCRIPT_TIME_TARGET: Duration = Duration::from_millis(1);
/// How many calls are remembered.
const CALLS: usize = 32;

/// The size that the next batch should have.
#[derive(Debug)]
pub(crate) struct BatchSize {
    allowed: RangeInclusive<usize>,
    target: usize,
    nanos_per_job: VecDeque<u64>,
    answered: Option<Instant>,
}

impl BatchSize {
    pub(crate) fn new(allowed: RangeInclusive<usize>) -> Self {
        Self {
            target: *allowed.end(),
            allowed,
            nanos_per_job: VecDeque::with_capacity(CALLS),
            answered: None,
        }
    }

    pub(crate) fn target(&self) -> usize {
        self.target
    }

    /// Takes note of a call over `jobs` that was sent and answered then.
    pub(crate) fn observe(&mut self, jobs: usize, sent: Instant, answered: Instant) {
        let begun = self.answered.map_or(sent, |before| before.max(sent));
        self.answered = Some(answered.max(begun));
        let took = answered.saturating_duration_since(begun);
        let (min, max) = (*self.allowed.start(), *self.allowed.end());
        if jobs < min {
            return;
        }
        if self.nanos_per_job.len() == CALLS {
            self.nanos_per_job.pop_front();
        }
        self.nanos_per_job.push_back((took.as_nanos() as u64 / jobs as u64).max(1));
        let least = self.nanos_per_job.iter().min().copied().unwrap_or(1);
        let target = SCRIPT_TIME_TARGET.as_nanos() as u64 / least;
        self.target = (target as usize).clamp(min, max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls one after the other.
    fn observe(size: &mut BatchSize, jobs: usize, took: Duration) {
        let sent = size.answered.unwrap_or_else(Instant::now);
        size.observe(jobs, sent, sent + took);
    }

    #[test]
    fn aims_at_a_millisecond_within_the_bounds() {
        let mut size = BatchSize::new(64..=256);
        assert_eq!(size.target(), 256);
        observe(&mut size, 100, Duration::from_millis(1));
        assert_eq!(size.target(), 100);
        observe(&mut size, 100, Duration::from_millis(50)); // it waited behind others
        assert_eq!(size.target(), 100);
        observe(&mut size, 1, Duration::from_micros(200)); // says nothing about script time
        assert_eq!(size.target(), 100);
        for _ in 0..CALLS {
            observe(&mut size, 100, Duration::from_secs(1));
        }
        assert_eq!(size.target(), 64);
        let mut small = BatchSize::new(5..=5);
        observe(&mut small, 5, Duration::from_secs(1));
        assert_eq!(small.target(), 5);
    }

    #[test]
    fn two_calls_in_flight_are_not_counted_twice() {
        let mut size = BatchSize::new(64..=256);
        let begun = Instant::now();
        for n in 0..CALLS as u32 {
            // Each is sent when the one before the last is answered, and waits for the last.
            let (sent, answered) = (Duration::from_millis(1) * n, Duration::from_millis(1) * (n + 2));
            size.observe(200, begun + sent, begun + answered);
        }
        assert_eq!(size.target(), 200);
    }
}
