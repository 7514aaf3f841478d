//! The Redis that a program uses: one server, or the nodes of a cluster.
//!
//! Relies on [`Node`] for connections and on [`Cluster`] for who has which slot. Must not open a connection itself.

use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;

use super::cluster::{Cluster, Redirected};
use super::endpoint::Endpoint;
use super::error::EndpointError;
use super::inspection::{Found, Inspection, Safety};
use super::node::Node;
use crate::connection::failure::Failure;
use crate::protocol::slot::Slot;

/// A Redis one can speak to. Cheap to clone; connects when a link is asked for.
#[derive(Clone)]
pub struct Server {
    inner: Arc<Inner>,
    #[cfg(feature = "explore")]
    gate: Option<Arc<dyn crate::connection::gate::Gate>>,
}

struct Inner {
    place: Place,
    inspection: Arc<Inspection>,
}

/// Where the keys are.
pub(crate) enum Place {
    /// All of them on one server.
    One(Node),
    /// On several, by their slots.
    Cluster(Box<Cluster>),
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Server").field(&self.endpoint().to_string()).finish()
    }
}

impl Server {
    /// The server at this endpoint, or the cluster to which it leads. Does not connect yet.
    pub fn open(endpoint: Endpoint) -> Self {
        let inspection = Arc::new(Inspection::new(endpoint.sentinels().is_some()));
        let place = match endpoint.nodes() {
            None => Place::One(Node::new(endpoint, inspection.clone(), None)),
            Some(_) => Place::Cluster(Box::new(Cluster::new(endpoint, inspection.clone()))),
        };
        Self::at(place, inspection)
    }

    fn at(place: Place, inspection: Arc<Inspection>) -> Self {
        Self {
            inner: Arc::new(Inner { place, inspection }),
            #[cfg(feature = "explore")]
            gate: None,
        }
    }

    /// The same server behind a gate: no connection is opened, and every call waits there.
    #[cfg(feature = "explore")]
    pub fn gated(&self, gate: Arc<dyn crate::connection::gate::Gate>) -> Self {
        Self { inner: self.inner.clone(), gate: Some(gate) }
    }

    #[cfg(feature = "explore")]
    pub(crate) fn gate(&self) -> Option<Arc<dyn crate::connection::gate::Gate>> {
        self.gate.clone()
    }

    pub(crate) fn place(&self) -> &Place {
        &self.inner.place
    }

    /// The endpoint this server is at.
    pub fn endpoint(&self) -> Endpoint {
        match self.place() {
            Place::One(node) => node.endpoint(),
            Place::Cluster(cluster) => cluster.endpoint(),
        }
    }

    /// Reads the password and the authorities again from their files, for the connections that are opened from now on;
    /// answers whether they have changed. Also done by itself when a connection is refused.
    ///
    /// # Errors
    /// A file cannot be read, or holds no such thing: what was read before stays in use.
    pub fn reload(&self) -> Result<bool, EndpointError> {
        match self.place() {
            Place::One(node) => node.reload(),
            Place::Cluster(cluster) => cluster.reload(),
        }
    }

    /// From now on asks on each new connection, and once a minute, whether the server may lose or evict what it holds.
    ///
    /// [`Tollgate::open`](crate::Tollgate::open) does this with [`Safety::Refuse`] where it was not done before.
    pub fn inspect(&self, safety: Safety) {
        self.inner.inspection.begin(safety);
    }

    /// The same with [`Safety::Refuse`], if nobody has said otherwise.
    pub(crate) fn inspect_by_default(&self) {
        self.inner.inspection.begin_by_default();
    }

    /// What the server was last found to be; `None` until it was asked. Changes when what is found does. Of a cluster,
    /// what is found of all its nodes, each finding under the name of its node.
    pub fn found(&self) -> watch::Receiver<Option<Arc<Found>>> {
        self.inner.inspection.found()
    }

    /// Where it is a cluster: how often calls were led to another node, or had to wait, since this value was opened.
    pub fn redirected(&self) -> Option<Redirected> {
        match self.place() {
            Place::One(_) => None,
            Place::Cluster(cluster) => Some(cluster.redirected_so_far()),
        }
    }

    /// The name of the node of a cluster that has a key, as far as is known; `None` for a server by itself. For whoever
    /// asks several nodes at a time.
    pub fn node_of(&self, key: &str) -> Option<Arc<str>> {
        match self.place() {
            Place::One(_) => None,
            Place::Cluster(cluster) => cluster.name_of_owner(Slot::of_key(key.as_bytes())),
        }
    }

    /// The servers that hold keys, each by itself: this one, or the masters of a cluster. For what goes over all keys.
    ///
    /// # Errors
    /// Always [`Failure::NotApplied`]: no node of the cluster says which there are.
    pub async fn masters(&self) -> Result<Vec<Self>, Failure> {
        match self.place() {
            Place::One(_) => Ok(vec![self.clone()]),
            Place::Cluster(cluster) => {
                let alone = |node: Node| Self::at(Place::One(node.clone()), node.inspection_of_its_own());
                Ok(cluster.nodes().await?.into_iter().map(alone).collect())
            }
        }
    }
}
