//! Clocks that can be stepped, of the server, the workers or the producers.
//!
//! Relies on a C compiler; where there is none the scenario is left out by name.

use std::path::Path;

use tollgate_testkit::clock::{self, Library};

/// A clock that can be stepped.
#[derive(Debug, Clone)]
pub(super) struct Clock {
    pub(super) whose: &'static str,
    clock: clock::Clock,
}

impl Clock {
    /// What a program is started with whose clock this is.
    pub(super) fn environment(&self) -> [(String, String); 2] {
        self.clock.environment().map(|(name, path)| (name.to_owned(), path.display().to_string()))
    }

    /// From now on it is so many seconds off.
    pub(super) fn step(&self, seconds: i64) -> anyhow::Result<()> {
        Ok(self.clock.set(seconds * 1_000_000)?)
    }

    /// Back to the real time.
    pub(super) fn right(&self) -> anyhow::Result<()> {
        Ok(self.clock.set(0)?)
    }
}

/// Makes clocks that go right; says what is missing.
pub(super) fn make(dir: &Path, whose: &[&'static str]) -> Result<Vec<Clock>, String> {
    let library = Library::compile(dir).map_err(|problem| format!("clocks that step: {problem}"))?;
    let one = |whose: &&'static str| {
        let clock = library.moving(dir.join(format!("clock-{whose}")));
        clock.map(|clock| Clock { whose, clock }).map_err(|problem| format!("clocks that step: {problem}"))
    };
    whose.iter().map(one).collect()
}
