//! The server's process: its command line, its health, its end.
//!
//! Relies on the lock file being the child's standard input: redis-server never reads or closes it, and the
//! lock thus lives as long as the process and its own children (a rewrite of the append-only file).
//! Must not leave a zombie: what is started here is waited for here.

use std::error::Error;
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use redis::{Client, Cmd, Connection, ConnectionAddr, FromRedisValue, IntoConnectionInfo, RedisError, Value};

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
    match Ask(socket).query::<Value>(&redis::cmd("PING")) {
        Ok(_) => Health::Ready,
        Err(error) if error.code() == Some("LOADING") => Health::Loading,
        Err(error) => Health::Silent(error.to_string()),
    }
}

/// The few questions asked here of the server behind a socket, each by a connection of its own.
pub(super) struct Ask<'a>(pub(super) &'a Path);

impl Ask<'_> {
    fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, RedisError> {
        despite_signals(|| command.query(&mut self.connection(ANSWER_WITHIN)?))
    }

    fn connection(&self, within: Duration) -> Result<Connection, RedisError> {
        let info = ConnectionAddr::Unix(self.0.to_path_buf()).into_connection_info()?;
        // Without CLIENT SETINFO nothing is read before the time-outs below are set: a stalled server
        // would be waited for without end.
        let quiet = info.redis_settings().clone().set_skip_set_lib_name();
        let client = Client::open(info.set_redis_settings(quiet))?;
        let connection = client.get_connection_with_timeout(ANSWER_WITHIN)?;
        connection.set_read_timeout(Some(within))?;
        connection.set_write_timeout(Some(ANSWER_WITHIN))?;
        Ok(connection)
    }

    fn info(&self, section: &str) -> Result<Info, RedisError> {
        self.query(redis::cmd("INFO").arg(section)).map(Info)
    }

    /// Process id, and which server of which version it is: a Valkey also has the version of a Redis that it is like.
    pub(super) fn who(&self) -> Option<(u32, String)> {
        let info = self.info("server").ok()?;
        let of = |kind| Some(format!("{kind} {}", info.field(&format!("{kind}_version"))?));
        Some((info.field("process_id")?.parse().ok()?, of("valkey").or_else(|| of("redis"))?))
    }

    /// Begins to write the append-only file anew, if that is not under way.
    pub(super) fn rewrite(&self) -> Result<(), RedisError> {
        match self.query::<Value>(&redis::cmd("BGREWRITEAOF")) {
            Err(error) if error.to_string().contains("in progress") => Ok(()),
            other => other.map(drop),
        }
    }

    /// How far that is.
    pub(super) fn rewritten(&self) -> Result<Rewrite, RedisError> {
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

    pub(super) fn fsync_always(&self) -> Result<(), RedisError> {
        self.query::<Value>(redis::cmd("CONFIG").arg("SET").arg("appendfsync").arg("always")).map(drop)
    }

    /// Sends SHUTDOWN; why it was not sent or not obeyed. A server that obeys closes the connection, and where no answer
    /// comes it was asked all the same: whether it ends is seen by its lock.
    pub(super) fn shutdown(&self) -> Option<String> {
        let mut connection = match self.connection(SHUTDOWN_WITHIN) {
            Ok(connection) => connection,
            Err(error) => return Some(error.to_string()),
        };
        let told = redis::cmd("SHUTDOWN").exec(&mut connection);
        told.err().filter(|error| error.code().is_some()).map(|error| error.to_string())
    }
}

/// Asks again what a signal to this process has interrupted, a child's end for one: reads with a time-out are not resumed.
/// A question that changes something has to be one that may come twice.
///
/// # Errors
/// Whatever else the question ends with.
pub fn despite_signals<T>(mut ask: impl FnMut() -> Result<T, RedisError>) -> Result<T, RedisError> {
    loop {
        match ask() {
            Err(error) if is_interrupted(&error) => {}
            other => return other,
        }
    }
}

/// redis-rs keeps the error of the system behind a pointer, which is what it names as its source.
fn is_interrupted(error: &RedisError) -> bool {
    let source = error.source().and_then(|source| source.downcast_ref::<Arc<dyn Error + Send + Sync>>());
    let cause = source.and_then(|source| source.downcast_ref::<io::Error>());
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_signal_interrupts_is_asked_again_and_nothing_else_is() {
        let mut asked = 0;
        let mut answers = |kinds: &[io::ErrorKind]| {
            asked = 0;
            let answer = despite_signals(|| {
                asked += 1;
                kinds.get(asked - 1).map_or(Ok(()), |kind| Err(RedisError::from(io::Error::from(*kind))))
            });
            (answer.is_ok(), asked)
        };
        use io::ErrorKind::{BrokenPipe, Interrupted};
        assert_eq!(answers(&[Interrupted, Interrupted]), (true, 3));
        assert_eq!(answers(&[Interrupted, BrokenPipe]), (false, 2));
        let system = |errno| RedisError::from(io::Error::from_raw_os_error(errno));
        assert!(is_interrupted(&system(4)) && !is_interrupted(&system(5)), "EINTR, EIO");
    }
}
