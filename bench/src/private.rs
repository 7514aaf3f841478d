//! A private redis-server for one run, and what it says about itself.
//!
//! Relies on [`Temporary`], which ends it with this process. The append-only file is on (everysec, unless said) and never
//! rewritten: a rewrite that falls into one run and not into the other would be measured as a difference.

#![allow(clippy::disallowed_methods, reason = "what is measured here is Redis itself, beside Tollgate")]

use std::path::PathBuf;

use anyhow::{Context, Result};
use redis::{Client, Connection, FromRedisValue};
use tollgate::embedded::Temporary;

pub(crate) struct Private {
    server: Temporary,
    connection: Connection,
}

impl Private {
    pub(crate) fn start() -> Result<Self> {
        Self::with(&[])
    }

    /// One that forces each write to disk before it answers, as payouts want it.
    pub(crate) fn forced() -> Result<Self> {
        Self::with(&["--appendfsync", "always"])
    }

    /// One with settings of its own, as on its command line.
    pub(crate) fn with(settings: &[&str]) -> Result<Self> {
        let server = Temporary::start(&[&["--auto-aof-rewrite-percentage", "0"], settings].concat())?;
        let connection = Client::open(server.url())?.get_connection()?;
        Ok(Self { server, connection })
    }

    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    pub(crate) fn socket(&self) -> &std::path::Path {
        self.server.socket()
    }

    /// Its process, if it runs.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.server.pid()
    }

    /// Where it writes.
    pub(crate) fn data(&self) -> PathBuf {
        self.server.dir().join("data")
    }

    /// Another connection, for a thread of its own.
    pub(crate) fn connect(&self) -> Result<Connection> {
        Ok(Client::open(self.url())?.get_connection()?)
    }

    /// Asks one command.
    pub(crate) fn ask<T: FromRedisValue>(&mut self, words: &[&str]) -> Result<T> {
        let mut command = redis::Cmd::new();
        words.iter().for_each(|word| _ = command.arg(word));
        command.query(&mut self.connection).with_context(|| words.join(" "))
    }

    /// How often each command was called since CONFIG RESETSTAT, the most frequent first; those that scripts call too.
    pub(crate) fn commands(&mut self) -> Result<Vec<(String, u64)>> {
        let info: String = self.ask(&["INFO", "commandstats"])?;
        let calls = |line: &str| {
            let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            Some((name.to_owned(), rest.split_once(',')?.0.parse().ok()?))
        };
        let mut commands: Vec<(String, u64)> = info.lines().filter_map(calls).collect();
        commands.sort_by_key(|(_, calls)| std::cmp::Reverse(*calls));
        Ok(commands)
    }

    pub(crate) fn info(&mut self, section: &str, field: &str) -> Result<String> {
        let info: String = self.ask(&["INFO", section])?;
        let line = info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        Ok(line.with_context(|| format!("INFO {section} has no {field}"))?.to_owned())
    }

    /// CPU seconds, user and system, since it started, all threads.
    pub(crate) fn cpu(&mut self) -> Result<f64> {
        let seconds = |text: String| text.parse::<f64>().context("INFO cpu");
        Ok(seconds(self.info("cpu", "used_cpu_user")?)? + seconds(self.info("cpu", "used_cpu_sys")?)?)
    }

    /// Bytes that it has allocated.
    pub(crate) fn memory(&mut self) -> Result<u64> {
        self.info("memory", "used_memory")?.parse().context("INFO memory")
    }

    /// Bytes of its append-only file.
    pub(crate) fn aof_bytes(&mut self) -> Result<u64> {
        self.info("persistence", "aof_current_size")?.parse().context("INFO persistence")
    }

    pub(crate) fn version(&mut self) -> Result<String> {
        let own = self.info("server", "valkey_version").map(|version| format!("valkey {version}"));
        own.or_else(|_| self.info("server", "redis_version"))
    }
}
