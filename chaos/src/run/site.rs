//! What a run stands on: a Redis, a proxy on every way to it, the workers, perhaps a bank, and the history.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::ensure;
use tokio::io::AsyncWriteExt;
use tokio::sync::Mutex;
use tollgate_testkit::process::Guard;
use tollgate_testkit::proxy::Proxy;

use super::fleet::Fleet;
use super::history::{Event, History};
use super::redis::Redis;
use super::sabotage::Planted;
use crate::stage::Programs;

/// How long one command of the producer may take before it is given up as unknown.
const COMMAND_WITHIN: Duration = Duration::from_secs(20);

pub(super) struct Site {
    pub(super) fleet: Fleet,
    pub(super) bank: Option<Bank>,
    /// The way of the producers, then one for each worker.
    pub(super) proxies: Vec<Proxy>,
    pub(super) redis: Mutex<Redis>,
    /// Where the primary listens now: another one after a promotion.
    pub(super) socket: std::sync::Mutex<PathBuf>,
    pub(super) history: Arc<History>,
    pub(super) programs: Arc<Programs>,
    pub(super) seed: u64,
    pub(super) load: Load,
    pub(super) planted: Option<Planted>,
    /// Servers for locks alone, where the scenario has some.
    pub(super) lock_nodes: Vec<Mutex<Redis>>,
}

/// What faults ask of the workload.
#[derive(Default)]
pub(super) struct Load {
    /// Sends ten times as much.
    pub(super) flood: std::sync::atomic::AtomicBool,
    /// Sends nothing.
    pub(super) quiet: std::sync::atomic::AtomicBool,
    /// Operations that ended as unknown so far.
    pub(super) unknown: AtomicU64,
    pub(super) asked: AtomicU64,
    /// As of the last sample.
    pub(super) decided: AtomicU64,
    pub(super) depth: AtomicU64,
}

/// A bank and its own file.
pub(super) struct Bank {
    pub(super) process: Mutex<Guard>,
    pub(super) ledger: PathBuf,
    pub(super) url: String,
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

    /// What it complained of, in one line.
    pub(super) fn complaint(&self) -> String {
        let line = self.stderr.lines().find(|line| line.starts_with("error")).or(self.stderr.lines().last());
        format!("exit {:?}: {}", self.code, line.unwrap_or_default())
    }
}

impl Site {
    /// The producers' way to Redis, with all its faults.
    pub(super) fn way(&self) -> String {
        self.proxies.first().map(Proxy::url).unwrap_or_default()
    }

    /// Past the proxies.
    pub(super) fn direct(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.socket.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    pub(super) fn lead_to(&self, socket: &Path) {
        *self.socket.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = socket.to_owned();
        self.proxies.iter().for_each(|proxy| proxy.lead_to(socket));
    }

    /// Runs a command of the producer to its end.
    pub(super) async fn producer(&self, url: &str, words: &[&str], stdin: Option<String>) -> Ended {
        let mut command = self.programs.command("tollgate-producer", url);
        command.args(words).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        if let Some(name) = self.planted.and_then(Planted::in_programs) {
            command.env("TOLLGATE_SABOTAGE", name);
        }
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

    /// A command that must succeed, past the proxies; answers its stdout.
    pub(super) async fn must(&self, words: &[&str]) -> anyhow::Result<String> {
        let ended = self.producer(&self.direct(), words, None).await;
        ensure!(ended.code == Some(0), "tollgate-producer {}: {}", words.join(" "), ended.complaint());
        Ok(ended.stdout)
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
