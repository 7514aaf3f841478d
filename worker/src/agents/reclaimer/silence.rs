//! Who holds entries and has not beaten for too long, by a clock that only runs forward.
//!
//! How long an entry has been held is told by the server's clock; after that went back by two hours, what a dead
//! worker held would wait for two hours. This watches whether beats change, whatever time they tell. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;
use tollgate::scripts::claim::Holder;

/// Since when the holders of one queue's entries have been seen with the beat they have.
#[derive(Debug, Default)]
pub(super) struct Silence {
    since: BTreeMap<Holder, Instant>,
}

impl Silence {
    /// Takes note of who holds entries now. Who holds none any more, or has beaten, is forgotten.
    pub(super) fn observe(&mut self, holders: Vec<Holder>, now: Instant) {
        let mut before = std::mem::take(&mut self.since);
        self.since = holders
            .into_iter()
            .map(|holder| {
                let since = before.remove(&holder).unwrap_or(now);
                (holder, since)
            })
            .collect();
    }

    /// Who has been silent for so long.
    pub(super) fn silent(&self, idle: Duration, now: Instant) -> Vec<Holder> {
        let silent = self.since.iter().filter(|(_, since)| now.saturating_duration_since(**since) >= idle);
        silent.map(|(holder, _)| holder.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_beats_or_holds_nothing_is_not_silent() {
        let holder = |consumer: &str, beat: &str| Holder { consumer: consumer.into(), beat: beat.into() };
        let (mut silence, idle, begun) = (Silence::default(), Duration::from_secs(30), Instant::now());
        silence.observe(vec![holder("dead", "9"), holder("alive", "1"), holder("done", "1")], begun);
        let later = begun + Duration::from_secs(29);
        // A clock that went back makes a beat earlier, which is a beat all the same.
        silence.observe(vec![holder("dead", "9"), holder("alive", "0")], later);
        assert_eq!(silence.silent(idle, later), []);
        let end = begun + idle;
        silence.observe(vec![holder("dead", "9"), holder("alive", "0"), holder("done", "1")], end);
        assert_eq!(silence.silent(idle, end), [holder("dead", "9")]);
    }
}
