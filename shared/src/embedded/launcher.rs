//! Starting the private server, looking at it, stopping it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::binary;
use super::dir::{Layout, Lock};
use super::error::EmbeddedError;
use super::options::{AppendFsync, Options};
use super::process::{self, Ask, Health, Rewrite};
use super::ready::{LOOK_EVERY, wait_ready};
use super::temporary::Temporary;

/// How long it may then take to write its append-only file anew.
const REWRITTEN_WITHIN: Duration = Duration::from_secs(600);
/// How long a server that is to stop may be silent before it is given up.
const HEARD_WITHIN: Duration = Duration::from_secs(5);
/// How long SHUTDOWN may take: it writes and syncs the append-only file.
const STOPPED_WITHIN: Duration = Duration::from_secs(60);
/// What Redis says in its log when it cuts a torn append-only file.
const TRUNCATED: &str = "Truncating the AOF";

/// A running private server. Dropping this does not stop it.
#[derive(Debug, Clone)]
pub struct Embedded {
    dir: PathBuf,
    socket: PathBuf,
    started: bool,
}

impl Embedded {
    /// Starts the server in `dir`, which is created if it is missing, or uses the one that runs there,
    /// and waits until it is ready. Two callers at once, in one process or two, start one server.
    ///
    /// # Errors
    /// See [`EmbeddedError`].
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the start.
    pub async fn start(dir: &Path, options: Options) -> Result<Self, EmbeddedError> {
        let dir = dir.to_path_buf();
        blocking(move || Self::start_blocking(&dir, &options)).await
    }

    /// [`Embedded::start`] for callers without a runtime.
    ///
    /// # Errors
    /// See [`EmbeddedError`].
    pub fn start_blocking(dir: &Path, options: &Options) -> Result<Self, EmbeddedError> {
        let layout = Layout::prepare(dir)?;
        let begun = Instant::now();
        loop {
            match layout.try_lock()? {
                Lock::Free(lock) => return start_locked(&layout, options, lock, begun),
                // Another server runs or starts. If its starter or the server dies, the lock gets free.
                Lock::Held => {
                    if wait_ready(&layout, begun, || layout.is_free())? {
                        strengthen(&layout, options)?;
                        return Ok(Self::at(&layout, false));
                    }
                }
            }
        }
    }

    /// A server in a directory of its own that ends with the value, or at the latest with this process.
    ///
    /// # Errors
    /// See [`EmbeddedError`].
    pub fn temporary() -> Result<Temporary, EmbeddedError> {
        Temporary::start(&[])
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its unix socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The address that other programs need to use it.
    pub fn url(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// Did this call start it (else it was running)?
    pub fn started(&self) -> bool {
        self.started
    }

    fn at(layout: &Layout, started: bool) -> Self {
        Self { dir: layout.dir().to_path_buf(), socket: layout.socket().to_path_buf(), started }
    }
}

/// What [`status`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The directory.
    pub dir: PathBuf,
    /// The unix socket.
    pub socket: PathBuf,
    /// Is the lock held, which means that a server runs?
    pub running: bool,
    /// Its process id and what it is (`redis 7.0.15`, `valkey 8.1.1`), if it answers.
    pub server: Option<(u32, String)>,
    /// The process id that was noted when it was started, also of one that runs and does not answer.
    pub noted_pid: Option<u32>,
}

/// Looks at the server in `dir` without starting it or creating anything.
///
/// # Errors
/// A directory that cannot be used.
pub async fn status(dir: &Path) -> Result<Status, EmbeddedError> {
    let dir = dir.to_path_buf();
    blocking(move || {
        let Some(layout) = Layout::existing(&dir)? else {
            let socket = dir.join("redis.sock");
            return Ok(Status { dir, socket, running: false, server: None, noted_pid: None });
        };
        let running = !layout.is_free()?;
        let server = running.then(|| Ask(layout.socket()).who()).flatten();
        let noted_pid = running.then(|| layout.recorded_pid()).flatten();
        Ok(Status { dir, socket: layout.socket().to_path_buf(), running, server, noted_pid })
    })
    .await
}

/// What [`stop`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// The server was told to, and has ended; its data is on disk.
    Stopped,
    /// There was none.
    WasNotRunning,
}

/// Stops the server in `dir` by SHUTDOWN and waits until it has ended. One that answers nothing for five seconds is
/// given up before SHUTDOWN is sent: it does not end later of itself.
///
/// # Errors
/// See [`EmbeddedError`].
pub async fn stop(dir: &Path) -> Result<Stopped, EmbeddedError> {
    let dir = dir.to_path_buf();
    blocking(move || {
        let Some(layout) = Layout::existing(&dir)? else {
            return Ok(Stopped::WasNotRunning);
        };
        if layout.is_free()? {
            return Ok(Stopped::WasNotRunning);
        }
        let not_stopped = |detail: String| EmbeddedError::NotStopped { dir: dir.clone(), detail };
        if let Some(silence) = silence(&layout)? {
            return Err(not_stopped(silence));
        }
        if let Some(refusal) = Ask(layout.socket()).shutdown() {
            return Err(not_stopped(refusal));
        }
        let begun = Instant::now();
        while !layout.is_free()? {
            if begun.elapsed() > STOPPED_WITHIN {
                return Err(not_stopped(format!("it still runs {STOPPED_WITHIN:?} after SHUTDOWN")));
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(Stopped::Stopped)
    })
    .await
}

/// Waits until a running server answers or has ended; if it does neither, what to tell about it.
fn silence(layout: &Layout) -> Result<Option<String>, EmbeddedError> {
    let begun = Instant::now();
    loop {
        let Health::Silent(detail) = process::health(layout.socket()) else { return Ok(None) };
        if layout.is_free()? {
            return Ok(None);
        }
        if begun.elapsed() > HEARD_WITHIN {
            let pid = layout.recorded_pid().map_or_else(|| "PID".to_owned(), |pid| pid.to_string());
            return Ok(Some(format!(
                "it does not answer within {HEARD_WITHIN:?} ({detail}) and was told nothing\n\
                 hint: its process id is {pid}: `kill -CONT {pid}` wakes it if a signal has stopped it; \
                 `kill -KILL {pid}` ends it, and costs at most the last second if its file is synced every second"
            )));
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Starts a server whose lock we hold.
fn start_locked(
    layout: &Layout,
    options: &Options,
    lock: std::fs::File,
    begun: Instant,
) -> Result<Embedded, EmbeddedError> {
    let binary = binary::find(options.binary.as_deref())?;
    let appendfsync = options.appendfsync.or_else(|| layout.appendfsync()).unwrap_or(AppendFsync::EverySec);
    let log_begins = layout.log_length();
    let child = process::spawn(&binary, layout, appendfsync, &[], &[], lock)?;
    layout.record(child.id(), appendfsync)?;
    let exited = process::reap(child);
    let ready = wait_ready(layout, begun, || match exited.try_recv() {
        Ok(status) => {
            Err(EmbeddedError::Died { dir: layout.dir().to_path_buf(), status, log: layout.last_log_lines() })
        }
        Err(_) => Ok(false),
    })?;
    debug_assert!(ready, "only a lock that got free ends the wait otherwise");
    if layout.log_since(log_begins).contains(TRUNCATED) {
        rewrite(layout)?;
    }
    Ok(Embedded::at(layout, true))
}

/// Lets a server that cut its append-only file when it read it write that file anew, and waits for the end.
///
/// Redis 7.0 may cut a file inside a transaction. It starts well, but the next start would run that half together
/// with whatever transaction was written behind it. If this process or the server dies before the new file is whole,
/// the old one is read again: it then ends inside that transaction, which Redis takes back, or it refuses to start.
/// A server that cannot write is ended for the same reason.
fn rewrite(layout: &Layout) -> Result<(), EmbeddedError> {
    tracing::warn!(
        dir = %layout.dir().display(),
        "a crash had torn the append-only file of the private redis: its last bytes are gone, and the file is \
         written anew"
    );
    let begun = Instant::now();
    let ask = Ask(layout.socket());
    let rewritten = || {
        ask.rewrite().map_err(|error| error.to_string())?;
        loop {
            match ask.rewritten().map_err(|error| error.to_string())? {
                Rewrite::Done => return Ok(()),
                Rewrite::Failed => return Err("a rewrite that failed".to_owned()),
                Rewrite::UnderWay if begun.elapsed() > REWRITTEN_WITHIN => {
                    return Err("a rewrite that does not end".to_owned());
                }
                Rewrite::UnderWay => std::thread::sleep(LOOK_EVERY),
            }
        }
    };
    rewritten().map_err(|why| {
        // Best effort: whether it obeys or not, the error says what is wrong.
        let _ = ask.shutdown();
        let detail = format!("its append-only file was torn and must be written anew: {why}");
        let (dir, log) = (layout.dir().to_path_buf(), layout.last_log_lines());
        EmbeddedError::NotReady { dir, waited: begun.elapsed(), detail, log }
    })
}

/// A server that runs with `everysec` although `always` is asked for is told so; its data is ours.
fn strengthen(layout: &Layout, options: &Options) -> Result<(), EmbeddedError> {
    if options.appendfsync != Some(AppendFsync::Always) || layout.appendfsync() == Some(AppendFsync::Always) {
        return Ok(());
    }
    let dir = || layout.dir().to_path_buf();
    let not_ready = |error: redis::RedisError| EmbeddedError::NotReady {
        dir: dir(),
        waited: Duration::ZERO,
        detail: error.to_string(),
        log: layout.last_log_lines(),
    };
    Ask(layout.socket()).fsync_always().map_err(not_ready)?;
    layout.record_appendfsync(AppendFsync::Always)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, EmbeddedError> + Send + 'static,
) -> Result<T, EmbeddedError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
