//! The release binaries beside our own, and what processes cost.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use tollgate::env;
use tollgate_testkit::process::{Running, Signal};

/// Clock ticks in a second, as /proc counts CPU; 100 on every Linux that Rust runs on.
const TICKS: f64 = 100.0;

/// A binary of this workspace, which must have been built with the same profile.
pub(crate) fn binary(name: &str) -> Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(name);
    ensure!(
        path.is_file(),
        "{} is not built\nhint: cargo build --release --workspace, or make bench",
        path.display()
    );
    Ok(path)
}

/// CPU seconds of this process so far.
pub(crate) fn own_cpu() -> Result<f64> {
    let fields = stat()?;
    Ok((ticks(&fields, 11)? + ticks(&fields, 12)?) / TICKS)
}

/// CPU seconds of all children that were waited for.
pub(crate) fn children_cpu() -> Result<f64> {
    let fields = stat()?;
    Ok((ticks(&fields, 13)? + ticks(&fields, 14)?) / TICKS)
}

/// The fields of /proc/self/stat from the third on: what comes before may hold spaces.
fn stat() -> Result<Vec<String>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, rest) = stat.rsplit_once(") ").context("/proc/self/stat")?;
    Ok(rest.split_whitespace().map(str::to_owned).collect())
}

fn ticks(fields: &[String], at: usize) -> Result<f64> {
    fields.get(at).context("/proc/self/stat is short")?.parse().context("/proc/self/stat")
}

/// A worker process; killed when this is dropped, so that no failure leaves one running.
pub(crate) struct Worker(Running);

impl Worker {
    /// Starts one on the server at `url`. What it says goes to `log`.
    pub(crate) fn start(url: &str, log: &std::path::Path) -> Result<Self> {
        Self::start_with(url, &[], log)
    }

    /// The same, with options.
    pub(crate) fn start_with(url: &str, options: &[&str], log: &std::path::Path) -> Result<Self> {
        let log = std::fs::File::create(log)?;
        let mut command = Command::new(binary("tollgate-worker")?);
        command
            .args(options)
            .env(env::REDIS_URL, url)
            .env_remove(env::TOLLGATE_NAMESPACE)
            .env_remove(env::TOLLGATE_LOCK_URLS)
            .env_remove(env::TOLLGATE_PAYOUT_URL)
            .env_remove(env::TOLLGATE_PAYOUT_TOKEN)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        Ok(Self(Running::spawn(&mut command)?))
    }

    /// Whether it runs.
    pub(crate) fn is_running(&mut self) -> Result<bool> {
        Ok(self.0.try_wait()?.is_none())
    }

    /// Ends it by SIGTERM, as an operator does, and waits.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.0.signal(Signal::TERM)?;
        let status = self.0.wait()?;
        ensure!(status.success(), "the worker ended with {status}");
        Ok(())
    }
}
