//! However a run ends, its servers end with it and its directories go.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tollgate_testkit::process::{Running, Signal};
use tollgate_testkit::wait::SOON;

use crate::race::command;

/// A run that is long enough to be ended, with everything in this directory.
fn start(dir: &Path) -> Running {
    // PostgreSQL runs as another user, if this is root.
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command =
        command(&["--cure", "tollgate", "--cure", "row-lock", "--scenario", "ticket", "--time", "20s"]);
    Running::start(command.env("TMPDIR", dir).stdout(Stdio::null()).stderr(Stdio::null()))
}

/// Waits until nothing is missing, or left, any more.
fn until_none(what: &str, mut left: impl FnMut() -> Vec<String>) {
    let begun = Instant::now();
    loop {
        let left = left();
        if left.is_empty() {
            return;
        }
        assert!(begun.elapsed() < SOON, "{what}: {left:#?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Command lines of processes that run in this directory or name it.
fn processes(dir: &Path) -> Vec<String> {
    let pids = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let of = |process: PathBuf| {
        let line = String::from_utf8_lossy(&std::fs::read(process.join("cmdline")).ok()?).replace('\0', " ");
        let here = std::fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd.starts_with(dir));
        (here || line.contains(&dir.display().to_string())).then_some(line)
    };
    pids.filter_map(of).collect()
}

fn ends_clean(signal: Signal) {
    let dir = tempfile::tempdir().unwrap();
    let mut run = start(dir.path());
    until_none("not started", || {
        let running = processes(dir.path());
        let missing = |name: &&str| !running.iter().any(|line| line.contains(name));
        ["postgres: ", "tollgate-worker"]
            .iter()
            .filter(|name| missing(name))
            .map(ToString::to_string)
            .collect()
    });
    run.signal(signal).unwrap();
    let status = run.wait().unwrap();
    assert!(!status.success());
    until_none("left running", || processes(dir.path()));
    until_none("left on disk", || {
        let entries = std::fs::read_dir(dir.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
    });
}

#[test]
fn a_run_that_is_interrupted_leaves_nothing_running() {
    ends_clean(Signal::INT);
}

#[test]
fn a_run_that_is_killed_leaves_no_server_running() {
    ends_clean(Signal::KILL);
}
