//! The servers that locks live on: 1, 3 or 5 that fail independently of one another, or the data Redis.
//!
//! Relies on [`Server`] for connections. Keeps a few links of its own per node, which the pool would ask `PING`
//! before each use: a lock's calls may be made twice, so they can do without.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use thiserror::Error;

use crate::connect::{Endpoint, EndpointError, RedisOptions, Server};
use crate::env;
use crate::failure::Failure;
use crate::link::Link;

/// How long a late answer of a lock node is waited for in the background, to give a late grant back.
const LATE_ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// Idle links kept per node, as many locks as one process usually takes at the same moment; the pool of the
/// server is far larger, in case it is the data's.
const LINKS_IDLE_MAX: usize = 8;

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
    nodes: Arc<[Arc<Node>]>,
    placement: Placement,
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
        let mut nodes: Vec<Arc<Node>> = Vec::new();
        for (index, url) in urls.iter().enumerate() {
            let url = url.as_ref();
            let options = RedisOptions {
                url: Some(url.to_owned()),
                ca_file: ca_file.filter(|_| is_tls(url)).map(PathBuf::from),
                password_file: password_file.map(PathBuf::from),
                response_timeout: Some(LATE_ANSWER_WITHIN),
                ..RedisOptions::default()
            };
            let endpoint = Endpoint::parse(&options)
                .map_err(|error| LockNodesError::Endpoint { number: index + 1, error })?;
            let node = Node::new(Server::open(endpoint));
            if nodes.iter().any(|other| other.host() == node.host()) {
                return Err(LockNodesError::Twice(node.name));
            }
            nodes.push(Arc::new(node));
        }
        Ok(Self { nodes: nodes.into(), placement: Placement::Apart })
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
        Self { nodes: [Arc::new(Node::new(server))].into(), placement: Placement::WithData }
    }

    /// The URLs in `TOLLGATE_LOCK_URLS`, separated by commas or white space; none if it is not set.
    pub fn urls_from_env() -> Vec<String> {
        separated(&std::env::var(env::TOLLGATE_LOCK_URLS).unwrap_or_default())
    }

    /// Whether they are servers of their own.
    pub fn placement(&self) -> Placement {
        self.placement
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.nodes.iter()
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
        let names: Vec<&str> = self.nodes.iter().map(|node| node.name.as_str()).collect();
        match self.placement {
            Placement::Apart => write!(f, "locks on {}", names.join(", ")),
            Placement::WithData => {
                write!(f, "locks on the data Redis {}: they fall with it", names.join(", "))
            }
        }
    }
}

/// One server.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) name: String,
    server: Server,
    idle: Mutex<Vec<Link>>,
}

impl Node {
    fn new(server: Server) -> Self {
        Self { name: server.endpoint().to_string(), server, idle: Mutex::default() }
    }

    /// The address without the database: two databases of one server fail together.
    fn host(&self) -> &str {
        let name = self.name.split('?').next().unwrap_or_default();
        if name.starts_with("unix:") { name } else { name.rsplit_once('/').map_or(name, |(host, _)| host) }
    }

    pub(super) async fn link(&self) -> Result<Link, Failure> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle {
            Some(link) => Ok(link),
            None => self.server.link().await,
        }
    }

    /// Keeps a link whose last call was answered.
    pub(super) fn put_back(&self, link: Link) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < LINKS_IDLE_MAX {
            idle.push(link);
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
            assert_eq!(open(&urls[..count]).unwrap().nodes.len(), count);
        }
        for count in [0, 2, 4] {
            assert!(matches!(open(&urls[..count]), Err(LockNodesError::Count(n)) if n == count));
        }
        let twice = open(&["redis://a", "redis://b", "redis://:pw@a:6379/3"]).unwrap_err();
        assert!(matches!(&twice, LockNodesError::Twice(node) if !node.contains("pw")), "{twice}");
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
        assert_eq!(open(&["redis://a", "redis://:own@b", "redis://c"]).unwrap().nodes.len(), 3);
    }
}
