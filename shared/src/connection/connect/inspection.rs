//! What a server is found to be while it is used: asked on each new connection and once a minute, so that a setting
//! that is changed, or an address that leads to another node, is noticed before much rests on it.
//!
//! The judgement is [`preflight`]'s. A server that is unfit is refused, definitely and before a call is sent, until it
//! is found fit again; or only reported, where that was asked for. Whoever watches [`Server::found`](super::Server)
//! learns of every change. Must not cost a call anything: between two inspections it is two loads.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::Value;
use redis::aio::MultiplexedConnection;
use tokio::sync::watch;
// A test moves this clock by a minute.
use tokio::time::Instant;

use super::error::EndpointError;
use crate::connection::classify::{classify, classify_reply};
use crate::connection::failure::{Failure, Refusal};
use crate::connection::preflight::{self, Accepted, Report, Tier, Topology};
use crate::env;

/// How often a server that is fit is asked again.
const ASK_EVERY: Duration = Duration::from_secs(60);
/// How often one of which Sentinels may name another.
const ASK_NAMED_EVERY: Duration = Duration::from_secs(5);
/// How often one that is not, or did not answer.
const ASK_UNFIT_EVERY: Duration = Duration::from_secs(1);

/// What to do about a server that may lose or evict what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Safety {
    /// Make no call to it.
    Refuse,
    /// Make no call to it, unless this is all that is wrong: [`Report::accepted`] has it.
    Accept(Accepted),
    /// Use it all the same; [`Server::found`](super::Server::found) has what is wrong.
    Warn,
}

/// What a server was last found to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    memory: Report,
    fsync: Report,
    /// The id of the server's process, where this user may ask for it.
    pub run_id: Option<String>,
    /// How often the id changed: Redis was restarted, or the address leads to another node.
    pub changes: u64,
}

impl Found {
    /// The findings for a tier.
    pub fn report(&self, tier: Tier) -> &Report {
        match tier {
            Tier::Memory => &self.memory,
            Tier::Fsync => &self.fsync,
        }
    }
}

const OFF: u8 = 0;
const WARN: u8 = 1;
const REFUSE: u8 = 2;
const ACCEPT_NO_AOF: u8 = 3;

impl Safety {
    /// What an operator says by the environment (see [`crate::env`]); `None` if that is nothing.
    ///
    /// # Errors
    /// It is nothing that can be accepted.
    pub fn from_env() -> Result<Option<Self>, EndpointError> {
        let word = env::text(env::TOLLGATE_ACCEPT);
        let accepted = word.map(|word| word.parse().map_err(EndpointError::Accept)).transpose()?;
        Ok(accepted.map(Self::Accept))
    }
}

/// The state of the inspections of one server, or of a cluster: then it has what is found of all its nodes.
#[derive(Debug)]
pub(crate) struct Inspection {
    safety: AtomicU8,
    /// The name of a node, and its cluster, which says what to do about it and is told what it is found to be.
    node_of: Option<(Arc<str>, Arc<Inspection>)>,
    nodes: Mutex<BTreeMap<Arc<str>, Arc<Found>>>,
    ask_every: Duration,
    begun: Instant,
    /// When the next one is due, in milliseconds since `begun`.
    due_ms: AtomicU64,
    is_unfit: AtomicBool,
    found: watch::Sender<Option<Arc<Found>>>,
}

impl Inspection {
    /// Of one server, or of whichever is `named` by Sentinels.
    pub(super) fn new(is_named: bool) -> Self {
        Self {
            safety: AtomicU8::new(OFF),
            node_of: None,
            nodes: Mutex::default(),
            ask_every: if is_named { ASK_NAMED_EVERY } else { ASK_EVERY },
            begun: Instant::now(),
            due_ms: AtomicU64::new(0),
            is_unfit: AtomicBool::new(false),
            found: watch::Sender::new(None),
        }
    }

    /// Of the node of a cluster.
    pub(super) fn of_node(cluster: Arc<Self>, name: Arc<str>) -> Self {
        Self { node_of: Some((name, cluster)), ..Self::new(false) }
    }

    fn safety(&self) -> u8 {
        let decides = self.node_of.as_ref().map_or(self, |(_, cluster)| cluster);
        decides.safety.load(Ordering::Acquire)
    }

    pub(super) fn begin(&self, safety: Safety) {
        let safety = match safety {
            Safety::Warn => WARN,
            Safety::Refuse => REFUSE,
            Safety::Accept(Accepted::NoAof) => ACCEPT_NO_AOF,
        };
        self.safety.store(safety, Ordering::Release);
    }

    pub(super) fn begin_by_default(&self) {
        let _ = self.safety.compare_exchange(OFF, REFUSE, Ordering::AcqRel, Ordering::Acquire);
    }

    pub(super) fn found(&self) -> watch::Receiver<Option<Arc<Found>>> {
        self.found.subscribe()
    }

    fn accepted(&self) -> Option<Accepted> {
        (self.safety() == ACCEPT_NO_AOF).then_some(Accepted::NoAof)
    }

    fn is_on(&self) -> bool {
        self.safety() != OFF
    }

    /// Is it time to ask again? Of several who ask this at once, one is told so.
    pub(crate) fn is_due(&self) -> bool {
        let (due_ms, now_ms) = (self.due_ms.load(Ordering::Acquire), self.now_ms());
        self.is_on()
            && now_ms >= due_ms
            // Whoever has the turn and does not come to an end of it leaves it to the next.
            && self
                .due_ms
                .compare_exchange(due_ms, after(now_ms, ASK_UNFIT_EVERY), Ordering::AcqRel, Ordering::Acquire)
                .is_ok()
    }

    /// Why no call may be made.
    pub(crate) fn refusal(&self) -> Option<Failure> {
        let refuses = matches!(self.safety(), REFUSE | ACCEPT_NO_AOF);
        if !self.is_unfit.load(Ordering::Acquire) || !refuses {
            return None;
        }
        let found = self.found.borrow();
        let reasons: Vec<String> = found.as_ref().map_or_else(Vec::new, |found| {
            let refusals = found.memory.refusals();
            refusals
                .map(|finding| format!("{}: {} ({})", finding.code, finding.reason, finding.hint))
                .collect()
        });
        Some(Failure::not_applied(Refusal::UnsafeRedis, reasons.join("; ")))
    }

    /// Asks a connection that nobody uses, and takes note of what it answers.
    ///
    /// # Errors
    /// Always definite: nothing of the caller's was sent.
    pub(super) async fn ask(&self, connection: &mut MultiplexedConnection) -> Result<(), Failure> {
        if !self.is_on() {
            return Ok(());
        }
        let questions = preflight::questions();
        let replies = connection.send_packed_commands(&questions, 0, questions.len()).await;
        let replies = replies.map_err(|error| match classify(&error) {
            Failure::Unknown { detail, .. } => Failure::not_applied(Refusal::Unreachable, detail),
            definite => definite,
        })?;
        let mut answers = replies.into_iter().map(|value| match value {
            Value::ServerError(error) => Err(classify_reply(&error)),
            value => Ok(value),
        });
        let facts = preflight::Facts::of(&mut answers)?;
        self.take_note(&facts);
        Ok(())
    }

    fn take_note(&self, facts: &preflight::Facts) {
        let topology = if self.node_of.is_some() { Topology::Cluster } else { Topology::OneServer };
        // What must be on disk before an answer is not, whatever was accepted.
        let memory = facts.judge(Tier::Memory, topology).accepting(self.accepted());
        let fsync = facts.judge(Tier::Fsync, topology);
        let is_fit = memory.is_fit();
        self.found.send_if_modified(|found| {
            let before = found.as_deref();
            let (id_before, changes) =
                before.map_or((None, 0), |found| (found.run_id.clone(), found.changes));
            let run_id = facts.run_id().map(str::to_owned).or_else(|| id_before.clone());
            let changes = changes + u64::from(id_before.is_some() && id_before != run_id);
            let now = Found { memory, fsync, run_id, changes };
            let differs = before != Some(&now);
            *found = Some(Arc::new(now));
            differs
        });
        if let Some((name, cluster)) = &self.node_of
            && let Some(found) = &*self.found.borrow()
        {
            cluster.take_note_of(name, found.clone());
        }
        self.is_unfit.store(!is_fit, Ordering::Release);
        let pause = if is_fit { self.ask_every } else { ASK_UNFIT_EVERY };
        self.due_ms.store(after(self.now_ms(), pause), Ordering::Release);
    }

    /// What a node is found to be, each finding under its name.
    fn take_note_of(&self, name: &Arc<str>, found: Arc<Found>) {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        let before = nodes.insert(name.clone(), found.clone());
        let of_all =
            |tier| Report::of_nodes(nodes.iter().map(|(name, found)| (&**name, found.report(tier).clone())));
        let (memory, fsync) = (of_all(Tier::Memory), of_all(Tier::Fsync));
        let changed = before.is_some_and(|before| before.changes < found.changes);
        self.found.send_if_modified(|all| {
            let changes = all.as_ref().map_or(0, |all| all.changes) + u64::from(changed);
            let now = Found { memory, fsync, run_id: found.run_id.clone(), changes };
            let is_same = all.as_deref().is_some_and(|all| {
                (&all.memory, &all.fsync, all.changes) == (&now.memory, &now.fsync, now.changes)
            });
            if !is_same {
                *all = Some(Arc::new(now));
            }
            !is_same
        });
    }

    /// Takes note that there is no such node any more.
    pub(super) fn forget(&self, name: &str) {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    fn now_ms(&self) -> u64 {
        self.begun.elapsed().as_millis() as u64
    }
}

fn after(now_ms: u64, pause: Duration) -> u64 {
    now_ms + pause.as_millis() as u64
}
