//! A master, its replica, and three Sentinels that watch them: each a server of its own on a port of this machine, ended
//! with this value.
#![allow(clippy::unwrap_used, reason = "for tests alone")]

use std::process::{Command, Stdio};

use tollgate::embedded::Temporary;

use crate::process::Running;
use crate::servers::{cli_program, free_port, private, server_program};
use crate::wait::until_so;

/// What the Sentinels call the master.
pub const NAME: &str = "main";
/// How many of them must agree that it is down.
const QUORUM: usize = 2;

/// A watched pair.
#[derive(Debug)]
pub struct Watched {
    /// The master at first.
    pub master: Temporary,
    /// Its replica at first.
    pub replica: Temporary,
    ports: [u16; 2],
    sentinels: Vec<(Running, u16)>,
    url: String,
    _dir: tempfile::TempDir,
}

impl Watched {
    /// Starts all of them; ready when every Sentinel knows the replica and the others.
    ///
    /// # Panics
    /// If that does not come about.
    pub fn start() -> Self {
        let server = |port: u16, extra: &[&str]| {
            private(
                &[
                    &["--port", &port.to_string(), "--bind", "127.0.0.1", "--repl-diskless-sync-delay", "0"],
                    extra,
                ]
                .concat(),
            )
        };
        let ports = [free_port(), free_port()];
        let master = server(ports[0], &[]);
        let replica = server(ports[1], &["--replicaof", &format!("127.0.0.1 {}", ports[0])]);
        let dir = tempfile::tempdir().unwrap();
        let sentinels: Vec<_> = (0..3).map(|number| sentinel(dir.path(), number, ports[0], None)).collect();
        let hosts: Vec<String> = sentinels.iter().map(|(_, port)| format!("127.0.0.1:{port}")).collect();
        let url = format!("redis+sentinel://{}/{NAME}", hosts.join(","));
        let watched = Self { master, replica, ports, sentinels, url, _dir: dir };
        until_so("every Sentinel to know the replica and the others", || {
            watched.sentinels.iter().all(|(_, port)| {
                let info = ask(*port, &["INFO", "sentinel"]);
                info.contains("slaves=1,sentinels=3")
            })
        });
        until_so("the replica to have all that the master has", || {
            ask(ports[1], &["INFO", "replication"]).contains("master_link_status:up")
        });
        watched
    }

    /// The address of the Sentinels.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// The role that the server at first the master, or at first the replica, has now.
    pub fn roles(&self) -> [String; 2] {
        self.ports.map(|port| ask(port, &["ROLE"]).lines().next().unwrap_or_default().to_owned())
    }

    /// Has the Sentinels make the replica the master, as an operator would.
    pub fn fail_over(&self) {
        let (_, port) = self.sentinels[0];
        until_so("a Sentinel to take the order", || {
            ask(port, &["SENTINEL", "FAILOVER", NAME]).contains("OK")
        });
    }

    /// Waits until the first replica has what the first master has been told.
    pub fn replicated(&self) {
        let offset = |port, name: &str| {
            let info = ask(port, &["INFO", "replication"]);
            info.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned)
        };
        until_so("the replica to have everything", || {
            let master = offset(self.ports[0], "master_repl_offset:");
            master.is_some() && master == offset(self.ports[1], "slave_repl_offset:")
        });
    }

    /// Kills all Sentinels but so many.
    pub fn leave_sentinels(&mut self, left: usize) {
        self.sentinels.truncate(left);
    }
}

/// A master that one Sentinel watches, both of which speak TLS only.
#[derive(Debug)]
pub struct WatchedByTls {
    /// The master.
    pub master: Temporary,
    /// The address of the Sentinel.
    pub url: String,
    _sentinel: Running,
    _dir: tempfile::TempDir,
}

impl WatchedByTls {
    /// Starts both; `certificates` are settings as on the command line.
    ///
    /// # Panics
    /// If they do not start.
    pub fn start(certificates: &[String]) -> Self {
        let (port, dir) = (free_port(), tempfile::tempdir().unwrap());
        let mut words: Vec<&str> = certificates.iter().map(String::as_str).collect();
        let master_port = port.to_string();
        words.extend(["--port", "0", "--tls-port", &master_port, "--bind", "127.0.0.1"]);
        let master = private(&words);
        let (sentinel, port) = sentinel(dir.path(), 0, port, Some(certificates));
        let url = format!("rediss+sentinel://127.0.0.1:{port}/{NAME}");
        Self { master, url, _sentinel: sentinel, _dir: dir }
    }
}

fn sentinel(
    dir: &std::path::Path,
    number: usize,
    master: u16,
    certificates: Option<&[String]>,
) -> (Running, u16) {
    let port = free_port();
    let dir = dir.join(number.to_string());
    std::fs::create_dir(&dir).unwrap();
    let file = dir.join("sentinel.conf");
    let (ports, quorum) = match certificates {
        None => (format!("port {port}"), QUORUM),
        Some(_) => (format!("port 0\ntls-port {port}\ntls-replication yes"), 1),
    };
    let certificates: String = certificates
        .unwrap_or_default()
        .chunks(2)
        .map(|setting| format!("{}\n", setting.join(" ").trim_start_matches('-')))
        .collect();
    let settings = format!(
        "{ports}\nbind 127.0.0.1\ndir {}\n{certificates}sentinel monitor {NAME} 127.0.0.1 {master} {quorum}\n\
         sentinel down-after-milliseconds {NAME} 1000\nsentinel failover-timeout {NAME} 5000\n",
        dir.display()
    );
    std::fs::write(&file, settings).unwrap();
    let mut command = Command::new(server_program());
    command.arg(&file).arg("--sentinel").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    (Running::spawn(&mut command).unwrap(), port)
}

/// What a server says, as redis-cli prints it; nothing if it does not answer.
fn ask(port: u16, words: &[&str]) -> String {
    let said = Command::new(cli_program())
        .args(["-p", &port.to_string()])
        .args(words)
        .stderr(Stdio::null())
        .output();
    said.map(|said| String::from_utf8_lossy(&said.stdout).into_owned()).unwrap_or_default()
}
