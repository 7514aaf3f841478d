//! The clock of the explored Redis: stands still until it is stepped.
//!
//! A small C file is preloaded into redis-server and reads the time from a file of eight bytes; it is compiled here
//! and now. Without a C compiler nothing can be explored, and that is said.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

/// When every order begins: a Monday in 2026, in microseconds since 1970.
const BEGIN_US: i64 = 1_788_000_000_000_000;

pub(super) struct Clock {
    file: File,
    path: PathBuf,
    shim: PathBuf,
    now_us: i64,
}

/// There is no C compiler.
#[derive(Debug, thiserror::Error)]
#[error("no C compiler (cc) in PATH: install gcc or clang; the server's clock is stepped by a small C file")]
pub(super) struct NoCompiler;

impl Clock {
    pub(super) fn in_dir(dir: &Path) -> anyhow::Result<Self> {
        let (source, shim, path) = (dir.join("clock.c"), dir.join("clock.so"), dir.join("clock"));
        std::fs::write(&source, include_str!("clock.c"))?;
        let compiled = Command::new("cc")
            .args(["-O1", "-shared", "-fPIC", "-o"])
            .arg(&shim)
            .arg(&source)
            .output()
            .map_err(|_| NoCompiler)?;
        let words = String::from_utf8_lossy(&compiled.stderr);
        anyhow::ensure!(compiled.status.success(), "the server's clock does not compile: {words}");
        let file =
            File::options().write(true).create(true).truncate(true).open(&path).context("the clock")?;
        let mut clock = Self { file, path, shim, now_us: 0 };
        clock.reset()?;
        Ok(clock)
    }

    /// What redis-server needs in its environment.
    pub(super) fn variables(&self) -> [(&'static str, &Path); 2] {
        [("LD_PRELOAD", &self.shim), ("TOLLGATE_CLOCK", &self.path)]
    }

    /// To when every order begins.
    pub(super) fn reset(&mut self) -> anyhow::Result<()> {
        self.set(BEGIN_US)
    }

    pub(super) fn step(&mut self, ms: i64) -> anyhow::Result<()> {
        self.set(self.now_us + ms * 1_000)
    }

    pub(super) fn now_ms(&self) -> u64 {
        (self.now_us / 1_000).unsigned_abs()
    }

    fn set(&mut self, now_us: i64) -> anyhow::Result<()> {
        self.now_us = now_us;
        self.file.write_all_at(&now_us.to_ne_bytes(), 0).context("the server's clock cannot be set")
    }
}
