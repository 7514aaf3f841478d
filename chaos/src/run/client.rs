//! What the workload asks through: the commands of the producer, the history in which each is noted, and what faults
//! want of the load. It does not know what the fleet runs on.

use std::collections::BTreeMap;
use std::path::Path;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::counted::{SENT, TOLD};
use super::history::{Event, Footprint, History, Job, Response};
use super::sabotage::Planted;
use crate::stage::Programs;

/// How long one command of the producer may take before it is given up as unknown.
const COMMAND_WITHIN: Duration = Duration::from_secs(20);

/// How long a look at the depth may take.
const SAMPLED_WITHIN: Duration = Duration::from_secs(1);

/// Where producers run, if not beside this process: in containers.
pub(super) trait Elsewhere: Send + Sync {
    /// The command that runs a producer there.
    fn producer(&self, words: &[&str]) -> Command;

    /// Runs one there that is killed after so long; answers whether it was still running.
    fn interrupted<'a>(
        &'a self,
        words: &'a [&'a str],
        after: Duration,
    ) -> Pin<Box<dyn Future<Output = anyhow::Result<bool>> + Send + 'a>>;
}

pub(super) struct Client {
    pub(super) history: Arc<History>,
    pub(super) programs: Arc<Programs>,
    pub(super) seed: u64,
    pub(super) load: Load,
    pub(super) planted: Option<Planted>,
    /// The producers' way to Redis, with all its faults.
    way: String,
    /// Where the primary listens now: another one after a promotion.
    direct: Mutex<String>,
    elsewhere: Option<Box<dyn Elsewhere>>,
    /// What a producer is started with beside its words.
    environment: Vec<(String, String)>,
}

/// What faults ask of the workload.
#[derive(Default)]
pub(super) struct Load {
    /// Sends ten times as much.
    pub(super) flood: AtomicBool,
    /// Sends nothing.
    pub(super) quiet: AtomicBool,
    /// Operations that ended as unknown so far.
    pub(super) unknown: AtomicU64,
    pub(super) asked: AtomicU64,
    /// How many jobs of each kind certainly arrived, and how often clients that wait were told each code, under the
    /// names of `counted.rs`.
    heard: Mutex<BTreeMap<String, u64>>,
    /// As of the last sample.
    pub(super) decided: AtomicU64,
    pub(super) depth: AtomicU64,
    pub(super) replayed: AtomicU64,
    pub(super) dead: AtomicU64,
}

impl Load {
    /// Notes what these jobs were answered.
    pub(super) fn note(&self, jobs: &[Job], answer: &Response) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let mut count = |name: String| *heard.entry(name).or_default() += 1;
        if let Response::Told { code, .. } = answer {
            count(format!("{TOLD}{code}"));
        }
        if matches!(answer, Response::Told { .. } | Response::Accepted) {
            jobs.iter().for_each(|job| count(format!("{SENT}{}", job.request.kind())));
        }
    }

    pub(super) fn heard(&self, name: &str) -> u64 {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).get(name).copied().unwrap_or(0)
    }
}

/// How a command ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// None: by a signal, or not in time.
    pub(super) code: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Ended {
    /// The last JSON object it printed.
    pub(super) fn last(&self) -> Option<serde_json::Value> {
        serde_json::from_str(self.stdout.lines().last()?).ok()
    }

    /// What it complained of, in one line. Under `--json` each line of stderr is an object.
    pub(super) fn complaint(&self) -> String {
        let error = self.stderr.lines().find_map(|line| {
            let said: serde_json::Value = serde_json::from_str(line).ok()?;
            let message = said["message"].as_str().filter(|_| said["level"] == "error")?;
            Some(format!("error: {}", message.lines().next().unwrap_or_default()))
        });
        let plain = || self.stderr.lines().find(|line| line.starts_with("error")).map(str::to_owned);
        let last = || self.stderr.lines().last().map(str::to_owned);
        format!("exit {:?}: {}", self.code, error.or_else(plain).or_else(last).unwrap_or_default())
    }
}

impl Client {
    /// `way` and `direct` are URLs of Redis: with the faults, and past them.
    pub(super) fn new(
        history: Arc<History>,
        programs: Arc<Programs>,
        seed: u64,
        planted: Option<Planted>,
        (way, direct): (String, String),
    ) -> Self {
        let (load, direct) = (Load::default(), Mutex::new(direct));
        Self { history, programs, seed, load, planted, way, direct, elsewhere: None, environment: Vec::new() }
    }

    /// The same, with producers that run elsewhere.
    pub(super) fn with_producers(mut self, elsewhere: impl Elsewhere + 'static) -> Self {
        self.elsewhere = Some(Box::new(elsewhere));
        self
    }

    /// The same, with producers that are started with these variables.
    pub(super) fn with_environment(mut self, environment: Vec<(String, String)>) -> Self {
        self.environment = environment;
        self
    }

    /// The producers' way to Redis, with all its faults.
    pub(super) fn way(&self) -> String {
        self.way.clone()
    }

    /// Past the faults.
    pub(super) fn direct(&self) -> String {
        self.direct.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn lead_to(&self, socket: &Path) {
        *self.direct.lock().unwrap_or_else(PoisonError::into_inner) = format!("unix://{}", socket.display());
    }

    /// A command of the producer. Past the faults it always runs beside this process.
    fn command(&self, url: &str, words: &[&str]) -> Command {
        let mut command = match &self.elsewhere {
            Some(elsewhere) if url == self.way => elsewhere.producer(words),
            _ => {
                let mut command = self.programs.command("tollgate-producer", url);
                command.args(words);
                command.envs(self.environment.iter().map(|(name, value)| (name, value)));
                command
            }
        };
        if let Some(name) = self.planted.and_then(Planted::in_programs) {
            command.env(tollgate::env::TOLLGATE_SABOTAGE, name);
        }
        command.kill_on_drop(true).process_group(0);
        command
    }

    /// Runs a command of the producer to its end.
    pub(super) async fn producer(&self, url: &str, words: &[&str], stdin: Option<String>) -> Ended {
        let mut command = self.command(url, words);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.stdin(if stdin.is_some() { Stdio::piped() } else { Stdio::null() });
        let nothing = |why: String| Ended { code: None, stdout: String::new(), stderr: why };
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(problem) => return nothing(problem.to_string()),
        };
        let pipe = child.stdin.take();
        let feed = async move {
            if let (Some(mut pipe), Some(text)) = (pipe, stdin) {
                // If it reads no further, its exit code and its words say why.
                let _ = pipe.write_all(text.as_bytes()).await;
            }
        };
        let ended = async { tokio::join!(feed, child.wait_with_output()).1 };
        match tokio::time::timeout(COMMAND_WITHIN, ended).await {
            Err(_) => nothing(format!("not within {COMMAND_WITHIN:?}")),
            Ok(Err(problem)) => nothing(problem.to_string()),
            Ok(Ok(output)) => {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
                Ended { code: output.status.code(), stdout, stderr }
            }
        }
    }

    /// Runs one that is killed after so long; answers whether it was still running.
    pub(super) async fn interrupted(&self, words: &[&str], after: Duration) -> anyhow::Result<bool> {
        if let Some(elsewhere) = &self.elsewhere {
            return elsewhere.interrupted(words, after).await;
        }
        let mut command = self.command(&self.way, words);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().context("starting a producer")?;
        if tokio::time::timeout(after, child.wait()).await.is_ok() {
            return Ok(false);
        }
        child.kill().await?;
        Ok(true)
    }

    /// A command that must succeed, past the faults; answers its stdout.
    pub(super) async fn must(&self, words: &[&str]) -> anyhow::Result<String> {
        let ended = self.producer(&self.direct(), words, None).await;
        ensure!(ended.code == Some(0), "tollgate-producer {}: {}", words.join(" "), ended.complaint());
        Ok(ended.stdout)
    }

    /// Notes depth and footprints as of now.
    pub(super) async fn sample(&self, footprints: Vec<Footprint>) {
        let direct = self.direct();
        let read = self.producer(&direct, &["stats", "--json"], None);
        // A Redis that stands still is no reason to look no more.
        let read = tokio::time::timeout(SAMPLED_WITHIN, read).await;
        let stats = read.ok().and_then(|ended| ended.last());
        let number = |name: &str| stats.as_ref().and_then(|stats| stats[name].as_u64());
        if let (Some(waiting), Some(decided)) = (number("waiting"), number("decided")) {
            let in_flight = number("in_flight").unwrap_or(0);
            let dead = number("dead").unwrap_or(0);
            self.load.decided.store(decided, Ordering::Relaxed);
            self.load.depth.store(waiting + in_flight, Ordering::Relaxed);
            self.load.replayed.store(number("replayed").unwrap_or(0), Ordering::Relaxed);
            self.load.dead.store(dead, Ordering::Relaxed);
            self.history.add(Event::Sample { waiting, in_flight, decided, dead, footprints });
        }
    }

    pub(super) fn count(&self, name: &str, count: u64) {
        self.history.add(Event::Counted { name: name.to_owned(), count });
    }

    /// The bug that the run's own client has, if one is planted there.
    pub(super) fn sabotage_of_client(&self) -> Option<&'static str> {
        self.planted.and_then(Planted::in_client)
    }

    pub(super) fn quiet(&self) -> bool {
        self.load.quiet.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_is_the_error_whatever_form_stderr_has() {
        let complaint = |stderr: &str| {
            Ended { code: Some(3), stdout: String::new(), stderr: stderr.to_owned() }.complaint()
        };
        let said = "exit Some(3): error: not applied: unreachable";
        let json = "{\"level\":\"info\",\"message\":\"id j1\"}\n{\"level\":\"error\",\"message\":\"not applied: unreachable\"}\n{\"level\":\"hint\",\"message\":\"is Redis running?\"}\n";
        assert_eq!(complaint(json), said);
        assert_eq!(complaint("id j1\nerror: not applied: unreachable\nhint: is Redis running?\n"), said);
        assert_eq!(complaint("killed\n"), "exit Some(3): killed");
    }
}
