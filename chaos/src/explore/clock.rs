//! The clock of the explored Redis: stands still until it is stepped.
//!
//! Without a C compiler there is none, nothing can be explored, and that is said.

use std::path::Path;

use anyhow::Context;
use tollgate_testkit::clock::{self, Library};

/// When every order begins: a Monday in 2026, in microseconds since 1970.
pub(super) const BEGIN_US: i64 = 1_788_000_000_000_000;

pub(super) struct Clock {
    clock: clock::Clock,
    now_us: i64,
}

impl Clock {
    pub(super) fn in_dir(dir: &Path) -> anyhow::Result<Self> {
        let clock = Library::compile(dir)?.still(dir.join("clock")).context("the server's clock")?;
        let mut clock = Self { clock, now_us: 0 };
        clock.set(BEGIN_US)?;
        Ok(clock)
    }

    /// What redis-server needs in its environment.
    pub(super) fn variables(&self) -> [(&'static str, &Path); 2] {
        self.clock.environment()
    }

    pub(super) fn set(&mut self, now_us: i64) -> anyhow::Result<()> {
        if self.now_us != now_us {
            self.clock.set(now_us).context("the server's clock cannot be set")?;
            self.now_us = now_us;
        }
        Ok(())
    }
}
