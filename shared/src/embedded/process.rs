//! The server's process: its command line, its health, its end.
//!
//! Relies on the lock file being the child's standard input: redis-server never reads or closes it, and the
//! lock thus lives as long as the process and its own children (a rewrite of the append-only file).
//! Must not leave a zombie: what is started here is waited for here.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use redis::{Client, Connection, ConnectionAddr, IntoConnectionInfo, RedisError};

use super::dir::Layout;
use super::error::EmbeddedError;
use super::options::AppendFsync;

/// A local server that takes longer than this to answer a PING is not ready.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// SHUTDOWN syncs the append-only file first.
const SHUTDOWN_WITHIN: Duration = Duration::from_secs(60);
/// The largest value or request: far above any job, far below what could fill the memory.
const BULK_BYTES_MAX: &str = "4mb";

/// Starts redis-server; `extra` settings come last and so win.
pub(super) fn spawn(
    binary: &Path,
    layout: &Layout,
    appendfsync: AppendFsync,
    extra: &[String],
    variables: &[(String, PathBuf)],
    lock: File,
) -> Result<Child, EmbeddedError> {
    let log = layout.open_log()?;
    let unusable = |what: String| EmbeddedError::Dir { path: binary.to_path_buf(), what };
    let errors = log.try_clone().map_err(|error| unusable(error.to_string()))?;
    let mut command = Command::new(binary);
    command
        .current_dir(layout.data())
        .args(["--port", "0", "--daemonize", "no", "--unixsocketperm", "700", "--unixsocket"])
        .arg(layout.socket())
        .arg("--dir")
        .arg(layout.data())
        .args(["--appendonly", "yes", "--appendfsync", appendfsync.as_str(), "--save", ""])
        .args(["--maxmemory-policy", "noeviction", "--proto-max-bulk-len", BULK_BYTES_MAX])
        .args(extra)
        .envs(variables.iter().map(|(name, value)| (name, value)))
        // Ctrl-C goes to the group of the terminal: the server must outlive a worker that drains.
        .process_group(0)
        .stdin(Stdio::from(lock))
        .stdout(Stdio::from(log))
        .stderr(Stdio::from(errors));
    command.spawn().map_err(|error| unusable(format!("cannot be started: {error}")))
}

/// Waits for the child on a thread of its own and tells how it ended.
pub(super) fn reap(mut child: Child) -> mpsc::Receiver<String> {
    let (ended, exited) = mpsc::channel();
    std::thread::spawn(move || {
        let status = child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
        // Nobody listens once the server was ready.
        let _ = ended.send(status);
    });
    exited
}

/// How far a rewrite of the append-only file is.
pub(super) enum Rewrite {
    /// It waits or runs.
    UnderWay,
    /// The new file is in use.
    Done,
    /// The old file is still in use.
    Failed,
}

/// An answer of INFO.
struct Info(String);

impl Info {
    fn field(&self, name: &str) -> Option<&str> {
        self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
    }
}

/// What a socket says about its server.
pub(super) enum Health {
    /// It answers.
    Ready,
    /// It reads its data.
    Loading,
    /// No answer, and why.
    Silent(String),
}

/// Asks PING.
pub(super) fn health(socket: &Path) -> Health {
    match Ask::open(socket).and_then(|mut ask| redis::cmd("PING").exec(&mut ask.0)) {
        Ok(()) => Health::Ready,
        Err(error) if error.code() == Some("LOADING") => Health::Loading,
        Err(error) => Health::Silent(error.to_string()),
    }
}

/// A plain connection for the few questions asked here.
pub(super) struct Ask(Connection);

impl Ask {
    pub(super) fn open(socket: &Path) -> Result<Self, RedisError> {
        let info = ConnectionAddr::Unix(socket.to_path_buf()).into_connection_info()?;
        // Without CLIENT SETINFO nothing is read before the time-outs below are set: a stalled server
        // would be waited for without end.
        let quiet = info.redis_settings().clone().set_skip_set_lib_name();
        let client = Client::open(info.set_redis_settings(quiet))?;
        let connection = client.get_connection_with_timeout(ANSWER_WITHIN)?;
        connection.set_read_timeout(Some(ANSWER_WITHIN))?;
        connection.set_write_timeout(Some(ANSWER_WITHIN))?;
        Ok(Self(connection))
    }

    fn info(&mut self, section: &str) -> Result<Info, RedisError> {
        redis::cmd("INFO").arg(section).query(&mut self.0).map(Info)
    }

    /// Process id, and which server of which version it is: a Valkey also has the version of a Redis that it is like.
    pub(super) fn who(&mut self) -> Option<(u32, String)> {
        let info = self.info("server").ok()?;
        let of = |kind| Some(format!("{kind} {}", info.field(&format!("{kind}_version"))?));
        Some((info.field("process_id")?.parse().ok()?, of("valkey").or_else(|| of("redis"))?))
    }

    /// Begins to write the append-only file anew.
    pub(super) fn rewrite(&mut self) -> Result<(), RedisError> {
        redis::cmd("BGREWRITEAOF").exec(&mut self.0)
    }

    /// How far that is.
    pub(super) fn rewritten(&mut self) -> Result<Rewrite, RedisError> {
        let info = self.info("persistence")?;
        let busy = ["aof_rewrite_in_progress", "aof_rewrite_scheduled"];
        if busy.iter().any(|name| info.field(name) == Some("1")) {
            return Ok(Rewrite::UnderWay);
        }
        Ok(if info.field("aof_last_bgrewrite_status") == Some("ok") {
            Rewrite::Done
        } else {
            Rewrite::Failed
        })
    }

    pub(super) fn fsync_always(&mut self) -> Result<(), RedisError> {
        redis::cmd("CONFIG").arg("SET").arg("appendfsync").arg("always").exec(&mut self.0)
    }

    /// Sends SHUTDOWN; the refusal, if there is one. A server that obeys closes the connection.
    pub(super) fn shutdown(&mut self) -> Option<String> {
        // Best effort: with the short timeout a long sync would merely be waited for by its lock.
        let _ = self.0.set_read_timeout(Some(SHUTDOWN_WITHIN));
        match redis::cmd("SHUTDOWN").exec(&mut self.0) {
            Err(error) if error.code().is_some() => Some(error.to_string()),
            _ => None,
        }
    }
}
