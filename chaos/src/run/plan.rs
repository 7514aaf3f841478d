//! What is to be played: a scenario, from a seed, for a time.

use std::time::Duration;

use super::sabotage::Planted;
use super::scenario::Scenario;

/// Everything that a run is.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) scenario: Scenario,
    pub(super) seed: u64,
    pub(super) duration: Duration,
    pub(super) workers: usize,
    pub(super) server: Vec<String>,
    pub(super) sabotage: Option<Planted>,
    pub(super) repeat: String,
}

/// How much longer a run goes on in which something has not happened yet that it is about.
const LONGER: u32 = 8;
const LONGER_MOST: Duration = Duration::from_secs(60);

impl Plan {
    /// The end of the faults, whatever has happened by then.
    pub(super) fn longest(&self) -> Duration {
        self.duration + (self.duration * LONGER).min(LONGER_MOST)
    }

    /// How often what has to happen: what the scenario is about, and what a planted bug needs to be seen; where the bug is in Redis, that alone: it
    /// takes away what the scenario is about, and nobody waits for what cannot happen.
    pub(super) fn must_happen(&self) -> Vec<(String, u64)> {
        let shown = self.sabotage.and_then(Planted::shown_by);
        let bites = match self.sabotage.and_then(Planted::in_redis) {
            Some(_) => Vec::new(),
            None => self.scenario.must_bite(),
        };
        let bites = bites.into_iter().map(|name| (name, 1));
        bites.chain(shown.map(|(name, count)| (name.to_owned(), count))).collect()
    }
}
