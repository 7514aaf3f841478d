//! Tidies up after this process, however it ends, SIGKILL included.
//!
//! Relies on a shell that reads a pipe from this process: when the process is gone, the pipe closes.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use anyhow::Context;

/// Runs its script when this process ends, unless it is dropped before.
pub(crate) struct Watchdog(Child);

impl Watchdog {
    /// `script` is for `sh`, and finds `words` as `$1`, `$2` and so on.
    pub(crate) fn new(script: &str, words: &[&OsStr]) -> anyhow::Result<Self> {
        let watchdog = Command::new("/bin/sh")
            .args(["-c", &format!("read -r _; {script}"), "tollgate-watchdog"])
            .args(words)
            // Ctrl-C must not end it before its work.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Ok(Self(watchdog.context("starting a watchdog")?))
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        // Both fail only for a child that has ended and was waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
