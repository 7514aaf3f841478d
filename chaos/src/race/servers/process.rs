//! A server process that ends with its value, and what it takes to start one.
//!
//! Relies on its directory being watched, for the case that this process is killed.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use crate::watched_dir::WatchedDir;

/// How long a server may take until it answers.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How long one look at it may take: it may accept before it serves.
const LOOK_WITHIN: Duration = Duration::from_secs(1);
/// How long it may take to end when it is told to; then it is killed.
const ENDED_WITHIN: Duration = Duration::from_millis(500);

/// A running server. Dropped, it is ended, and its directory goes.
pub(super) struct Server {
    process: Child,
    dir: WatchedDir,
}

impl Server {
    /// Starts it; its words go to `server.log` in its directory.
    pub(super) fn spawn(mut command: Command, dir: WatchedDir) -> anyhow::Result<Self> {
        let log = std::fs::File::create(dir.path().join("server.log"))?;
        let program = command.as_std().get_program().to_owned();
        command.process_group(0).kill_on_drop(true).stdin(Stdio::null());
        command.stdout(log.try_clone()?).stderr(log).current_dir(dir.path());
        let process = command.spawn().with_context(|| format!("starting {}", program.display()))?;
        Ok(Self { process, dir })
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
        // SIGQUIT is PostgreSQL's immediate shutdown: it ends its own processes first. Java prints its threads and goes
        // on, so whoever is still there is killed.
        let pid = self.process.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        for signal in [Signal::QUIT, Signal::KILL] {
            let (Some(pid), Ok(None)) = (pid, self.process.try_wait()) else { return };
            // It fails only for a process that has just ended.
            let _ = kill_process(pid, signal);
            let begun = Instant::now();
            while matches!(self.process.try_wait(), Ok(None)) && begun.elapsed() < ENDED_WITHIN {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

/// A server that is not installed is left out; one that is and does not start is an error.
pub(super) enum Found {
    /// The process, and where it listens.
    Running(Box<Server>, String),
    Missing(&'static str),
}

/// A program, in `PATH` or in one of these directories.
pub(super) fn find_program(name: &str, elsewhere: &[PathBuf]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain(elsewhere.iter().cloned());
    places.map(|dir| dir.join(name)).find(|program| program.is_file())
}

/// Where the logs of etcd and ZooKeeper are kept: in memory, if that can be had. Both force each step to disk; what is
/// compared here is the way of locking, not the disk.
pub(super) fn log_dir() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() }
}
