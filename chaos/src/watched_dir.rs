//! A temporary directory that takes everything which runs in it along, however this process ends, SIGKILL included.
//!
//! Relies on a shell that reads a pipe from this process: when the process is gone, the pipe closes. It watches over
//! the directory and not over processes, so nobody escapes who was just being started.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::Context;

/// Ends whatever runs in the directory `$1` or below, by asking and then by force, and removes it. Twice by force: a
/// process may have been forked that was not in the directory yet.
const TIDY_UP: &str = r#"
read -r _
for signal in QUIT KILL KILL; do
  for process in /proc/[0-9]*; do
    case "$(readlink "$process/cwd")" in
      "$1" | "$1"/*) kill -s "$signal" "${process#/proc/}" ;;
    esac
  done
  sleep 0.5
done
rm -rf "$1"
"#;

/// The directory. Dropped, it is removed; whoever started something in it has ended it before.
pub(crate) struct WatchedDir {
    watchdog: Child,
    dir: tempfile::TempDir,
}

impl WatchedDir {
    /// Makes one in `parent`, with a name that begins with `prefix`.
    pub(crate) fn new(prefix: &str, parent: &Path) -> anyhow::Result<Self> {
        // What a process is told of the directory it runs in has no symbolic links in it.
        let dir = tempfile::Builder::new().prefix(prefix).tempdir_in(parent.canonicalize()?)?;
        let watchdog = Command::new("/bin/sh")
            .args(["-c", TIDY_UP, "tollgate-watchdog"])
            .arg(dir.path())
            // Ctrl-C must not end it before its work.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Ok(Self { watchdog: watchdog.context("starting a watchdog")?, dir })
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }
}

impl Drop for WatchedDir {
    fn drop(&mut self) {
        // Both fail only for a child that has ended and was waited for.
        let _ = self.watchdog.kill();
        let _ = self.watchdog.wait();
    }
}
