//! A Redis Cluster on this machine: masters and their replicas, each a server of its own on a port of loopback with a
//! directory of its own, ended with this value also when the process is killed (see [`Temporary`]).
//!
//! A node is named by its number: first the masters as they were at the start, in the order of their slots, then
//! their replicas. What it is now is asked of the nodes themselves. Breaking it is in `faults.rs`, moving slots in
//! `slots.rs`.
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use redis::{Client, Connection, FromRedisValue, RedisError};
use tollgate::embedded::{EmbeddedError, Temporary, despite_signals};

use crate::relay::{Relay, address_of_server};
use crate::servers::free_port;
use crate::wait::SOON;

pub mod faults;
mod slots;

/// How many slots a cluster has.
pub const SLOTS: u16 = 16_384;
/// A node of this machine that takes longer does not answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);
/// A port may be somebody else's by the time its server starts.
const STARTS_MAX: usize = 5;

/// How a cluster is made.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How many nodes have slots, the same number of slots each.
    pub masters: usize,
    /// How many replicas each of them has.
    pub replicas: usize,
    /// `cluster-require-full-coverage`: whether one slot without a node stops all the others.
    pub full_coverage: bool,
    /// After how many milliseconds a silent node is suspected.
    pub node_timeout_ms: u32,
    /// Whether nodes can be cut off from one another ([`Cluster::cut_off`]). Then a runtime is needed, which carries
    /// everything that they and their clients say.
    pub can_be_cut_off: bool,
    /// Further settings of every node, as on the command line.
    pub more: Vec<String>,
    /// The certificates, as on the command line: with them every node speaks TLS, with everybody, and nothing else.
    pub tls: Option<Vec<String>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            masters: 3,
            replicas: 1,
            full_coverage: false,
            node_timeout_ms: 1000,
            can_be_cut_off: false,
            more: Vec::new(),
            tls: None,
        }
    }
}

/// Why there is no cluster.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// A node does not start.
    #[error("node {number} does not start: {error}")]
    Start {
        /// Which.
        number: usize,
        /// What its start says.
        error: EmbeddedError,
    },
    /// There is no way by which a node could be cut off.
    #[error("node {number}: no way to it: {error}")]
    Way {
        /// Which.
        number: usize,
        /// The system's.
        error: io::Error,
    },
    /// A node refuses what it is told, or does not answer.
    #[error("node {number} answers {words:?} with: {error}")]
    Refused {
        /// Which.
        number: usize,
        /// What it was told.
        words: String,
        /// What it says.
        error: RedisError,
    },
    /// A state does not come about.
    #[error("waited {SOON:?} for {0}")]
    NeverSo(String),
}

/// Nodes that know each other.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Node>,
    is_tls: bool,
}

#[derive(Debug)]
struct Node {
    server: Temporary,
    /// Where it is reached: by clients, and by the other nodes.
    port: u16,
    bus: u16,
    /// The ways from these ports to its own, if it can be cut off.
    ways: Option<[Relay; 2]>,
    id: String,
    is_stopped: bool,
}

/// What a node says of itself.
#[derive(Debug, Clone)]
struct Itself {
    is_master: bool,
    /// The node it follows.
    master: String,
    epoch: u64,
    slots: Vec<(u16, u16)>,
}

impl Cluster {
    /// Three masters, each with a replica.
    ///
    /// # Panics
    /// If it does not come about.
    pub fn start() -> Self {
        Self::of(&Settings::default())
    }

    /// The same as it is wanted.
    ///
    /// # Panics
    /// As [`Cluster::start`].
    pub fn of(settings: &Settings) -> Self {
        Self::try_start(settings).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Starts the nodes, gives the masters their slots, and waits until every node finds all of it well.
    ///
    /// # Errors
    /// See [`ClusterError`].
    pub fn try_start(settings: &Settings) -> Result<Self, ClusterError> {
        let count = settings.masters * (1 + settings.replicas);
        let nodes = (0..count).map(|number| Node::start(number, settings)).collect::<Result<_, _>>()?;
        let mut cluster = Self { nodes, is_tls: settings.tls.is_some() };
        for number in 0..count {
            cluster.nodes[number].id = cluster.tell(number, &["CLUSTER", "MYID"])?;
            // Two nodes of one epoch would have to settle first who is the later one.
            cluster.tell::<()>(number, &["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()])?;
            for other in &cluster.nodes[..number] {
                let (port, bus) = (other.port.to_string(), other.bus.to_string());
                cluster.tell::<()>(number, &["CLUSTER", "MEET", "127.0.0.1", &port, &bus])?;
            }
        }
        for (number, (first, last)) in shares(settings.masters).into_iter().enumerate() {
            let words = ["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()];
            cluster.tell::<()>(number, &words)?;
        }
        cluster.wait("every node to know the others", |cluster| {
            let known = format!("cluster_known_nodes:{count}\r");
            cluster.all_say(&["CLUSTER", "INFO"], &[&known])
        })?;
        for number in settings.masters..count {
            let master = cluster.nodes[number % settings.masters].id.clone();
            cluster.wait("a node to know its master", |cluster| {
                // A node that is only just met is not known as a master yet.
                Ok(cluster.tell::<()>(number, &["CLUSTER", "REPLICATE", &master]).is_ok())
            })?;
        }
        cluster.wait("all slots to be served, and every replica to have its master's data", |cluster| {
            let replicas: Vec<_> = (settings.masters..count).collect();
            Ok(cluster.all_say(&["CLUSTER", "INFO"], &["cluster_state:ok\r"])?
                && cluster.some_say(&replicas, &["INFO", "replication"], &["master_link_status:up\r"])?
                // Whoever is asked for the nodes, also by a client, answers with the replicas among them.
                && cluster.all_know(&replicas)?)
        })?;
        Ok(cluster)
    }

    /// Its address: every node that was there at the start.
    pub fn url(&self) -> String {
        let hosts: Vec<String> = self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
        let scheme = if self.is_tls { "rediss" } else { "redis" };
        format!("{scheme}+cluster://{}", hosts.join(","))
    }

    /// How many nodes there are, those that were killed included.
    pub fn count(&self) -> usize {
        self.nodes.len()
    }

    /// The port of a node.
    pub fn port(&self, node: usize) -> u16 {
        self.nodes[node].port
    }

    /// The address of one node, as of a server of its own.
    pub fn node_url(&self, node: usize) -> String {
        format!("redis://127.0.0.1:{}", self.nodes[node].port)
    }

    /// The process of a node, if it was not killed.
    pub fn pid(&self, node: usize) -> Option<u32> {
        self.nodes[node].server.pid()
    }

    /// Where a node writes.
    pub fn data(&self, node: usize) -> PathBuf {
        self.nodes[node].server.dir().join("data")
    }

    /// The directory of a node.
    pub fn dir(&self, node: usize) -> &Path {
        self.nodes[node].server.dir()
    }

    /// The name by which the cluster knows a node.
    pub fn id(&self, node: usize) -> &str {
        &self.nodes[node].id
    }

    /// What a node answers. A signal to this process may have it asked twice.
    ///
    /// # Errors
    /// It refuses, or does not answer within five seconds.
    pub fn tell<T: FromRedisValue>(&self, node: usize, words: &[&str]) -> Result<T, ClusterError> {
        let ask = || {
            let mut command = redis::Cmd::new();
            words.iter().for_each(|word| _ = command.arg(*word));
            command.query(&mut self.nodes[node].link()?)
        };
        despite_signals(ask).map_err(|error| ClusterError::Refused {
            number: node,
            words: words.join(" "),
            error,
        })
    }

    /// CONFIG SET of a node.
    ///
    /// # Errors
    /// If it refuses.
    pub fn set(&self, node: usize, settings: &[(&str, &str)]) -> Result<(), ClusterError> {
        let pairs = settings.iter().flat_map(|(name, value)| [*name, *value]);
        let words: Vec<&str> = ["CONFIG", "SET"].into_iter().chain(pairs).collect();
        self.tell(node, &words)
    }

    fn of_id(&self, id: &str) -> Option<usize> {
        self.nodes.iter().position(|node| node.id == id)
    }

    /// The nodes that run.
    fn running(&self) -> impl Iterator<Item = usize> {
        (0..self.count()).filter(|node| self.nodes[*node].answers())
    }

    /// What each running node says of itself; one that is just starting says nothing.
    fn themselves(&self) -> Vec<(usize, Itself)> {
        let say = |node| Itself::read(&self.tell::<String>(node, &["CLUSTER", "NODES"]).ok()?);
        self.running().filter_map(|node| Some((node, say(node)?))).collect()
    }

    fn all_say(&self, words: &[&str], expected: &[&str]) -> Result<bool, ClusterError> {
        self.some_say(&self.running().collect::<Vec<_>>(), words, expected)
    }

    fn some_say(&self, nodes: &[usize], words: &[&str], expected: &[&str]) -> Result<bool, ClusterError> {
        for node in nodes {
            let said: String = self.tell(*node, words)?;
            if !expected.iter().all(|expected| said.contains(expected)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether every running node knows these as replicas.
    fn all_know(&self, replicas: &[usize]) -> Result<bool, ClusterError> {
        for node in self.running() {
            let said: String = self.tell(node, &["CLUSTER", "NODES"])?;
            let known = |id: &str| said.lines().any(|line| line.starts_with(id) && line.contains("slave"));
            if !replicas.iter().all(|replica| known(&self.nodes[*replica].id)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn wait(
        &self,
        what: &str,
        mut is_so: impl FnMut(&Self) -> Result<bool, ClusterError>,
    ) -> Result<(), ClusterError> {
        let begun = Instant::now();
        while !is_so(self)? {
            if begun.elapsed() > SOON {
                return Err(ClusterError::NeverSo(what.to_owned()));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Node {
    fn start(number: usize, settings: &Settings) -> Result<Self, ClusterError> {
        let (coverage, timeout) =
            (if settings.full_coverage { "yes" } else { "no" }, settings.node_timeout_ms.to_string());
        let mut tried = 1;
        loop {
            let (port, bus) = (free_port(), free_port());
            let ports = (port.to_string(), bus.to_string());
            // The private server's own settings are the rest: an append-only file, no eviction.
            let mut words = vec!["--cluster-port", &ports.1, "--bind", "127.0.0.1"];
            match &settings.tls {
                None => words.extend(["--port", &ports.0]),
                Some(certificates) => {
                    words.extend(["--port", "0", "--tls-port", &ports.0]);
                    words.extend(["--tls-cluster", "yes", "--tls-replication", "yes"]);
                    words.extend(certificates.iter().map(String::as_str));
                }
            }
            words.extend(["--enable-debug-command", "yes", "--repl-diskless-sync-delay", "0"]);
            words.extend(["--cluster-enabled", "yes", "--cluster-require-full-coverage", coverage]);
            words.extend(["--cluster-node-timeout", &timeout]);
            let ways = settings.can_be_cut_off.then(|| Ok([Relay::listen(port)?, Relay::listen(bus)?]));
            let ways = ways.transpose().map_err(|error| ClusterError::Way { number, error })?;
            let reached = ways.as_ref().map_or((port, bus), |[port, bus]| (port.port(), bus.port()));
            let announced =
                (reached.0.to_string(), reached.1.to_string(), address_of_server(number).to_string());
            if ways.is_some() {
                words.extend(["--cluster-announce-ip", "127.0.0.1", "--bind-source-addr", &announced.2]);
                words.extend(["--cluster-announce-port", &announced.0]);
                words.extend(["--cluster-announce-bus-port", &announced.1]);
            }
            words.extend(settings.more.iter().map(String::as_str));
            match Temporary::start(&words) {
                Ok(server) => {
                    let (port, bus) = reached;
                    return Ok(Self { server, port, bus, ways, id: String::new(), is_stopped: false });
                }
                Err(EmbeddedError::Died { .. }) if tried < STARTS_MAX => tried += 1,
                Err(error) => return Err(ClusterError::Start { number, error }),
            }
        }
    }

    fn answers(&self) -> bool {
        self.server.pid().is_some() && !self.is_stopped
    }

    /// By its socket, which no proxy and no rule of a firewall stands before.
    fn link(&self) -> Result<Connection, RedisError> {
        let link = Client::open(self.server.url())?.get_connection_with_timeout(ANSWERS_WITHIN)?;
        link.set_read_timeout(Some(ANSWERS_WITHIN))?;
        link.set_write_timeout(Some(ANSWERS_WITHIN))?;
        Ok(link)
    }
}

impl Itself {
    /// Reads CLUSTER NODES: `id host flags master ping pong epoch state slot-slot slot [moving]`.
    fn read(nodes: &str) -> Option<Self> {
        let line = nodes.lines().find(|line| line.contains("myself"))?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let slots = words.get(8..).unwrap_or_default().iter().filter(|word| !word.starts_with('['));
        let range = |word: &&str| {
            let (first, last) = word.split_once('-').unwrap_or((word, word));
            Some((first.parse().ok()?, last.parse().ok()?))
        };
        Some(Self {
            is_master: words.get(2)?.contains("master"),
            master: (*words.get(3)?).to_owned(),
            epoch: words.get(6)?.parse().ok()?,
            slots: slots.filter_map(range).collect(),
        })
    }

    fn has(&self, slot: u16) -> bool {
        self.is_master && self.slots.iter().any(|(first, last)| (*first..=*last).contains(&slot))
    }
}

/// The first and the last slot of each.
fn shares(masters: usize) -> Vec<(u16, u16)> {
    let begin = |number: usize| (number * usize::from(SLOTS) / masters) as u16;
    (0..masters).map(|number| (begin(number), begin(number + 1) - 1)).collect()
}
