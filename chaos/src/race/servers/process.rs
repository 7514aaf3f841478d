//! A server process that ends with its value, and also if this process is killed.
//!
//! Relies on the watchdog. Must not leave its directory behind.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use crate::watchdog::Watchdog;

/// How long a server may take until it answers.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How long one look at it may take: it may accept before it serves.
const LOOK_WITHIN: Duration = Duration::from_secs(1);
/// How long it may take to end when it is told to; then it is killed.
const ENDED_WITHIN: Duration = Duration::from_secs(2);

/// `$1` the server, `$2` its directory, `$3` how it is told to end.
const TIDY_UP: &str = r#"kill -s "$3" "$1"; sleep 1; kill -9 "$1"; rm -rf "$2""#;

/// How a server is told to end at once.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    /// It would rather tidy up, but nobody needs its data.
    Kill,
    /// PostgreSQL's immediate shutdown: it ends its own processes first.
    Quit,
}

impl End {
    fn signal(self) -> (Signal, &'static str) {
        match self {
            Self::Kill => (Signal::KILL, "KILL"),
            Self::Quit => (Signal::QUIT, "QUIT"),
        }
    }
}

/// A running server. Dropped, it is ended, and its directory goes.
pub(super) struct Server {
    process: Child,
    watchdog: Option<Watchdog>,
    dir: tempfile::TempDir,
    end: End,
}

impl Server {
    /// Starts it; its words go to `server.log` in its directory.
    pub(super) fn spawn(mut command: Command, dir: tempfile::TempDir, end: End) -> anyhow::Result<Self> {
        let log = std::fs::File::create(dir.path().join("server.log"))?;
        let program = command.as_std().get_program().to_owned();
        command.process_group(0).kill_on_drop(true).stdin(Stdio::null());
        command.stdout(log.try_clone()?).stderr(log).current_dir(dir.path());
        let process = command.spawn().with_context(|| format!("starting {}", program.display()))?;
        let pid = process.id().with_context(|| format!("{} ended at once", program.display()))?;
        let number = pid.to_string();
        let words = [OsStr::new(&number), dir.path().as_os_str(), OsStr::new(end.signal().1)];
        let watchdog = Some(Watchdog::new(TIDY_UP, &words)?);
        Ok(Self { process, watchdog, dir, end })
    }

    pub(super) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Waits until `ready` says so.
    pub(super) async fn until(&mut self, mut ready: impl AsyncFnMut() -> bool) -> anyhow::Result<()> {
        let begun = Instant::now();
        while !tokio::time::timeout(LOOK_WITHIN, ready()).await.unwrap_or(false) {
            let said = || {
                let log = std::fs::read_to_string(self.dir.path().join("server.log")).unwrap_or_default();
                let lines: Vec<&str> = log.lines().collect();
                lines[lines.len().saturating_sub(5)..].join("\n")
            };
            let ended = self.process.try_wait()?;
            ensure!(ended.is_none(), "it ended at its start:\n{}", said());
            ensure!(begun.elapsed() < READY_WITHIN, "it does not answer:\n{}", said());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The watchdog first, so that it cannot kill whoever gets the same process id next.
        self.watchdog = None;
        let pid = self.process.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        if let Some(pid) = pid {
            // It fails only for a process that has ended.
            let _ = kill_process(pid, self.end.signal().0);
        }
        let begun = Instant::now();
        while matches!(self.process.try_wait(), Ok(None)) && begun.elapsed() < ENDED_WITHIN {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
