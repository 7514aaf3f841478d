//! The servers that locks live on: 1, 3 or 5 that fail independently of one another, or the data Redis.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use thiserror::Error;

use super::background::Background;
use super::fitness::Peers;
use super::health::NodeState;
use super::node::Node;
use super::options::TTL_MAX;
use super::queue::Queues;
use super::quorum::quorum;
use crate::connection::connect::{Endpoint, EndpointError, RedisOptions, Server};
use crate::connection::failure::Failure;
use crate::connection::preflight::{Finding, Severity};
use crate::env;

/// How long one node may take to answer [`LockNodes::check`].
const CHECK_WITHIN: Duration = Duration::from_secs(3);

/// Why these servers cannot carry locks.
#[derive(Debug, Error)]
pub enum LockNodesError {
    /// Not a number of nodes that has a majority and spares some.
    #[error("{0} lock servers: give 1, 3 or 5 that fail independently of one another")]
    Count(usize),
    /// One server counts once.
    #[error("the lock server {0} is named twice")]
    Twice(String),
    /// A URL is wrong.
    #[error("lock server {number}: {error}")]
    Endpoint {
        /// Which one, from 1.
        number: usize,
        /// What is wrong with it.
        error: EndpointError,
    },
}

/// The servers that locks live on. Cheap to clone; connects when a lock is asked for.
#[derive(Debug, Clone)]
pub struct LockNodes {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    nodes: Vec<Arc<Node>>,
    /// In this order one of them is asked first where others want the same lock: for everybody the same, however they
    /// name the servers.
    order: Vec<usize>,
    peers: Arc<Peers>,
    placement: Placement,
    queues: Queues,
    background: Background,
}

/// Whether losing the data's Redis loses the locks as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// Servers of their own.
    Apart,
    /// The data Redis is the one node.
    WithData,
}

impl LockNodes {
    /// The servers at these URLs. Each URL carries its own login; `ca_file` is for those that begin `rediss://`.
    ///
    /// # Errors
    /// See [`LockNodesError`]. Nothing is connected yet.
    pub fn open(urls: &[impl AsRef<str>], ca_file: Option<&Path>) -> Result<Self, LockNodesError> {
        Self::open_with_password_file(urls, ca_file, None)
    }

    /// The same; the file holds the password of every server whose URL has none.
    ///
    /// # Errors
    /// As [`LockNodes::open`].
    pub fn open_with_password_file(
        urls: &[impl AsRef<str>],
        ca_file: Option<&Path>,
        password_file: Option<&Path>,
    ) -> Result<Self, LockNodesError> {
        if !matches!(urls.len(), 1 | 3 | 5) {
            return Err(LockNodesError::Count(urls.len()));
        }
        let mut servers: Vec<Server> = Vec::new();
        for (index, url) in urls.iter().enumerate() {
            let url = url.as_ref();
            let options = RedisOptions {
                url: Some(url.to_owned()),
                ca_file: ca_file.filter(|_| is_tls(url)).map(PathBuf::from),
                password_file: password_file.map(PathBuf::from),
                ..RedisOptions::default()
            };
            let endpoint = Endpoint::parse(&options)
                .map_err(|error| LockNodesError::Endpoint { number: index + 1, error })?;
            if servers.iter().any(|other| other.endpoint().place() == endpoint.place()) {
                return Err(LockNodesError::Twice(endpoint.to_string()));
            }
            servers.push(Server::open(for_locks(endpoint)));
        }
        Ok(Self::of(servers, Placement::Apart))
    }

    fn of(servers: Vec<Server>, placement: Placement) -> Self {
        let peers = Peers::new(servers.iter().map(|server| server.endpoint().to_string()).collect());
        let count = servers.len();
        let node = |(index, server)| Arc::new(Node::new(server, index, count, &peers));
        let nodes: Vec<_> = servers.into_iter().enumerate().map(node).collect();
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by_key(|index| nodes[*index].place());
        let (queues, background) = (Queues::default(), Background::default());
        Self { shared: Arc::new(Shared { nodes, order, peers, placement, queues, background }) }
    }

    /// The servers at these URLs; if there are none, the data Redis.
    ///
    /// # Errors
    /// As [`LockNodes::open`].
    pub fn open_or_with_data(
        urls: &[impl AsRef<str>],
        ca_file: Option<&Path>,
        data: &Server,
    ) -> Result<Self, LockNodesError> {
        if urls.is_empty() { Ok(Self::with_data(data.clone())) } else { Self::open(urls, ca_file) }
    }

    /// The data Redis as the one node: its locks are lost when it fails over, with or without its data.
    pub fn with_data(server: Server) -> Self {
        // With links of its own: locks must not keep the data's users waiting, nor the other way round.
        let server = Server::open(for_locks(server.endpoint().clone()));
        Self::of(vec![server], Placement::WithData)
    }

    /// The URLs in `TOLLGATE_LOCK_URLS`, separated by commas or white space; none if it is not set.
    pub fn urls_from_env() -> Vec<String> {
        separated(&env::text(env::TOLLGATE_LOCK_URLS).unwrap_or_default())
    }

    /// Whether they are servers of their own.
    pub fn placement(&self) -> Placement {
        self.shared.placement
    }

    /// The same servers, used although they are unfit: evicting, a replica, or one counted twice. Locks on them may
    /// have two holders.
    #[must_use]
    pub fn allow_unfit(self) -> Self {
        self.shared.peers.allow_unfit.store(true, Ordering::Relaxed);
        self
    }

    /// What is known of each server by the calls of this process so far, without asking anybody.
    pub fn states(&self) -> Vec<NodeState> {
        let state = |node: &Arc<Node>| NodeState { node: node.name.clone(), failing: node.health.state() };
        self.shared.nodes.iter().map(state).collect()
    }

    /// Asks every server, at once and whatever is known of it, whether it can be reached and is fit for locks. Whether
    /// the login has all the rights that locks need shows with the first lock.
    ///
    /// # Cancel safety
    /// Reads only.
    pub async fn check(&self) -> NodesReport {
        let check = async |node: &Arc<Node>| NodeReport {
            node: node.name.clone(),
            findings: node.check(CHECK_WITHIN).await,
        };
        NodesReport { nodes: join_all(self.shared.nodes.iter().map(check)).await }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.shared.nodes.iter()
    }

    /// Which node is asked first: of those that do not fail, as far as this process knows.
    pub(super) fn asked_first(&self) -> usize {
        let Shared { nodes, order, .. } = &*self.shared;
        let answers = |index: &&usize| !nodes[**index].health.is_failing();
        order.iter().find(answers).or(order.first()).copied().unwrap_or_default()
    }

    pub(super) fn queues(&self) -> &Queues {
        &self.shared.queues
    }

    pub(super) fn background(&self) -> &Background {
        &self.shared.background
    }
}

/// How long an answer may take is up to each call; connections must not cut it shorter.
fn for_locks(endpoint: Endpoint) -> Endpoint {
    endpoint.patient_for(TTL_MAX)
}

/// What [`LockNodes::check`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodesReport {
    /// One for each server.
    pub nodes: Vec<NodeReport>,
}

/// What one lock server answered about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeReport {
    /// The server's address, without secrets.
    pub node: String,
    /// What is not as it should be (nothing, for a good one), or why it could not be asked.
    pub findings: Result<Vec<Finding>, Failure>,
}

impl NodeReport {
    /// Whether it answers, and may be used.
    pub fn is_fit(&self) -> bool {
        let refused = |finding: &Finding| finding.severity == Severity::Refusal;
        self.findings.as_ref().is_ok_and(|findings| !findings.iter().any(refused))
    }
}

impl NodesReport {
    /// How many servers answer and may be used.
    pub fn fit(&self) -> usize {
        self.nodes.iter().filter(|node| node.is_fit()).count()
    }

    /// Whether they are enough for a lock.
    pub fn has_quorum(&self) -> bool {
        self.fit() >= quorum(self.nodes.len())
    }
}

/// `2 of 3 lock servers are fit; redis://c: not applied: unreachable: …`
impl fmt::Display for NodesReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} lock servers are fit", self.fit(), self.nodes.len())?;
        for NodeReport { node, findings } in &self.nodes {
            match findings {
                Ok(findings) => findings
                    .iter()
                    .try_for_each(|finding| write!(f, "; {node}: {}: {}", finding.code, finding.reason))?,
                Err(failure) => write!(f, "; {node}: {failure}")?,
            }
        }
        Ok(())
    }
}

fn separated(urls: &str) -> Vec<String> {
    let urls = urls.split(|c: char| c == ',' || c.is_whitespace()).filter(|url| !url.is_empty());
    urls.map(str::to_owned).collect()
}

fn is_tls(url: &str) -> bool {
    let scheme = url.split("://").next().unwrap_or_default();
    ["rediss", "valkeys"].iter().any(|tls| scheme.eq_ignore_ascii_case(tls))
}

/// For the line that a binary prints at its start.
impl fmt::Display for LockNodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.shared.nodes.iter().map(|node| node.name.as_str()).collect();
        match self.shared.placement {
            Placement::Apart => write!(f, "locks on {}", names.join(", ")),
            Placement::WithData => {
                write!(f, "locks on the data Redis {}: they fall with it", names.join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(urls: &[&str]) -> Result<LockNodes, LockNodesError> {
        LockNodes::open(urls, None)
    }

    #[test]
    fn urls_are_separated_by_commas_or_white_space() {
        assert_eq!(separated("redis://a, redis://b\nredis://c,"), ["redis://a", "redis://b", "redis://c"]);
        assert!(separated(" ,").is_empty());
        assert!(is_tls("REDISS://a") && is_tls("valkeys://a") && !is_tls("redis://rediss"));
    }

    #[tokio::test]
    async fn one_three_or_five_different_servers() {
        let urls: Vec<String> = (1..=5).map(|n| format!("redis://10.0.0.{n}")).collect();
        let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
        for count in [1, 3, 5] {
            assert_eq!(open(&urls[..count]).unwrap().iter().count(), count);
        }
        for count in [0, 2, 4] {
            assert!(matches!(open(&urls[..count]), Err(LockNodesError::Count(n)) if n == count));
        }
        let twice = open(&["redis://a", "redis://b", "redis://:pw@a:6379/3"]).unwrap_err();
        assert!(matches!(&twice, LockNodesError::Twice(node) if !node.contains("pw")), "{twice}");
        for (one, other) in [
            ("redis://localhost:7001", "redis://127.0.0.1:7001"),
            ("redis://[::1]:7001", "redis://LOCALHOST:7001/2"),
            ("redis://u1:p@h:7001", "redis://u2:p@h:7001"),
            ("redis://h:7001", "redis://H:7001"),
            ("unix:///run/a.sock", "unix:///run/a.sock?db=3"),
        ] {
            let twice = open(&[one, "redis://b", other]).unwrap_err();
            assert!(matches!(twice, LockNodesError::Twice(_)), "{one} and {other}: {twice}");
        }
        open(&["redis://localhost:7001", "redis://127.0.0.1:7002", "redis://localhost:7003"]).unwrap();
        let wrong = open(&["redis://a", "redis://b", "http://c"]).unwrap_err();
        assert!(matches!(wrong, LockNodesError::Endpoint { number: 3, .. }), "{wrong}");
    }

    #[tokio::test]
    async fn one_file_holds_the_password_of_those_whose_url_has_none() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("password");
        let open = |urls: &[&str]| LockNodes::open_with_password_file(urls, None, Some(&file));
        let missing = open(&["redis://a"]).unwrap_err();
        assert!(missing.to_string().contains("password file"), "{missing}");
        assert!(open(&["redis://:own@a"]).is_ok(), "its own password needs no file");
        std::fs::write(&file, "secret\n").unwrap();
        assert_eq!(open(&["redis://a", "redis://:own@b", "redis://c"]).unwrap().iter().count(), 3);
    }
}
