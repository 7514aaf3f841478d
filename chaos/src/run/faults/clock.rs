//! Clocks that step, of the server, the workers or the producers.
//!
//! Relies on a C compiler; where there is none the scenario is left out by name.

use std::path::Path;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use tollgate_testkit::clock::{self, Library};

use super::Undo;
use crate::run::site::Site;

/// By how many seconds a clock steps: less than a claim idle time, more than any lease, and past a day.
const STEPS: [i64; 8] = [-86_400, -7_200, -30, -1, 1, 30, 7_200, 86_400];

/// A clock that can be stepped.
#[derive(Debug, Clone)]
pub(in crate::run) struct Clock {
    pub(in crate::run) whose: &'static str,
    clock: clock::Clock,
}

impl Clock {
    /// What a program is started with whose clock this is.
    pub(in crate::run) fn environment(&self) -> [(String, String); 2] {
        self.clock.environment().map(|(name, path)| (name.to_owned(), path.display().to_string()))
    }

    /// Back to the real time.
    pub(super) fn right(&self) -> anyhow::Result<()> {
        Ok(self.clock.set(0)?)
    }
}

/// Makes clocks that go right; says what is missing.
pub(in crate::run) fn make(dir: &Path, whose: &[&'static str]) -> Result<Vec<Clock>, String> {
    let library = Library::compile(dir).map_err(|problem| format!("clocks that step: {problem}"))?;
    let one = |whose: &&'static str| {
        let clock = library.moving(dir.join(format!("clock-{whose}")));
        clock.map(|clock| Clock { whose, clock }).map_err(|problem| format!("clocks that step: {problem}"))
    };
    whose.iter().map(one).collect()
}

/// Steps one of them, either way.
pub(super) fn step(site: &Site, random: &mut ChaCha8Rng) -> anyhow::Result<(String, Undo)> {
    anyhow::ensure!(!site.clocks.is_empty(), "no clock of this scenario can be stepped");
    let clock = &site.clocks[random.random_range(0..site.clocks.len())];
    let seconds = STEPS[random.random_range(0..STEPS.len())];
    clock.clock.set(seconds * 1_000_000)?;
    site.count(&format!("clock of the {} stepped", clock.whose), 1);
    Ok((format!("of the {}, by {seconds} s", clock.whose), Undo::Clock(clock.clone())))
}
