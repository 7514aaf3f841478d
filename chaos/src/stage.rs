//! What a run plays on: a directory of its own, a private Redis, and the two programs as processes.
//!
//! Relies on the programs lying beside this one, and on `--json` being a contract. Whatever happens, SIGKILL
//! included, it leaves nothing running.

use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tollgate::embedded::Temporary;
use tollgate::env;
#[cfg(feature = "cluster")]
use tollgate_testkit::cluster::{Cluster, Settings};

use crate::watched_dir::WatchedDir;

/// So short a time would be wrong for a fleet; here it lets the others take over at once.
const CLAIM_IDLE: &str = "1s";
/// How long processes may take to come and go.
const PROMPTLY: Duration = Duration::from_secs(30);

pub(crate) struct Stage {
    /// Ends after everything that uses it: workers end with the values that hold them, before this.
    redis: Redis,
    programs: Programs,
}

/// The Redis of a run.
pub(crate) enum Redis {
    /// A private server.
    One(Temporary),
    /// Three masters, each with a replica.
    #[cfg(feature = "cluster")]
    Cluster(Cluster),
}

impl Redis {
    /// A private server that forces its file to disk as `appendfsync` says.
    pub(crate) fn one(appendfsync: &str) -> anyhow::Result<Self> {
        let server = Temporary::start(&["--appendfsync", appendfsync]).context("starting a private redis")?;
        Ok(Self::One(server))
    }

    /// A private cluster.
    #[cfg(feature = "cluster")]
    pub(crate) fn cluster() -> anyhow::Result<Self> {
        let cluster = Cluster::try_start(&Settings::default()).context("starting a private cluster")?;
        Ok(Self::Cluster(cluster))
    }

    fn url(&self) -> String {
        match self {
            Self::One(server) => server.url(),
            #[cfg(feature = "cluster")]
            Self::Cluster(cluster) => cluster.url(),
        }
    }
}

/// Where it is.
impl Display for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::One(server) => write!(f, "a private server in {}", server.dir().display()),
            #[cfg(feature = "cluster")]
            Self::Cluster(cluster) => {
                let ports: Vec<String> =
                    (0..cluster.count()).map(|node| cluster.port(node).to_string()).collect();
                write!(f, "a private cluster: three masters, three replicas, ports {}", ports.join(", "))
            }
        }
    }
}

/// The programs, and a directory that they run in and that takes them along when it goes.
pub(crate) struct Programs {
    beside: PathBuf,
    dir: WatchedDir,
}

impl Programs {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let own = std::env::current_exe()?;
        let beside = own.parent().context("no directory of programs")?.to_owned();
        Ok(Self { beside, dir: WatchedDir::new("tollgate-run-", &std::env::temp_dir())? })
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Where one of the programs is.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.beside.join(name)
    }

    /// One of the programs, in the run's own directory and with this Redis.
    pub(crate) fn command(&self, program: &str, url: &str) -> Command {
        let mut command = Command::new(self.program(program));
        command.kill_on_drop(true).current_dir(self.dir.path());
        // Whatever the caller's environment says, this is a Redis of our own.
        for name in [
            env::REDIS_USERNAME,
            env::REDIS_PASSWORD,
            env::REDIS_PASSWORD_FILE,
            env::REDIS_CA_FILE,
            env::TOLLGATE_NAMESPACE,
            env::TOLLGATE_LOCK_URLS,
            env::TOLLGATE_PAYOUT_URL,
            env::TOLLGATE_PAYOUT_TOKEN,
        ] {
            command.env_remove(name);
        }
        command.env(env::REDIS_URL, url);
        command
    }
}

/// What `stats --json` says, as far as it is needed here.
#[derive(Deserialize)]
pub(crate) struct Stats {
    pub(crate) waiting: u64,
    pub(crate) in_flight: u64,
    pub(crate) dead: u64,
    pub(crate) decided: u64,
    pub(crate) replayed: u64,
    conservation: Conservation,
}

#[derive(Deserialize)]
struct Conservation {
    settled: u64,
    holds: bool,
}

impl Stats {
    pub(crate) fn entries_settled(&self) -> u64 {
        self.conservation.settled
    }

    pub(crate) fn conserved(&self) -> bool {
        self.conservation.holds
    }
}

/// One line of `worker ls --json`.
#[derive(Deserialize)]
struct WorkerRow {
    pid: Option<u32>,
    in_flight: u64,
}

/// Sets the stage with this Redis, plays, and clears it. Says why nothing came of it, if nothing did.
pub(crate) async fn perform<R>(
    redis: anyhow::Result<Redis>,
    play: impl AsyncFnOnce(&Stage) -> anyhow::Result<R>,
) -> Option<R> {
    let stage = Stage::new(redis).inspect_err(|error| complain(format_args!("error: {error:#}"))).ok()?;
    let played = play(&stage);
    tokio::select! {
        () = interrupted() => complain("\ninterrupted; nothing is left running"),
        played = played => match played {
            Ok(result) => return Some(result),
            Err(error) => {
                complain(format_args!("\nerror: {error:#}"));
                stage.print_logs();
            }
        },
    }
    None
}

impl Stage {
    fn new(redis: anyhow::Result<Redis>) -> anyhow::Result<Self> {
        Ok(Self { redis: redis?, programs: Programs::new()? })
    }

    /// Where its logs are, while it stands.
    pub(crate) fn dir(&self) -> &Path {
        self.programs.dir()
    }

    /// Its private Redis.
    pub(crate) fn redis(&self) -> &Redis {
        &self.redis
    }

    /// Says so if these programs were built to be seen soon rather than to be fast.
    pub(crate) fn say_build(&self) {
        if !matches!(env!("TOLLGATE_OPT_LEVEL"), "2" | "3") {
            self.say("build", "quick, not optimised: rates are a small part of a release's (`make bench`)");
        }
    }

    pub(crate) fn say(&self, what: &str, words: impl Display) {
        print(format_args!("  {what:<12}{words}"));
    }

    /// A bar that counts up to `of`, under the name `what`.
    pub(crate) fn progress(&self, what: &str, of: u64) -> ProgressBar {
        let target = if std::io::stdout().is_terminal() {
            ProgressDrawTarget::stdout()
        } else {
            ProgressDrawTarget::hidden()
        };
        let style = ProgressStyle::with_template("  {prefix:<12}{bar:40} {human_pos} of {human_len}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        ProgressBar::with_draw_target(Some(of), target).with_style(style).with_prefix(what.to_owned())
    }

    /// One of the programs, in the run's own directory and on its own Redis.
    pub(crate) fn command(&self, program: &str) -> Command {
        self.programs.command(program, &self.redis.url())
    }

    /// Runs one command of the producer to its end; answers its stdout.
    pub(crate) async fn producer(&self, words: &[&str]) -> anyhow::Result<String> {
        let output = self.command("tollgate-producer").args(words).stdin(Stdio::null()).output().await?;
        finished(words, &output)
    }

    /// The same, as the JSON that it prints.
    pub(crate) async fn json<T: DeserializeOwned>(&self, words: &[&str]) -> anyhow::Result<T> {
        let text = self.producer(&[words, &["--json"]].concat()).await?;
        serde_json::from_str(&text)
            .with_context(|| format!("{}: not the JSON that it should be", words.join(" ")))
    }

    /// Sends lines of NDJSON.
    pub(crate) async fn enqueue(&self, lines: &str) -> anyhow::Result<()> {
        let words = ["enqueue", "-"];
        let mut command = self.command("tollgate-producer");
        command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let mut stdin = child.stdin.take().context("no stdin")?;
        let feed = async move {
            // If it reads no further, its exit code and its words say why.
            let _ = stdin.write_all(lines.as_bytes()).await;
        };
        let ((), output) = tokio::join!(feed, child.wait_with_output());
        finished(&words, &output?).map(drop)
    }

    pub(crate) async fn stats(&self) -> anyhow::Result<Stats> {
        self.json(&["stats"]).await
    }

    /// The audit's own words, also if it found violations (exit code 5).
    pub(crate) async fn audit<T: DeserializeOwned>(&self, more: &[&str]) -> anyhow::Result<T> {
        let mut command = self.command("tollgate-producer");
        let output = command.args(["audit", "--json"]).args(more).stdin(Stdio::null()).output().await?;
        serde_json::from_slice(&output.stdout).with_context(|| {
            format!("audit: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr).trim())
        })
    }

    /// How many entries Redis has served to a worker that it did not settle.
    pub(crate) async fn in_hand(&self, worker: &Worker) -> anyhow::Result<u64> {
        Ok(self
            .worker_rows()
            .await?
            .iter()
            .filter(|row| row.pid == Some(worker.pid))
            .map(|row| row.in_flight)
            .sum())
    }

    async fn worker_rows(&self) -> anyhow::Result<Vec<WorkerRow>> {
        self.json(&["worker", "ls"]).await
    }

    /// Starts workers, and waits until each has said that it lives.
    pub(crate) async fn workers(&self, count: usize, args: &[&str]) -> anyhow::Result<Vec<Worker>> {
        let mut workers = Vec::new();
        for number in 1..=count {
            workers.push(self.worker(number, args)?);
        }
        let begun = Instant::now();
        loop {
            let rows = self.worker_rows().await?;
            if workers.iter().all(|worker| rows.iter().any(|row| row.pid == Some(worker.pid))) {
                return Ok(workers);
            }
            for worker in &mut workers {
                if let Some(status) = worker.child.try_wait()? {
                    bail!("a worker ended at its start ({status})");
                }
            }
            ensure!(begun.elapsed() < PROMPTLY, "the workers do not report");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Starts worker `number`; its words go to the end of its log.
    pub(crate) fn worker(&self, number: usize, args: &[&str]) -> anyhow::Result<Worker> {
        let path = self.dir().join(format!("worker-{number}.log"));
        let log = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
        let mut command = self.command("tollgate-worker");
        // A group of its own: Ctrl-C in the terminal is for this process, which then ends its workers itself.
        command
            .args(["--claim-idle", CLAIM_IDLE])
            .args(args)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let child = command.spawn().context("starting a worker")?;
        let pid = child.id().context("a worker ended at once")?;
        Ok(Worker { child, pid })
    }

    /// What the workers said, for someone who has to find out why the run failed.
    pub(crate) fn print_logs(&self) {
        for number in 1.. {
            let Ok(log) = std::fs::read_to_string(self.dir().join(format!("worker-{number}.log"))) else {
                return;
            };
            let lines: Vec<&str> = log.lines().collect();
            complain(format_args!(
                "worker {number} said last:\n{}",
                lines[lines.len().saturating_sub(5)..].join("\n")
            ));
        }
    }
}

/// Returns when a person or the system wants an end. Cancel-safe.
pub(crate) async fn interrupted() {
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let [Ok(mut int), Ok(mut term), Ok(mut hup)] = kinds.map(signal) else { return };
    tokio::select! { _ = int.recv() => {}, _ = term.recv() => {}, _ = hup.recv() => {} }
}

/// Whether a line could not be printed.
static UNPRINTED: AtomicBool = AtomicBool::new(false);

/// Prints a line. That nobody reads on is no reason to leave a server running; the exit code tells at the end.
pub(crate) fn print(line: impl Display) {
    if writeln!(std::io::stdout(), "{line}").is_err() {
        UNPRINTED.store(true, Ordering::Relaxed);
    }
}

/// Whether everything that was to be printed is.
pub(crate) fn is_printed() -> bool {
    !UNPRINTED.load(Ordering::Relaxed)
}

/// The same on stderr.
pub(crate) fn complain(line: impl Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn finished(words: &[&str], output: &std::process::Output) -> anyhow::Result<String> {
    let said = || String::from_utf8_lossy(&output.stderr).trim().to_owned();
    ensure!(output.status.success(), "tollgate-producer {}: {}\n{}", words.join(" "), output.status, said());
    Ok(String::from_utf8(output.stdout.clone())?)
}

/// A worker process. It is killed if this is dropped.
pub(crate) struct Worker {
    child: Child,
    pid: u32,
}

impl Worker {
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    fn signal(&self, signal: &str) -> anyhow::Result<()> {
        // The program kill: signals are no part of std, and this keeps the run free of `unsafe`.
        let status = std::process::Command::new("kill").args([signal, &self.pid.to_string()]).status()?;
        ensure!(status.success(), "kill {signal} {}: {status}", self.pid);
        Ok(())
    }

    pub(crate) fn freeze(&self) -> anyhow::Result<()> {
        self.signal("-STOP")
    }

    pub(crate) fn thaw(&self) -> anyhow::Result<()> {
        self.signal("-CONT")
    }

    pub(crate) async fn kill(&mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Ends it as an operator would, by SIGTERM; one that was killed has ended already.
    pub(crate) async fn drain(mut self) -> anyhow::Result<()> {
        if self.child.try_wait()?.is_some() {
            return Ok(());
        }
        self.signal("-TERM")?;
        let status =
            tokio::time::timeout(PROMPTLY, self.child.wait()).await.context("a worker does not drain")??;
        ensure!(status.success(), "a worker drained with {status}");
        Ok(())
    }
}

/// `20000` as `20,000`.
pub(crate) fn thousands(number: u64) -> String {
    indicatif::HumanCount(number).to_string()
}
