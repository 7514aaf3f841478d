//! A server for tests and demonstrations, in a directory of its own, that leaves nothing behind.
//!
//! Relies on a watchdog (`sh`) that reads a pipe from this process: when this process ends in any way, also
//! by SIGKILL or with the value in a static, the pipe closes and the watchdog kills the server and removes the
//! directory. Must not be used for data that matters.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};

use super::dir::{Layout, Lock};
use super::error::EmbeddedError;
use super::options::AppendFsync;
use super::ready::{LOOK_EVERY, wait_ready};
use super::{binary, process};

/// `$1` the server, `$2` its directory, `$3` its socket's directory (another one, if the path was long).
const WATCHDOG: &str = r#"read -r _; kill -9 "$1"; rm -rf "$2" "$3""#;

/// A private server that ends with this value. Blocks its thread while it starts and stops.
#[derive(Debug)]
pub struct Temporary {
    layout: Layout,
    extra: Vec<String>,
    variables: Vec<(String, PathBuf)>,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    server: Child,
    watchdog: Child,
}

impl Temporary {
    /// Starts one; `extra` are settings as on redis-server's command line (`["--maxmemory", "3mb"]`),
    /// which win over the private server's own.
    ///
    /// # Errors
    /// See [`EmbeddedError`].
    pub fn start(extra: &[&str]) -> Result<Self, EmbeddedError> {
        Self::start_with(extra, &[])
    }

    /// The same, with variables in its environment: a file to preload, and what that reads.
    ///
    /// # Errors
    /// See [`EmbeddedError`].
    pub fn start_with(extra: &[&str], variables: &[(&str, &Path)]) -> Result<Self, EmbeddedError> {
        let dir = std::env::temp_dir().join(format!("tollgate-{}", uuid::Uuid::now_v7().simple()));
        let layout = Layout::prepare(&dir)?;
        let extra = extra.iter().map(ToString::to_string).collect();
        let variables =
            variables.iter().map(|(name, value)| ((*name).to_owned(), value.to_path_buf())).collect();
        let mut temporary = Self { layout, extra, variables, running: None };
        temporary.restart()?;
        Ok(temporary)
    }

    /// Its unix socket.
    pub fn socket(&self) -> &Path {
        self.layout.socket()
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        self.layout.dir()
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Its process id, if it was not killed.
    pub fn pid(&self) -> Option<u32> {
        self.running.as_ref().map(|running| running.server.id())
    }

    /// Kills it by SIGKILL and waits for its end. Its data stays for [`Temporary::restart`].
    pub fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            // The watchdog first, so that it cannot kill whoever gets the same process id next.
            end(&mut running.watchdog);
            end(&mut running.server);
        }
    }

    /// Starts it again on the same data, killing it first if it runs.
    ///
    /// # Errors
    /// See [`EmbeddedError`].
    pub fn restart(&mut self) -> Result<(), EmbeddedError> {
        self.kill();
        let begun = Instant::now();
        // A rewrite of the append-only file may outlive the server for a moment, with the lock.
        let lock = loop {
            match self.layout.try_lock()? {
                Lock::Free(lock) => break lock,
                Lock::Held => std::thread::sleep(LOOK_EVERY),
            }
        };
        let binary = binary::find(None)?;
        let mut server =
            process::spawn(&binary, &self.layout, AppendFsync::EverySec, &self.extra, &self.variables, lock)?;
        let watchdog = watch(&server, &self.layout).inspect_err(|_| end(&mut server))?;
        self.running = Some(Running { server, watchdog });
        let layout = &self.layout;
        let running = &mut self.running;
        let ready = wait_ready(layout, begun, || match running {
            Some(running) => match running.server.try_wait() {
                Ok(None) => Ok(false),
                ended => Err(EmbeddedError::Died {
                    dir: layout.dir().to_path_buf(),
                    status: format!("{ended:?}"),
                    log: layout.last_log_lines(),
                }),
            },
            None => Ok(true),
        });
        ready.map(drop)
    }

    /// Stops it in place (SIGSTOP): connections stay open and nothing answers.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on (SIGCONT).
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let pid = self.pid().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        if let Some(pid) = pid {
            // It can only fail if the server has just died; whoever uses it next sees that.
            let _ = kill_process(pid, signal);
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(self.layout.dir());
        if let Some(parent) = foreign_socket_dir(&self.layout) {
            let _ = std::fs::remove_dir_all(parent);
        }
    }
}

fn watch(server: &Child, layout: &Layout) -> Result<Child, EmbeddedError> {
    Command::new("/bin/sh")
        .args(["-c", WATCHDOG, "tollgate-watchdog", &server.id().to_string()])
        .arg(layout.dir())
        .args(foreign_socket_dir(layout))
        // Ctrl-C must not end the watchdog before its work.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| EmbeddedError::Dir {
            path: PathBuf::from("/bin/sh"),
            what: format!("cannot be started: {error}"),
        })
}

fn foreign_socket_dir(layout: &Layout) -> Option<PathBuf> {
    let parent = layout.socket().parent()?;
    (parent != layout.dir()).then(|| parent.to_path_buf())
}

fn end(child: &mut Child) {
    // Both fail only for a child that has ended and was waited for.
    let _ = child.kill();
    let _ = child.wait();
}
