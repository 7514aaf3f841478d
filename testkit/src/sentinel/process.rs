//! One Sentinel: a process that is killed and started again on what it knew.

use std::io;
use std::net::IpAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tollgate::embedded::server_binary;

use crate::servers::free_port;

/// `$1` the server, `$2` the Sentinel's file. It ends when the pipe closes: whatever ends its owner ends it, too.
const KEPT: &str = r#""$1" "$2" --sentinel >/dev/null 2>&1 & read -r _; kill -9 $!; wait"#;

/// What it watches, and how.
pub(super) struct Watching<'a> {
    /// What it calls the master, and the port of that.
    pub(super) name: &'a str,
    pub(super) master: u16,
    /// How many must agree that the master is down.
    pub(super) quorum: usize,
    /// Where it comes from, if that matters.
    pub(super) from: Option<IpAddr>,
    /// As on the command line: with them it speaks TLS, with everybody, and nothing else.
    pub(super) certificates: Option<&'a [String]>,
}

#[derive(Debug)]
pub(super) struct Sentinel {
    port: u16,
    file: PathBuf,
    running: Option<Child>,
}

impl Sentinel {
    pub(super) fn start(dir: &Path, number: usize, watching: &Watching<'_>) -> io::Result<Self> {
        let Watching { name, master, quorum, from, certificates } = watching;
        let port = free_port();
        let dir = dir.join(format!("sentinel-{number}"));
        std::fs::create_dir_all(&dir)?;
        let mut settings = match certificates {
            None => format!("port {port}\n"),
            Some(_) => format!("port 0\ntls-port {port}\ntls-replication yes\n"),
        };
        for setting in certificates.unwrap_or_default().chunks(2) {
            settings += &format!("{}\n", setting.join(" ").trim_start_matches('-'));
        }
        settings += &format!(
            "bind 127.0.0.1\ndir {0}\nlogfile {0}.log\n\
             sentinel monitor {name} 127.0.0.1 {master} {quorum}\n\
             sentinel down-after-milliseconds {name} 1000\nsentinel failover-timeout {name} 5000\n",
            dir.display()
        );
        if let Some(from) = from {
            settings += &format!("bind-source-addr {from}\n");
            // Else it would tell the others that it listens where it comes from.
            settings += &format!("sentinel announce-ip 127.0.0.1\nsentinel announce-port {port}\n");
        }
        let file = dir.join("sentinel.conf");
        std::fs::write(&file, settings)?;
        let mut sentinel = Self { port, file, running: None };
        sentinel.restart()?;
        Ok(sentinel)
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Starts it on what it knew, if it does not run.
    pub(super) fn restart(&mut self) -> io::Result<()> {
        if self.running.is_none() {
            let server = server_binary().map_err(io::Error::other)?;
            let mut command = Command::new("/bin/sh");
            command.args(["-c", KEPT, "tollgate-sentinel"]).arg(server).arg(&self.file);
            // Ctrl-C must not end it before its owner ends it.
            command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
            self.running = Some(command.spawn()?);
        }
        Ok(())
    }

    /// SIGKILL.
    pub(super) fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            drop(running.stdin.take());
            // It fails only for one that has ended.
            let _ = running.wait();
        }
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        self.kill();
    }
}
