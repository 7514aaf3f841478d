//! Processes that end with their owner.
//!
//! Only what was started here is ever signalled, and only while it has not been waited for: its id is its own.

use std::io;
use std::ops::{Deref, DerefMut};
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, kill_process};
use tokio::process::{Child, Command};

pub use rustix::process::Signal;

/// A process; SIGKILL ends it when this is dropped.
#[derive(Debug)]
pub struct Guard {
    child: Child,
    pid: u32,
}

impl Guard {
    /// Starts it, in a process group of its own: Ctrl-C in a terminal is for its owner.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        let child = command.kill_on_drop(true).process_group(0).spawn()?;
        let pid = child.id().ok_or_else(|| io::Error::other("it ended at once"))?;
        Ok(Self { child, pid })
    }

    /// Its process id, also after its end.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Sends a signal; nothing happens if it has ended.
    pub fn signal(&self, signal: Signal) {
        let pid = self.child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        if let Some(pid) = pid {
            // It fails only for a process that has just ended.
            let _ = kill_process(pid, signal);
        }
    }

    /// Kills it and waits for its end.
    pub async fn kill(&mut self) {
        // It fails only for a process that has ended.
        let _ = self.child.kill().await;
    }

    /// Waits for its end; `None` if it has not come within the time.
    pub async fn wait(&mut self, within: Duration) -> Option<ExitStatus> {
        tokio::time::timeout(within, self.child.wait()).await.ok()?.ok()
    }
}

/// A process that a test waits for without a runtime; killed when this is dropped.
#[derive(Debug)]
pub struct Running(std::process::Child);

impl Running {
    /// Starts it.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn spawn(command: &mut std::process::Command) -> io::Result<Self> {
        command.spawn().map(Self)
    }

    /// The same in a test.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start(command: &mut std::process::Command) -> Self {
        Self::spawn(command).unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }

    /// Sends a signal. Must not have been waited for: its id could be another's by then.
    ///
    /// # Errors
    /// The system's.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        kill_process(Pid::from_child(&self.0), signal).map_err(io::Error::from)
    }

    /// Whether a signal has stopped it.
    pub fn is_stopped(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap_or_default();
        stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T'))
    }
}

impl Deref for Running {
    type Target = std::process::Child;

    fn deref(&self) -> &std::process::Child {
        &self.0
    }
}

impl DerefMut for Running {
    fn deref_mut(&mut self) -> &mut std::process::Child {
        &mut self.0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only for one that has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
