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
    /// Takes the look that came at `now`.
    pub(super) fn add(&mut self, reading: Reading, now: Instant) {
        if let Some((before, at)) = &self.last {
            let rates = Rates::between(before, &reading, seconds_between(before, &reading, now, *at));
            self.decided.push_front(rates.decided);
            self.decided.truncate(LOOKS_MAX);
            self.rates = Some(rates);
        }
        self.last = Some((reading, now));
    }

    /// How high a curve of the last `shown` looks is to be, and the highest of them. One look far above all others
    /// (what was decided at once after an outage) does not flatten the rest: it is drawn cut off.
    pub(super) fn scale(&self, shown: usize) -> (u64, u64) {
        let mut seen: Vec<u64> = self.decided.iter().take(shown).copied().filter(|rate| *rate > 0).collect();
        seen.sort_unstable_by(|a, b| b.cmp(a));
        let highest = seen.first().copied().unwrap_or(0);
        // One in twenty may be an exception, and of a few looks one.
        let exceptions = (seen.len() / 20).max(usize::from(seen.len() > 2));
        let usual = seen.get(exceptions).copied().unwrap_or(highest);
        (highest.min(usual.saturating_mul(2)), highest)
    }
}

/// By the server's clock, since a look that was held up by an outage arrives long after what it saw; by our own where
/// the server's went back.
fn seconds_between(before: &Reading, after: &Reading, now: Instant, at: Instant) -> f64 {
    let served = after.overview.at_ms.saturating_sub(before.overview.at_ms) as f64 / 1000.0;
    let seconds = if served > 0.0 { served } else { now.duration_since(at).as_secs_f64() };
    seconds.max(0.001)
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

    fn looked(at_ms: u64, decided: u64) -> Reading {
        let mut reading = reading();
        (reading.overview.at_ms, reading.overview.counts.decided) = (at_ms, decided);
        reading
    }

    #[test]
    fn rates_are_differences_by_the_time_between() {
        let mut history = History::default();
        let begun = Instant::now();
        let mut first = looked(1_000, 1_000);
        first.overview.counts.waiting = 900;
        history.add(first.clone(), begun);
        assert_eq!(history.rates, None);

        let mut second = first.clone();
        (second.overview.at_ms, second.overview.counts.decided) = (1_500, 1_500);
        second.overview.counts.replayed += 50;
        second.overview.counts.waiting = 400;
        second.sampled = Sampled { decided: 100, refused: 20 };
        history.add(second.clone(), begun + Duration::from_millis(510));
        let rates = history.rates.unwrap();
        assert_eq!((rates.decided, rates.replayed, rates.refused), (1_000, 100, 200));
        assert!(rates.refused_is_estimate);
        assert_eq!(rates.backlog, -1_000);

        // Restored from a backup: no rate of four billion. Its clock has gone back as well: ours counts.
        history.add(first, begun + Duration::from_millis(1_510));
        assert_eq!(history.rates.unwrap().decided, 0);
        assert_eq!(history.decided, [0, 1_000]);
    }

    #[test]
    fn a_look_that_an_outage_held_up_makes_no_spike() {
        let mut history = History::default();
        let begun = Instant::now();
        history.add(looked(1_000, 0), begun);
        // Seen by the server at 2 s and by us at 11 s, just before the next one.
        history.add(looked(2_000, 500), begun + Duration::from_secs(10));
        history.add(looked(11_050, 5_000), begun + Duration::from_millis(10_050));
        assert_eq!(history.decided, [497, 500]);
    }

    #[test]
    fn one_spike_is_not_the_scale() {
        let of = |rates: &[u64]| {
            let decided = rates.iter().copied().collect();
            History { decided, ..History::default() }.scale(100)
        };
        assert_eq!(of(&[]), (0, 0));
        assert_eq!(of(&[0, 0, 70]), (70, 70));
        assert_eq!(of(&[100, 90, 110, 120]), (120, 120));
        assert_eq!(of(&[100, 90, 129_000, 120]), (240, 129_000));
        // Idle for long, then a burst: that is what there is to see.
        assert_eq!(
            of(&[500, 480, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            (500, 500)
        );
        assert_eq!(History { decided: [10, 9, 8, 999].into(), ..History::default() }.scale(3), (10, 10));
    }
}
