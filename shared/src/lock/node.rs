//! One lock server: the links to it, how many calls may use them, and what is known of its health.
//!
//! Relies on [`Server`] for connections. Keeps a few links of its own, which the pool would ask `PING` before each
//! use: a lock's calls may be made twice, so they can do without. When a link turns out broken, all idle ones are
//! suspects and go, so that the second try of a call is always on a fresh connection.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::call::Call;
use super::fitness::{Fitness, Peers};
use super::give_back::GiveBack;
use super::health::Health;
use super::quorum::{Vote, quorum};
use crate::connection::connect::Server;
use crate::connection::failure::{Failure, Refusal};
use crate::connection::link::Link;
use crate::connection::preflight::Finding;

/// Idle links kept, as many locks as one process usually takes at the same moment; the pool of the server has more.
const LINKS_IDLE_MAX: usize = 8;
/// Calls at the same moment: below the connections of a server's pool, which also serve the checks.
const CALLS_MAX: usize = 56;
/// Of these, calls that take a lock: a herd of new locks must not keep those that are held from being extended.
const TAKES_MAX: usize = 40;
/// How long a call waits for its turn on the links of this process.
const OWN_LINK_WITHIN: Duration = Duration::from_secs(5);
/// How long connecting may take for a server that is not known to fail.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// One lock server.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) name: String,
    server: Server,
    idle: Mutex<Idle>,
    calls: Arc<Semaphore>,
    takes: Arc<Semaphore>,
    pub(super) health: Health,
    fitness: Fitness,
    /// What has still to be given back here.
    pub(super) give_back: Arc<GiveBack>,
    /// What its failure means for locks, for the log.
    others: String,
}

#[derive(Debug, Default)]
struct Idle {
    links: Vec<Link>,
    /// Of the links since the last one that broke.
    generation: u64,
}

/// A link for one call.
#[derive(Debug)]
pub(super) struct NodeLink {
    pub(super) link: Link,
    generation: u64,
}

/// The right to use a link.
#[derive(Debug)]
pub(super) struct Permit {
    _call: OwnedSemaphorePermit,
    _take: Option<OwnedSemaphorePermit>,
}

impl Node {
    pub(super) fn new(server: Server, index: usize, nodes: usize, peers: &Arc<Peers>) -> Self {
        let others = match nodes {
            1 => "no lock can be taken or extended meanwhile".to_owned(),
            nodes => format!("locks go on while {} of {nodes} servers answer", quorum(nodes)),
        };
        Self {
            name: server.endpoint().to_string(),
            server,
            idle: Mutex::default(),
            calls: Arc::new(Semaphore::new(CALLS_MAX)),
            takes: Arc::new(Semaphore::new(TAKES_MAX)),
            health: Health::default(),
            fitness: Fitness::new(index, Arc::clone(peers)),
            give_back: Arc::default(),
            others,
        }
    }

    /// The right to make a call, in the order of asking. Nothing is sent yet.
    ///
    /// # Errors
    /// [`Refusal::NoLink`]: all links are in use by other calls of this process, which is no fault of the server;
    /// [`Refusal::Unreachable`]: they are, because the server does not answer.
    pub(super) async fn permit(&self, call: Call, node_timeout: Duration) -> Result<Permit, Failure> {
        let failing = self.health.is_failing();
        let within = if failing { node_timeout } else { OWN_LINK_WITHIN };
        let permit = async {
            let take = match call {
                Call::Take | Call::TakeInLine => Some(Arc::clone(&self.takes).acquire_owned().await.ok()?),
                Call::Extend | Call::Release => None,
            };
            Some(Permit { _call: Arc::clone(&self.calls).acquire_owned().await.ok()?, _take: take })
        };
        match timeout(within, permit).await {
            Ok(Some(permit)) => Ok(permit),
            _ if failing => Err(Failure::not_applied(
                Refusal::Unreachable,
                "it does not answer, and other calls wait for it",
            )),
            _ => Err(Failure::not_applied(
                Refusal::NoLink,
                format!("all links of this process are in use, {CALLS_MAX} at most"),
            )),
        }
    }

    /// How long to wait for the answer to a call that is sent now: connecting, where that is needed, comes on top
    /// unless the server is known to fail.
    pub(super) fn answer_within(&self, node_timeout: Duration) -> Duration {
        let connected = !self.idle().links.is_empty();
        if connected || self.health.is_failing() { node_timeout } else { node_timeout + CONNECT_WITHIN }
    }

    /// A link to a server that is fit: an idle one, if `idle` allows it.
    ///
    /// # Errors
    /// Always [`Failure::NotApplied`]: nothing was sent yet.
    pub(super) async fn link(&self, idle: bool) -> Result<NodeLink, Failure> {
        let (known, generation) = {
            let mut all = self.idle();
            (if idle { all.links.pop() } else { None }, all.generation)
        };
        let mut link = match known {
            Some(link) => link,
            None => self.server.link().await?,
        };
        match self.fitness.judge(&mut link, generation).await {
            Ok(()) => Ok(NodeLink { link, generation }),
            // A link that is asked again after a while may have broken meanwhile, like any other.
            Err(failure) if failure.may_have_happened() => {
                self.broke();
                let mut link = self.server.link().await?;
                let generation = self.idle().generation;
                match self.fitness.judge(&mut link, generation).await {
                    Ok(()) => Ok(NodeLink { link, generation }),
                    Err(failure) => Err(definite(failure)),
                }
            }
            Err(failure) => Err(failure),
        }
    }

    /// Keeps a link whose last call was answered.
    pub(super) fn put_back(&self, link: NodeLink) {
        let mut idle = self.idle();
        if idle.generation == link.generation && idle.links.len() < LINKS_IDLE_MAX {
            idle.links.push(link.link);
        }
    }

    /// A link has broken: the others were opened before, and are suspects.
    pub(super) fn broke(&self) {
        let suspects = {
            let mut idle = self.idle();
            idle.generation += 1;
            std::mem::take(&mut idle.links)
        };
        suspects.into_iter().for_each(|mut link| link.poison());
    }

    /// Takes note of what a call came to.
    pub(super) fn note(&self, vote: &Vote) {
        match vote {
            Vote::Broken(failure) => self.health.failed(&self.name, failure, &self.others),
            Vote::Ours | Vote::Gone | Vote::Taken { .. } => self.health.answered(&self.name),
        }
    }

    /// Asks the server about itself, on a fresh connection.
    pub(super) async fn check(&self, within: Duration) -> Result<Vec<Finding>, Failure> {
        let ask = async {
            let mut link = self.server.link().await?;
            self.fitness.ask(&mut link).await
        };
        let silent = || Failure::not_applied(Refusal::Unreachable, format!("no answer within {within:?}"));
        let findings = timeout(within, ask).await.unwrap_or_else(|_| Err(silent()));
        if let Err(failure) = &findings {
            self.note(&Vote::Broken(failure.clone()));
        }
        findings
    }

    /// Where the server is, as far as its address says.
    pub(super) fn place(&self) -> String {
        self.server.endpoint().place()
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// While connecting no call of ours was sent, whatever broke.
fn definite(failure: Failure) -> Failure {
    if failure.may_have_happened() {
        Failure::not_applied(Refusal::Unreachable, failure.to_string())
    } else {
        failure
    }
}
