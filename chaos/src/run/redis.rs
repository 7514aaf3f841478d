//! The Redis of a run: started, killed, stopped and started again with other settings, by its command line alone.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use ::redis::{AsyncConnectionConfig, Client, FromRedisValue, aio::MultiplexedConnection};
use anyhow::{Context, bail, ensure};
use tokio::process::Command;
use tollgate_testkit::process::{Guard, Signal};

/// How long it may take to come; loading a large file included.
const COMES_WITHIN: Duration = Duration::from_secs(20);
/// How long it may take to answer: stopped or busy, it does not.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// How a server is set up.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// The binary, and what goes before it (`chroot TREE`, `strace …`).
    pub(super) command: Vec<String>,
    /// Where its data is.
    pub(super) dir: PathBuf,
    /// Its unix socket.
    pub(super) socket: PathBuf,
    pub(super) log: PathBuf,
    pub(super) appendfsync: String,
    /// Further words of its command line.
    pub(super) more: Vec<String>,
    pub(super) environment: Vec<(String, String)>,
}

pub(super) struct Redis {
    pub(super) settings: Settings,
    process: Option<Guard>,
}

impl Redis {
    pub(super) async fn start(settings: Settings) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&settings.dir)?;
        let mut redis = Self { settings, process: None };
        redis.restart().await?;
        Ok(redis)
    }

    /// Its process.
    pub(super) fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Guard::pid)
    }

    pub(super) fn url(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    pub(super) fn socket(&self) -> &Path {
        &self.settings.socket
    }

    /// SIGKILL.
    pub(super) async fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().await;
        }
    }

    pub(super) fn signal(&self, signal: Signal) {
        if let Some(process) = &self.process {
            process.signal(signal);
        }
    }

    /// Whether it has gone by itself.
    pub(super) fn is_gone(&mut self) -> bool {
        self.process.as_mut().is_none_or(|process| process.ended().is_some())
    }

    /// Starts it on the data that is there, and waits until it has loaded it.
    pub(super) async fn restart(&mut self) -> anyhow::Result<()> {
        self.kill().await;
        let Settings { command, dir, socket, log, appendfsync, more, environment } = &self.settings;
        let _ = std::fs::remove_file(socket);
        let [program, words @ ..] = command.as_slice() else { bail!("no command for redis-server") };
        let said = std::fs::OpenOptions::new().create(true).append(true).open(log)?;
        let mut command = Command::new(program);
        command.args(words).args(["--port", "0", "--save", "", "--appendonly", "yes"]);
        command.args(["--maxmemory-policy", "noeviction", "--enable-debug-command", "local"]);
        command.args(["--repl-diskless-sync-delay", "0", "--appendfsync", appendfsync]);
        command.arg("--dir").arg(dir).arg("--unixsocket").arg(socket).args(more);
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        command.current_dir(dir).stdin(Stdio::null()).stdout(said.try_clone()?).stderr(said);
        let mut process = Guard::start(&mut command).context("starting redis-server")?;
        let begun = Instant::now();
        loop {
            if let Ok(true) = self.answers().await {
                self.process = Some(process);
                return Ok(());
            }
            if let Some(status) = process.ended() {
                let said = std::fs::read_to_string(log).unwrap_or_default();
                let last: Vec<&str> = said.lines().rev().take(3).collect();
                bail!("redis-server ended ({status}): {}", last.join(" / "));
            }
            ensure!(begun.elapsed() < COMES_WITHIN, "redis-server does not come");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Rewrites the append-only file, and waits until that is done.
    pub(super) async fn rewrite(&self) -> anyhow::Result<()> {
        self.ask::<String>(&["BGREWRITEAOF"]).await?;
        let begun = Instant::now();
        let busy = ["aof_rewrite_in_progress", "aof_rewrite_scheduled"];
        loop {
            let info: String = self.ask(&["INFO", "persistence"]).await?;
            if !busy.iter().any(|name| info.contains(&format!("{name}:1"))) {
                return Ok(());
            }
            ensure!(begun.elapsed() < COMES_WITHIN, "the rewrite does not end");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn answers(&self) -> anyhow::Result<bool> {
        let info: String = self.ask(&["INFO", "persistence"]).await?;
        Ok(info.contains("\nloading:0"))
    }

    pub(super) async fn link(&self) -> anyhow::Result<MultiplexedConnection> {
        link(&self.url()).await
    }

    /// One command on a connection of its own.
    pub(super) async fn ask<T: FromRedisValue>(&self, words: &[&str]) -> anyhow::Result<T> {
        ask(&mut self.link().await?, words).await
    }

    /// CONFIG SET.
    pub(super) async fn set(&self, name: &str, value: &str) -> anyhow::Result<()> {
        self.ask(&["CONFIG", "SET", name, value]).await
    }

    /// A number of INFO.
    pub(super) async fn info(&self, section: &str, field: &str) -> anyhow::Result<u64> {
        let info: String = self.ask(&["INFO", section]).await?;
        let line = info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        line.and_then(|value| value.trim().parse().ok()).with_context(|| format!("INFO has no {field}"))
    }
}

/// A connection that does not wait for ever.
pub(super) async fn link(url: &str) -> anyhow::Result<MultiplexedConnection> {
    let client = Client::open(url)?;
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(ANSWERS_WITHIN))
        .set_response_timeout(Some(ANSWERS_WITHIN));
    Ok(client.get_multiplexed_async_connection_with_config(&config).await?)
}

pub(super) async fn ask<T: FromRedisValue>(
    link: &mut MultiplexedConnection,
    words: &[&str],
) -> anyhow::Result<T> {
    let mut command = ::redis::Cmd::new();
    words.iter().for_each(|word| _ = command.arg(*word));
    Ok(command.query_async(link).await?)
}

/// Every key that the pattern finds. Only for a namespace of a run.
pub(super) async fn keys(link: &mut MultiplexedConnection, pattern: &str) -> anyhow::Result<Vec<String>> {
    let (mut cursor, mut keys) = ("0".to_owned(), Vec::new());
    loop {
        let (next, page): (String, Vec<String>) =
            ask(link, &["SCAN", &cursor, "MATCH", pattern, "COUNT", "1000"]).await?;
        keys.extend(page);
        if next == "0" {
            keys.sort();
            keys.dedup();
            return Ok(keys);
        }
        cursor = next;
    }
}
