//! A private PostgreSQL: a fresh cluster on a unix socket.
//!
//! `synchronous_commit=off` keeps the promise that Redis keeps with `appendfsync everysec`: a crash of the machine may
//! lose the last moments, so the two can be compared.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, ensure};
use tokio::process::Command;

use super::process::{Found, Server};
use crate::race::store::postgres::{SCHEMA, session};
use crate::watched_dir::WatchedDir;

const SETTINGS: [&str; 8] = [
    "listen_addresses=",
    "unix_socket_permissions=0700",
    "max_connections=300",
    "shared_buffers=64MB",
    "synchronous_commit=off",
    // Deadlocks are part of some stories; waiting a second for each is not.
    "deadlock_timeout=20ms",
    "autovacuum=on",
    "log_min_messages=fatal",
];

pub(super) async fn start() -> anyhow::Result<Found> {
    let Some(bin) = bin_dir() else { return Ok(Found::Missing("hint: `make postgres` installs it")) };
    start_from(&bin).await.context("starting PostgreSQL")
}

async fn start_from(bin: &Path) -> anyhow::Result<Found> {
    let dir = WatchedDir::new("tollgate-postgres-", &std::env::temp_dir())?;
    let user = User::choose().await?;
    user.own(dir.path())?;
    let mut init = user.command(&bin.join("initdb"));
    init.arg("-D").arg(dir.path().join("data")).args(["-U", "postgres", "-A", "trust", "-E", "UTF8"]);
    init.args(["--locale=C", "--no-sync"]).current_dir(dir.path());
    let made = init.stdin(Stdio::null()).output().await.context("initdb")?;
    ensure!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr).trim());

    let mut command = user.command(&bin.join("postgres"));
    command.arg("-D").arg(dir.path().join("data"));
    command.arg("-c").arg(format!("unix_socket_directories={}", dir.path().display()));
    SETTINGS.iter().for_each(|setting| _ = command.args(["-c", setting]));
    let mut server = Server::spawn(command, dir)?;
    let socket_dir = server.dir().to_owned();
    let mut first = None;
    server
        .until(async || {
            first = session(&socket_dir).await.ok();
            first.is_some()
        })
        .await?;
    first.context("no session")?.batch_execute(SCHEMA).await?;
    Ok(Found::Running(Box::new(server), socket_dir.display().to_string()))
}

/// Debian and its kin keep the programs of each version out of `PATH`.
fn bin_dir() -> Option<PathBuf> {
    let installed = |dir: &PathBuf| dir.join("initdb").is_file() && dir.join("postgres").is_file();
    let version = |dir: &PathBuf| {
        let name = dir.parent().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or_default();
        name.parse::<u32>().unwrap_or(0)
    };
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions.map(|entry| entry.path().join("bin")).filter(installed).max_by_key(version);
    newest.or_else(|| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).find(installed)
    })
}

/// Who runs it: PostgreSQL refuses to run as root.
struct User(Option<(u32, u32)>);

impl User {
    async fn choose() -> anyhow::Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self(None));
        }
        let id = async |what: &str| -> anyhow::Result<u32> {
            let output = Command::new("id").args([what, "postgres"]).output().await.context("id")?;
            let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            text.parse().context("it does not run as root, and there is no user postgres")
        };
        Ok(Self(Some((id("-u").await?, id("-g").await?))))
    }

    fn own(&self, dir: &Path) -> std::io::Result<()> {
        match self.0 {
            Some((user, group)) => std::os::unix::fs::chown(dir, Some(user), Some(group)),
            None => Ok(()),
        }
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        if let Some((user, group)) = self.0 {
            command.gid(group).uid(user);
        }
        command
    }
}
