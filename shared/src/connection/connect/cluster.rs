//! Redis Cluster: which node has which slot, and who knows.
//!
//! Each node is a [`Node`] of its own, with its own connections and its own inspection. Who is called is looked up in a
//! map of the slots; what a node says about a call (MOVED) changes it, and after anything else that may mean another
//! master it is read again. Must not send a call again: who may is the [`Link`](crate::connection::link::Link), which
//! knows what became of it.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::time::Instant;

use super::endpoint::Endpoint;
use super::error::EndpointError;
use super::inspection::Inspection;
use super::node::Node;
use super::topology::{self, Topology, is_named};
use super::url::{self, Address};
use crate::connection::failure::{Failure, Refusal};
use crate::protocol::slot::{SLOTS, Slot};

/// The map is read again no more often than this.
const READ_EVERY: Duration = Duration::from_millis(250);

/// How often calls were led elsewhere, since the process began.
#[derive(Debug, Default)]
pub(crate) struct Redirects {
    moved: AtomicU64,
    asked: AtomicU64,
    waited: AtomicU64,
    read: AtomicU64,
}

/// How often calls to a cluster were led elsewhere.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Redirected {
    /// Another node had the slot (MOVED).
    pub moved: u64,
    /// A key of a slot that is being moved was there already (ASK).
    pub asked: u64,
    /// Only some of the keys of a call had been moved (TRYAGAIN).
    pub waited: u64,
    /// The map of the slots was read.
    pub read: u64,
}

/// The nodes of a cluster, and which slots each has.
pub(crate) struct Cluster {
    endpoint: RwLock<Endpoint>,
    inspection: Arc<Inspection>,
    map: RwLock<Map>,
    /// Who reads the map, and when it was last read.
    reading: tokio::sync::Mutex<Option<Instant>>,
    /// A node did not answer since the map was read.
    is_suspect: AtomicBool,
    redirects: Redirects,
}

#[derive(Default)]
struct Map {
    /// Grows with each change, so that of several who find it wrong one reads it again.
    version: u64,
    nodes: HashMap<Address, Node>,
    /// By slot; empty before it was read.
    owners: Vec<Option<Address>>,
    /// Whoever may know more, replicas included.
    known: BTreeSet<Address>,
}

impl Cluster {
    pub(super) fn new(endpoint: Endpoint, inspection: Arc<Inspection>) -> Self {
        Self {
            endpoint: RwLock::new(endpoint),
            inspection,
            map: RwLock::default(),
            reading: tokio::sync::Mutex::default(),
            is_suspect: AtomicBool::new(false),
            redirects: Redirects::default(),
        }
    }

    /// As [`Server::reload`](super::Server::reload).
    pub(super) fn reload(&self) -> Result<bool, EndpointError> {
        let Some(endpoint) = self.endpoint().reread()? else { return Ok(false) };
        *self.endpoint.write().unwrap_or_else(PoisonError::into_inner) = endpoint;
        let nodes: Vec<Node> = self.read().nodes.values().cloned().collect();
        nodes.iter().try_for_each(|node| node.reload().map(drop))?;
        Ok(true)
    }

    /// How it is reached, by the nodes that were named.
    pub(super) fn endpoint(&self) -> Endpoint {
        self.endpoint.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The node that has a slot, or for what has no key any that is there.
    ///
    /// # Errors
    /// Always [`Failure::NotApplied`]: nobody has it, or nobody says who.
    pub(crate) async fn node(&self, slot: Option<Slot>) -> Result<Node, Failure> {
        if self.is_suspect.swap(false, Ordering::AcqRel) {
            // Who cannot say so now changes nothing: the one that is known is asked.
            let _ = self.read_again(self.version()).await;
        }
        for attempt in 0..2 {
            {
                let map = self.read();
                let owner = match slot {
                    Some(slot) => map.owners.get(slot.index()).and_then(Option::as_ref),
                    None => {
                        let there = map.nodes.iter().filter(|(_, node)| node.away().is_none());
                        there.map(|(at, _)| at).min().or_else(|| map.nodes.keys().min())
                    }
                };
                if let Some(node) = owner.and_then(|at| map.nodes.get(at)) {
                    return Ok(node.clone());
                }
            }
            if attempt == 0 {
                self.read_again(self.version()).await?;
            }
        }
        let what = slot.map_or("no node is known".to_owned(), |slot| format!("no node has slot {slot}"));
        Err(Failure::not_applied(Refusal::ClusterDown, what).of_node(&"".into()))
    }

    /// The name of the node that has a slot, as the map has it; asks nobody.
    pub(super) fn name_of_owner(&self, slot: Slot) -> Option<Arc<str>> {
        let map = self.read();
        let owner = map.owners.get(slot.index())?.as_ref()?;
        map.nodes.get(owner)?.name().cloned()
    }

    /// All masters, in the order of their addresses.
    ///
    /// # Errors
    /// As [`Cluster::node`].
    pub(crate) async fn nodes(&self) -> Result<Vec<Node>, Failure> {
        if self.read().nodes.is_empty() {
            self.read_again(self.version()).await?;
        }
        let map = self.read();
        let mut nodes: Vec<_> = map.nodes.iter().map(|(at, node)| (at.clone(), node.clone())).collect();
        nodes.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(nodes.into_iter().map(|(_, node)| node).collect())
    }

    /// The version of the map, for [`Cluster::read_again`].
    pub(crate) fn version(&self) -> u64 {
        self.read().version
    }

    /// Takes note that another node has a slot, and answers it. `said` is what follows MOVED or ASK: slot and address; a
    /// missing host is that of who says so.
    ///
    /// # Errors
    /// What was said cannot be read.
    pub(crate) fn redirected(&self, from: &Node, said: &str, is_for_good: bool) -> Result<Node, Failure> {
        let odd = || Failure::unknown(format!("a redirect that cannot be read: {said:?}"));
        let (slot, place) = said.split_once(' ').ok_or_else(odd)?;
        let slot = slot.parse().ok().and_then(Slot::new).ok_or_else(odd)?;
        let (host, port) = place.trim().rsplit_once(':').ok_or_else(odd)?;
        let port = port.parse().map_err(|_| odd())?;
        let own = from.name().and_then(|name| name.rsplit_once(':')).map_or("", |(host, _)| host);
        let host = if is_named(host) { host } else { own };
        let at = (host.trim_matches(['[', ']']).to_owned(), port);
        let counted = if is_for_good { &self.redirects.moved } else { &self.redirects.asked };
        counted.fetch_add(1, Ordering::Relaxed);
        let mut map = self.map.write().unwrap_or_else(PoisonError::into_inner);
        let node = self.node_at(&mut map, &at);
        if is_for_good && map.owners.get(slot.index()).is_some_and(|owner| owner.as_ref() != Some(&at)) {
            let to = url::host_and_port(&at);
            tracing::info!(slot = slot.number(), to, "a slot has moved to another node");
            map.owners[slot.index()] = Some(at);
            map.version += 1;
        }
        Ok(node)
    }

    /// Reads the map again, if it is still of this version and was not read just now; answers whether it is another one.
    ///
    /// # Errors
    /// Always [`Failure::NotApplied`]: no node says so in time.
    ///
    /// # Cancel safety
    /// Reads only.
    pub(crate) async fn read_again(&self, version: u64) -> Result<bool, Failure> {
        let mut read_at = self.reading.lock().await;
        if self.version() != version {
            return Ok(true);
        }
        if read_at.is_some_and(|at| at.elapsed() < READ_EVERY) && !self.read().owners.is_empty() {
            return Ok(false);
        }
        let answer = self.latest().await;
        *read_at = Some(Instant::now());
        self.redirects.read.fetch_add(1, Ordering::Relaxed);
        Ok(self.take_over(&answer?))
    }

    /// Takes note that a node did not answer: before the next call it is asked who has its slots.
    pub(crate) fn suspect(&self) {
        self.is_suspect.store(true, Ordering::Release);
    }

    /// Takes note that a call has to be made again when more of its keys have moved.
    pub(crate) fn waited(&self) {
        self.redirects.waited.fetch_add(1, Ordering::Relaxed);
    }

    /// What was counted.
    pub(crate) fn redirected_so_far(&self) -> Redirected {
        let Redirects { moved, asked, waited, read } = &self.redirects;
        let [moved, asked, waited, read] =
            [moved, asked, waited, read].map(|counter| counter.load(Ordering::Relaxed));
        Redirected { moved, asked, waited, read }
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Map> {
        self.map.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn node_at(&self, map: &mut Map, at: &Address) -> Node {
        if let Some(node) = map.nodes.get(at) {
            return node.clone();
        }
        let endpoint = self.endpoint().node_at(at.clone());
        let name: Arc<str> = url::host_and_port(at).into();
        let inspection = Inspection::of_node(self.inspection.clone(), name.clone());
        let node = Node::new(endpoint, Arc::new(inspection), Some(name));
        map.nodes.insert(at.clone(), node.clone());
        map.known.insert(at.clone());
        node
    }

    fn take_over(&self, answer: &Topology) -> bool {
        let mut owners: Vec<Option<Address>> = vec![None; usize::from(SLOTS)];
        let mut known = BTreeSet::new();
        for (first, last, master, others) in &answer.ranges {
            known.extend(others.iter().cloned());
            known.insert(master.clone());
            owners[usize::from(*first)..=usize::from(*last)].fill(Some(master.clone()));
        }
        let mut map = self.map.write().unwrap_or_else(PoisonError::into_inner);
        let masters: BTreeSet<&Address> = owners.iter().flatten().collect();
        masters.iter().for_each(|at| _ = self.node_at(&mut map, at));
        map.nodes.retain(|at, node| {
            let stays = masters.contains(at);
            if let Some(name) = node.name().filter(|_| !stays) {
                self.inspection.forget(name);
            }
            stays
        });
        let differs = map.owners != owners;
        map.owners = owners;
        map.known = known;
        map.version += u64::from(differs);
        differs
    }

    async fn latest(&self) -> Result<Topology, Failure> {
        let endpoint = self.endpoint();
        let named = endpoint.nodes().unwrap_or_default();
        let known: BTreeSet<Address> = self.read().known.iter().chain(named.iter()).cloned().collect();
        topology::latest(&endpoint, known).await
    }
}
