//! What a server is found to be while it is used: asked on each new connection and once a minute, so that a setting
//! that is changed, or an address that leads to another node, is noticed before much rests on it.
//!
//! The judgement is [`preflight`]'s. A server that is unfit is refused, definitely and before a call is sent, until it
//! is found fit again; or only reported, where that was asked for. Whoever watches [`Server::found`](super::Server)
//! learns of every change. Must not cost a call anything: between two inspections it is two loads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use redis::Value;
use redis::aio::MultiplexedConnection;
use tokio::sync::watch;
// A test moves this clock by a minute.
use tokio::time::Instant;

use crate::connection::failure::{Failure, Refusal, classify, classify_reply};
use crate::connection::preflight::{self, Report, Tier};

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

/// The state of the inspections of one server.
#[derive(Debug)]
pub(crate) struct Inspection {
    safety: AtomicU8,
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
            ask_every: if is_named { ASK_NAMED_EVERY } else { ASK_EVERY },
            begun: Instant::now(),
            due_ms: AtomicU64::new(0),
            is_unfit: AtomicBool::new(false),
            found: watch::Sender::new(None),
        }
    }

    pub(super) fn begin(&self, safety: Safety) {
        self.safety.store(if safety == Safety::Refuse { REFUSE } else { WARN }, Ordering::Release);
    }

    pub(super) fn begin_by_default(&self) {
        let _ = self.safety.compare_exchange(OFF, REFUSE, Ordering::AcqRel, Ordering::Acquire);
    }

    pub(super) fn found(&self) -> watch::Receiver<Option<Arc<Found>>> {
        self.found.subscribe()
    }

    fn is_on(&self) -> bool {
        self.safety.load(Ordering::Acquire) != OFF
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
        if !self.is_unfit.load(Ordering::Acquire) || self.safety.load(Ordering::Acquire) != REFUSE {
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
            Failure::Unknown { detail } => Failure::not_applied(Refusal::Unreachable, detail),
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
        let (memory, fsync) = (facts.judge(Tier::Memory), facts.judge(Tier::Fsync));
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
        self.is_unfit.store(!is_fit, Ordering::Release);
        let pause = if is_fit { self.ask_every } else { ASK_UNFIT_EVERY };
        self.due_ms.store(after(self.now_ms(), pause), Ordering::Release);
    }

    fn now_ms(&self) -> u64 {
        self.begun.elapsed().as_millis() as u64
    }
}

fn after(now_ms: u64, pause: Duration) -> u64 {
    now_ms + pause.as_millis() as u64
}
