//! A master, its replica, and three Sentinels that watch them: each a server of its own on a port of this machine, ended
//! with this value also when the process is killed.
//!
//! A server is named by its number: 0 is the master at first, 1 its replica at first. What it is now is asked of it.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use redis::{Client, FromRedisValue, RedisError};
use tollgate::embedded::{EmbeddedError, Temporary, despite_signals};

use self::process::{Sentinel, Watching};
use crate::relay::{Relay, address_of_sentinel, address_of_server};
use crate::servers::free_port;
use crate::wait::SOON;

mod process;

/// What the Sentinels call the master.
pub const NAME: &str = "main";
/// How many Sentinels there are.
pub const SENTINELS: usize = 3;
/// How many of them must agree that the master is down.
const QUORUM: usize = 2;
/// A server of this machine that takes longer does not answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// How they are set up.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Whether a server can be cut off from the other one and the Sentinels ([`Watched::cut_off`]). Then a runtime is
    /// needed, which carries everything that they and their clients say.
    pub can_be_cut_off: bool,
    /// Further settings of both servers, as on the command line.
    pub more: Vec<String>,
    /// Where the Sentinels keep their files; else in a directory that goes with this value, and with nothing else.
    pub dir: Option<PathBuf>,
}

/// Why there is no such pair.
#[derive(Debug, thiserror::Error)]
pub enum SentinelError {
    /// A server does not start.
    #[error("a server does not start: {0}")]
    Start(#[from] EmbeddedError),
    /// A Sentinel does not start, or there is no way by which a server could be cut off.
    #[error("a Sentinel, or the way to a server: {0}")]
    Io(#[from] io::Error),
    /// One refuses what it is told, or does not answer.
    #[error("port {port} answers {words:?} with: {error}")]
    Refused {
        /// Whose.
        port: u16,
        /// What it was told.
        words: String,
        /// What it says.
        error: RedisError,
    },
    /// A state does not come about.
    #[error("waited {SOON:?} for {0}")]
    NeverSo(&'static str),
}

/// A watched pair.
#[derive(Debug)]
pub struct Watched {
    servers: [Server; 2],
    sentinels: Vec<Sentinel>,
    url: String,
    _dir: Option<tempfile::TempDir>,
}

#[derive(Debug)]
struct Server {
    server: Temporary,
    own_port: u16,
    /// Where it is reached.
    port: u16,
    way: Option<Relay>,
}

impl Watched {
    /// Starts all of them; ready when every Sentinel knows the replica and the others.
    ///
    /// # Panics
    /// If that does not come about.
    pub fn start() -> Self {
        Self::try_start(&Settings::default()).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The same as it is wanted.
    ///
    /// # Errors
    /// See [`SentinelError`].
    pub fn try_start(settings: &Settings) -> Result<Self, SentinelError> {
        let master = Server::start(0, settings, None)?;
        let replica = Server::start(1, settings, Some(master.port))?;
        let own = if settings.dir.is_none() { Some(tempfile::tempdir()?) } else { None };
        let dir = settings.dir.as_deref().or(own.as_ref().map(tempfile::TempDir::path));
        let dir = dir.unwrap_or_else(|| Path::new("."));
        let from = |number| settings.can_be_cut_off.then(|| address_of_sentinel(number));
        let start = |number| {
            let (master, from) = (master.port, from(number));
            let watching = Watching { name: NAME, master, quorum: QUORUM, from, certificates: None };
            Sentinel::start(dir, number, &watching)
        };
        let sentinels = (0..SENTINELS).map(start);
        let sentinels = sentinels.collect::<Result<Vec<_>, _>>()?;
        let hosts: Vec<String> = sentinels.iter().map(|one| format!("127.0.0.1:{}", one.port())).collect();
        let url = format!("redis+sentinel://{}/{NAME}", hosts.join(","));
        let watched = Self { servers: [master, replica], sentinels, url, _dir: own };
        watched.settled()?;
        Ok(watched)
    }

    /// The address of the Sentinels.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// One of the two servers.
    pub fn server(&mut self, number: usize) -> &mut Temporary {
        &mut self.servers[number].server
    }

    /// The role that each of the two has now; nothing of one that does not answer.
    pub fn roles(&self) -> [String; 2] {
        [0, 1].map(|number| {
            let said: Vec<redis::Value> = self.tell(number, &["ROLE"]).unwrap_or_default();
            let role = said.into_iter().next().and_then(|role| redis::from_redis_value(role).ok());
            role.unwrap_or_default()
        })
    }

    /// The server that more than half of the Sentinels name.
    pub fn master(&self) -> Option<usize> {
        let named: Vec<usize> = self.sentinels.iter().filter_map(|one| self.named_by(one)).collect();
        [0, 1]
            .into_iter()
            .find(|server| named.iter().filter(|named| *named == server).count() > SENTINELS / 2)
    }

    /// What one of the two answers.
    ///
    /// # Errors
    /// It refuses, or does not answer within five seconds.
    pub fn tell<T: FromRedisValue>(&self, server: usize, words: &[&str]) -> Result<T, SentinelError> {
        ask(self.servers[server].own_port, words)
    }

    /// Has the Sentinels make the replica the master, as an operator would.
    ///
    /// # Errors
    /// If none takes the order.
    pub fn fail_over(&self) -> Result<(), SentinelError> {
        wait("a Sentinel to take the order", || {
            // Refused while it knows no good replica.
            ask::<()>(self.sentinels[0].port(), &["SENTINEL", "FAILOVER", NAME]).is_ok()
        })
    }

    /// Waits until the replica has what the master has been told by now.
    ///
    /// # Errors
    /// If that does not come about.
    pub fn replicated(&self) -> Result<(), SentinelError> {
        let offset = |server, name: &str| -> Option<u64> {
            let info: String = self.tell(server, &["INFO", "replication"]).ok()?;
            info.lines().find_map(|line| line.strip_prefix(name))?.trim().parse().ok()
        };
        let mut told = None;
        wait("the replica to have everything", || {
            let Some(master) = self.roles().iter().position(|role| role == "master") else { return false };
            told = told.or_else(|| offset(master, "master_repl_offset:"));
            told.is_some() && offset(1 - master, "slave_repl_offset:") >= told
        })
    }

    /// Waits until all Sentinels know one another and agree who is the master, and the other server follows it.
    ///
    /// # Errors
    /// If that does not come about.
    pub fn settled(&self) -> Result<(), SentinelError> {
        wait("the Sentinels to agree, and a replica to follow its master", || {
            let Some(master) = self.master() else { return false };
            let knows = |one: &Sentinel| {
                let info: String = ask(one.port(), &["INFO", "sentinel"]).unwrap_or_default();
                info.contains("status=ok") && info.contains("slaves=1,sentinels=3")
            };
            let info: String = self.tell(1 - master, &["INFO", "replication"]).unwrap_or_default();
            self.roles()[master] == "master"
                && info.contains("master_link_status:up")
                && self.sentinels.iter().all(|one| self.named_by(one) == Some(master) && knows(one))
        })
    }

    /// Nothing passes any more between a server and the other one and all Sentinels, while clients reach it and it takes
    /// what they write. Only where servers [can be cut off](Settings::can_be_cut_off).
    pub fn cut_off(&self, server: usize) {
        let sentinels = (0..SENTINELS).map(address_of_sentinel);
        let others: Vec<IpAddr> = sentinels.chain([address_of_server(1 - server)]).collect();
        self.servers[server].way.iter().for_each(|way| way.cut(&others));
        self.servers[1 - server].way.iter().for_each(|way| way.cut(&[address_of_server(server)]));
    }

    /// Nobody is cut off any more.
    pub fn rejoin(&self) {
        self.servers.iter().filter_map(|server| server.way.as_ref()).for_each(Relay::heal);
    }

    /// Kills a Sentinel; what it knew is there for [`Watched::restart_sentinel`].
    pub fn kill_sentinel(&mut self, number: usize) {
        self.sentinels[number].kill();
    }

    /// Starts one again, if it does not run.
    ///
    /// # Errors
    /// If that fails.
    pub fn restart_sentinel(&mut self, number: usize) -> Result<(), SentinelError> {
        Ok(self.sentinels[number].restart()?)
    }

    /// Kills all Sentinels but so many.
    pub fn leave_sentinels(&mut self, left: usize) {
        self.sentinels[left..].iter_mut().for_each(Sentinel::kill);
    }

    fn named_by(&self, sentinel: &Sentinel) -> Option<usize> {
        let words = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME];
        let (_, port): (String, u16) = ask(sentinel.port(), &words).ok()?;
        self.servers.iter().position(|server| server.port == port)
    }
}

/// A master that one Sentinel watches, both of which speak TLS only.
#[derive(Debug)]
pub struct WatchedByTls {
    /// The master.
    pub master: Temporary,
    /// The address of the Sentinel.
    pub url: String,
    _sentinel: Sentinel,
    _dir: tempfile::TempDir,
}

impl WatchedByTls {
    /// Starts both; `certificates` are settings as on the command line.
    ///
    /// # Panics
    /// If they do not start.
    pub fn start(certificates: &[String]) -> Self {
        Self::try_start(certificates).unwrap_or_else(|error| panic!("{error}"))
    }

    fn try_start(certificates: &[String]) -> Result<Self, SentinelError> {
        let (port, dir) = (free_port(), tempfile::tempdir()?);
        let mut words: Vec<&str> = certificates.iter().map(String::as_str).collect();
        let master_port = port.to_string();
        words.extend(["--enable-debug-command", "yes"]);
        words.extend(["--port", "0", "--tls-port", &master_port, "--bind", "127.0.0.1"]);
        let master = Temporary::start(&words)?;
        let certificates = Some(certificates);
        let watching = Watching { name: NAME, master: port, quorum: 1, from: None, certificates };
        let sentinel = Sentinel::start(dir.path(), 0, &watching)?;
        let url = format!("rediss+sentinel://127.0.0.1:{}/{NAME}", sentinel.port());
        Ok(Self { master, url, _sentinel: sentinel, _dir: dir })
    }
}

impl Server {
    fn start(number: usize, settings: &Settings, master: Option<u16>) -> Result<Self, SentinelError> {
        let own_port = free_port();
        let way = if settings.can_be_cut_off { Some(Relay::listen(own_port)?) } else { None };
        let port = way.as_ref().map_or(own_port, Relay::port);
        let (own, reached, from) =
            (own_port.to_string(), port.to_string(), address_of_server(number).to_string());
        let mut words = vec!["--port", &own, "--bind", "127.0.0.1", "--repl-diskless-sync-delay", "0"];
        words.extend(["--enable-debug-command", "yes"]);
        if way.is_some() {
            words.extend(["--bind-source-addr", &from, "--replica-announce-ip", "127.0.0.1"]);
            words.extend(["--replica-announce-port", &reached]);
        }
        words.extend(settings.more.iter().map(String::as_str));
        let master = master.map(|port| format!("127.0.0.1 {port}"));
        master.iter().for_each(|master| words.extend(["--replicaof", master]));
        Ok(Self { server: Temporary::start(&words)?, own_port, port, way })
    }
}

fn ask<T: FromRedisValue>(port: u16, words: &[&str]) -> Result<T, SentinelError> {
    let ask = || {
        let client = Client::open(format!("redis://127.0.0.1:{port}"))?;
        let mut link = client.get_connection_with_timeout(ANSWERS_WITHIN)?;
        link.set_read_timeout(Some(ANSWERS_WITHIN))?;
        link.set_write_timeout(Some(ANSWERS_WITHIN))?;
        let mut command = redis::Cmd::new();
        words.iter().for_each(|word| _ = command.arg(*word));
        command.query(&mut link)
    };
    despite_signals(ask).map_err(|error| SentinelError::Refused { port, words: words.join(" "), error })
}

fn wait(what: &'static str, mut is_so: impl FnMut() -> bool) -> Result<(), SentinelError> {
    let begun = Instant::now();
    while !is_so() {
        if begun.elapsed() > SOON {
            return Err(SentinelError::NeverSo(what));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}
