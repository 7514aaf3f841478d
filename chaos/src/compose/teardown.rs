//! Whatever happens to this process, its containers, networks and volumes go.
//!
//! Relies on a shell that reads a pipe from this process: when the process is gone, the pipe closes. Everything of a
//! run carries the label of its compose project, and nothing else is touched.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use anyhow::Context;

/// Removes all that has the label `$1`. A command of compose that outlived its caller may still be making things, so
/// it looks until nothing was there twice, or a minute is over.
const REMOVE_ALL: &str = r#"
empty=0 round=0
while [ "$empty" -lt 2 ] && [ "$round" -lt 60 ]; do
  round=$((round + 1)) found=
  containers=$(docker ps -aq --filter "label=$1")
  # One word an id: all of them at once.
  if [ -n "$containers" ]; then found=1; docker rm -f -v $containers; fi
  for network in $(docker network ls -q --filter "label=$1"); do found=1; docker network rm "$network"; done
  for volume in $(docker volume ls -q --filter "label=$1"); do found=1; docker volume rm -f "$volume"; done
  if [ -n "$found" ]; then empty=0; else empty=$((empty + 1)); fi
  sleep 1
done
"#;

/// Looks after one project, until it is dropped.
pub(crate) struct Teardown {
    watchdog: Child,
    label: String,
}

impl Teardown {
    /// Begins to look after the project of this name.
    pub(crate) fn of(project: &str) -> anyhow::Result<Self> {
        let label = label(project);
        let script = format!("read -r _\n{REMOVE_ALL}");
        let watchdog = shell(&script, &label).stdin(Stdio::piped()).spawn().context("starting a watchdog")?;
        Ok(Self { watchdog, label })
    }

    /// Removes everything now.
    pub(crate) fn remove(&self) {
        // What cannot be removed is told by the engine to whoever looks; the watchdog tries again.
        let _ = shell(REMOVE_ALL, &self.label).stdin(Stdio::null()).status();
    }
}

impl Drop for Teardown {
    fn drop(&mut self) {
        self.remove();
        // Both fail only for a child that has ended and was waited for.
        let _ = self.watchdog.kill();
        let _ = self.watchdog.wait();
    }
}

/// What compose, v1 and v2, writes on everything of a project.
pub(crate) fn label(project: &str) -> String {
    format!("com.docker.compose.project={project}")
}

fn shell(script: &str, label: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script, "tollgate-watchdog", label]);
    // Ctrl-C must not end it before its work.
    command.process_group(0).stdout(Stdio::null()).stderr(Stdio::null());
    command
}
