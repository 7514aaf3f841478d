//! From one look to the next: how much a second. Pure: the clock is an argument.

use std::collections::VecDeque;
use std::time::Instant;

use super::reading::{Reading, Sampled};

/// How many looks the curve keeps: more than a wide terminal shows.
const LOOKS_MAX: usize = 400;

/// What came of the looks so far.
#[derive(Debug, Default)]
pub(super) struct History {
    pub(super) last: Option<(Reading, Instant)>,
    /// Since the look before the last.
    pub(super) rates: Option<Rates>,
    /// Decided a second, the newest first.
    pub(super) decided: VecDeque<u64>,
}

/// How much a second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Rates {
    pub(super) decided: u64,
    pub(super) refused: u64,
    /// Whether `refused` is taken from a part of the decisions only.
    pub(super) refused_is_estimate: bool,
    pub(super) replayed: u64,
    pub(super) mismatched: u64,
    pub(super) expired: u64,
    /// How fast what waits or is in flight grows (above zero) or shrinks.
    pub(super) backlog: i64,
}

impl History {
    /// Takes the look that was made at `now`.
    pub(super) fn add(&mut self, reading: Reading, now: Instant) {
        if let Some((before, at)) = &self.last {
            let seconds = now.duration_since(*at).as_secs_f64().max(0.001);
            let rates = Rates::between(before, &reading, seconds);
            self.decided.push_front(rates.decided);
            self.decided.truncate(LOOKS_MAX);
            self.rates = Some(rates);
        }
        self.last = Some((reading, now));
    }
}

impl Rates {
    fn between(before: &Reading, after: &Reading, seconds: f64) -> Self {
        let (a, b) = (&before.overview.counts, &after.overview.counts);
        // Counters only grow; after a restore they may be lower, and then nothing happened since.
        let rate = |a: u64, b: u64| (b.saturating_sub(a) as f64 / seconds).round() as u64;
        let Sampled { decided: sampled, refused } = after.sampled;
        let decided = b.decided.saturating_sub(a.decided);
        let share = if sampled == 0 { 0.0 } else { refused as f64 / sampled as f64 };
        let backlog = (b.waiting + b.in_flight) as f64 - (a.waiting + a.in_flight) as f64;
        Self {
            decided: rate(a.decided, b.decided),
            refused: (decided as f64 * share / seconds).round() as u64,
            refused_is_estimate: sampled < decided,
            replayed: rate(a.replayed, b.replayed),
            mismatched: rate(a.mismatched, b.mismatched),
            expired: rate(a.expired, b.expired),
            backlog: (backlog / seconds).round() as i64,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::view::tests::reading;
    use super::*;

    #[test]
    fn rates_are_differences_by_the_time_between() {
        let mut history = History::default();
        let begun = Instant::now();
        let mut first = reading();
        first.overview.counts.decided = 1_000;
        first.overview.counts.waiting = 900;
        history.add(first.clone(), begun);
        assert_eq!(history.rates, None);

        let mut second = first.clone();
        second.overview.counts.decided = 1_500;
        second.overview.counts.replayed += 50;
        second.overview.counts.waiting = 400;
        second.sampled = Sampled { decided: 100, refused: 20 };
        history.add(second.clone(), begun + Duration::from_millis(500));
        let rates = history.rates.unwrap();
        assert_eq!((rates.decided, rates.replayed, rates.refused), (1_000, 100, 200));
        assert!(rates.refused_is_estimate);
        assert_eq!(rates.backlog, -1_000);

        // Restored from a backup: no rate of four billion.
        history.add(first, begun + Duration::from_millis(1_500));
        assert_eq!(history.rates.unwrap().decided, 0);
        assert_eq!(history.decided, [0, 1_000]);
    }
}
