//! The payer looks for payouts that are due and pays several at once, one of an account at a time.
//!
//! Every worker with a gateway has one. It begins none after the drain began; those under way are finished.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;
use tollgate::ids::{AccountId, JobId, Namespace};
use tollgate::link::Link;
use tollgate::lock::WorkError;
use tollgate::random;
use tollgate::scripts::{ScriptError, payout};
use tracing::{info, warn};

use super::Agent;
use crate::health::Health;
use crate::incidents::{Incident, Kind, Reporter};
use crate::partition_state::PartitionState;
use crate::payout::Attempt;
use crate::payout::account_locks::AccountLocks;
use crate::payout::breaker::Breaker;
use crate::payout::gateway::Gateway;
use crate::payout::links::Links;
use crate::payout::outcome::AttemptEnd;
use crate::payout::rules::Rules;
use crate::payout::setbacks::Setbacks;
use crate::process::inspector::may_pay;
use crate::shutdown::Phase;
use crate::worker::Worker;

/// Another worker may hold new payouts at any time: look at least this often.
const REST_MAX: Duration = Duration::from_millis(100);
/// While the due ones are under way, or belong to others.
const REST_BUSY: Duration = Duration::from_millis(20);
/// For so long a list of what is due is gone through before it is read again: others pay from it too.
const LIST_AGE_MAX: Duration = Duration::from_millis(100);
/// Due payouts that are looked at in one round, per partition: many may be of one account.
const LOOK_AHEAD: usize = 500;

/// What the payouts under way share.
struct Shared {
    health: Arc<Health>,
    namespace: Namespace,
    links: Links,
    gateway: Gateway,
    locks: AccountLocks,
    rules: Rules,
    /// Accounts with a payout in flight in this process.
    accounts: Mutex<HashSet<AccountId>>,
    breaker: Breaker,
    setbacks: Setbacks,
    /// Who says that the gateway's secrets cannot be read.
    secrets: Reporter,
    /// Told after each attempt that came to something.
    moved: Notify,
}

#[derive(Clone)]
pub(crate) struct Payer {
    shared: Arc<Shared>,
    /// One for each payout from its lock until it is written down.
    places: Arc<Semaphore>,
    /// One for each that may be at the gateway, or on its way there.
    permits: Arc<Semaphore>,
    /// What is due, as far as the last visit has looked.
    due: Vec<(Arc<PartitionState>, AccountId, JobId)>,
    /// By partition: from which payout on the next round looks.
    from: HashMap<u16, usize>,
    /// When secrets are to be read again, by one of all these.
    reloads: Arc<Mutex<watch::Receiver<u64>>>,
}

impl Payer {
    /// The payer of this worker, if it has a gateway.
    pub(crate) fn of(worker: &Worker) -> anyhow::Result<Option<Self>> {
        let config = &worker.config.payout;
        let Some(options) = config.gateway.clone() else { return Ok(None) };
        let shared = Arc::new(Shared {
            health: worker.health.clone(),
            namespace: worker.tollgate.namespace().clone(),
            links: Links::new(worker.tollgate.server().clone()),
            gateway: Gateway::new(options)?,
            locks: AccountLocks::new(worker, config.rules.lease),
            rules: config.rules,
            accounts: Mutex::default(),
            breaker: Breaker::new(config.rules.pauses, &worker.health.incidents),
            setbacks: Setbacks::new(&worker.health.incidents),
            secrets: worker.health.incidents.reporter(),
            moved: Notify::new(),
        });
        let reloads = Arc::new(Mutex::new(worker.health.reloads.subscribe()));
        Ok(Some(Self {
            shared,
            places: worker.payouts.clone(),
            permits: Arc::new(Semaphore::new(worker.config.concurrency)),
            due: Vec::new(),
            from: HashMap::new(),
            reloads,
        }))
    }

    /// Whether the lock servers are fit, as far as they answer.
    ///
    /// # Errors
    /// One of them must not be used.
    pub(crate) async fn check_locks(&self, worker: &Worker) -> Result<(), String> {
        self.shared.locks.check(worker.config.unsafe_redis).await
    }
}

impl Agent for Payer {
    const NAME: &'static str = "pay";
    const UNTIL: Phase = Phase::Quiet;

    async fn visit(
        &mut self,
        _worker: &Arc<Worker>,
        state: &Arc<PartitionState>,
        link: &mut Link,
    ) -> Result<Duration, ScriptError> {
        if self.is_to_reload() {
            self.shared.reload();
        }
        if self.shared.breaker.pauses() {
            return Ok(REST_MAX);
        }
        let from = self.from.entry(state.partition.number()).or_default();
        let due = payout::due_from(link, &state.keys, *from, LOOK_AHEAD).await?;
        // Those in front may belong to accounts that are busy for long: the next round looks past them, and after the
        // last it begins with the first.
        *from = if *from + LOOK_AHEAD < due.count { *from + LOOK_AHEAD } else { 0 };
        let mut rest = if due.payouts.is_empty() { REST_MAX } else { REST_BUSY };
        if let Some(due_ms) = due.next_due_ms {
            rest = rest.min(Duration::from_millis(due_ms.saturating_sub(due.at_ms).max(1)));
        }
        let (setbacks, incidents) = (&self.shared.setbacks, &self.shared.health.incidents);
        let (mut payouts, mut damaged) = (due.payouts, due.damaged);
        setbacks.filter(incidents, state.partition, &mut payouts, |(account, id)| member(account, id));
        setbacks.filter(incidents, state.partition, &mut damaged, |broken| broken.id.clone());
        for broken in damaged {
            setbacks.note(incidents, state.partition, &broken.id, &broken.what);
        }
        self.due.extend(payouts.into_iter().map(|(account, id)| (state.clone(), account, id)));
        Ok(rest)
    }

    async fn finish(&mut self, worker: &Worker) -> Option<Duration> {
        let mut payouts = std::mem::take(&mut self.due);
        if !may_pay(worker.tollgate.server(), worker.config.unsafe_redis) {
            return None;
        }
        // Workers that all begin with the oldest would only find each other's locks.
        random::shuffle(&mut payouts);
        let list_ends_at = Instant::now() + LIST_AGE_MAX;
        // Of each account one a round: if its lock is taken for this one, it is for the next.
        let mut tried = HashSet::new();
        for (state, account, id) in payouts {
            if !self.shared.locks.may_try(&account) || !tried.insert(account.clone()) {
                continue;
            }
            let Some(turn) = Turn::take(&self.shared, &account) else { continue };
            let Some(place) = self.permit(&self.places, worker, list_ends_at).await else { break };
            let Some(permit) = self.permit(&self.permits, worker, list_ends_at).await else { break };
            if !self.shared.breaker.may_pay() {
                break;
            }
            let leave = Leave { shared: self.shared.clone(), outcome: AttemptEnd::NotOurs };
            tokio::spawn(pay(leave, state, account, id, (place, permit), turn));
        }
        self.shared.locks.count();
        if tried.is_empty() {
            return None;
        }
        // An account that is free again finds no rest, as long as the work comes to something.
        tokio::time::timeout(REST_BUSY, self.shared.moved.notified()).await.is_ok().then_some(Duration::ZERO)
    }
}

impl Payer {
    fn is_to_reload(&self) -> bool {
        let mut reloads = self.reloads.lock().unwrap_or_else(PoisonError::into_inner);
        let has_changed = reloads.has_changed().unwrap_or(false);
        reloads.mark_unchanged();
        has_changed
    }

    /// The next that is free, unless the list or our own time ends first.
    async fn permit(
        &self,
        permits: &Arc<Semaphore>,
        worker: &Worker,
        list_ends_at: Instant,
    ) -> Option<OwnedSemaphorePermit> {
        tokio::select! {
            biased;
            () = worker.health.shutdown.reached(Self::UNTIL) => None,
            permit = permits.clone().acquire_owned() => permit.ok(),
            () = tokio::time::sleep_until(list_ends_at) => None,
        }
    }
}

/// The turn of one account in this process; given back when dropped.
struct Turn {
    shared: Arc<Shared>,
    account: AccountId,
}

impl Turn {
    fn take(shared: &Arc<Shared>, account: &AccountId) -> Option<Self> {
        let mut accounts = shared.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.insert(account.clone()).then(|| Self { shared: shared.clone(), account: account.clone() })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut accounts = self.shared.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.remove(&self.account);
    }
}

/// Leave to pay, from [`Breaker::may_pay`]: what came of it is told in any case, since others may wait for it.
struct Leave {
    shared: Arc<Shared>,
    outcome: AttemptEnd,
}

impl Drop for Leave {
    fn drop(&mut self) {
        self.shared.learn(&self.outcome);
    }
}

async fn pay(
    mut leave: Leave,
    state: Arc<PartitionState>,
    account: AccountId,
    id: JobId,
    (_place, permit): (OwnedSemaphorePermit, OwnedSemaphorePermit),
    _turn: Turn,
) {
    let (shared, mut permit) = (leave.shared.clone(), Some(permit));
    let Shared { namespace, links, gateway, rules, health, .. } = &*shared;
    let (keys, account, id) = (&state.keys, &account, &id);
    let attempt = Attempt { links, gateway, rules: *rules, health, namespace, keys, account, id };
    #[cfg(feature = "explore")]
    let locked = match gateway.is_explored() {
        // Everybody has every lock: a superset of what locks let happen.
        true => attempt.run(&mut permit).await.map_err(WorkError::Work),
        false => shared.locks.with(account, |_lease| attempt.run(&mut permit)).await,
    };
    #[cfg(not(feature = "explore"))]
    let locked = shared.locks.with(account, |_lease| attempt.run(&mut permit)).await;
    match locked {
        Ok(outcome) => leave.outcome = outcome,
        Err(WorkError::Work(ScriptError::Failure(failure))) => warn!(%id, "a payout waits: {failure}"),
        Err(WorkError::Work(error)) => leave.outcome = AttemptEnd::Damaged { what: error.to_string() },
        // Another worker is paying from this account, or nobody can: `account_locks` says so.
        Err(WorkError::Lock(_)) => {}
    }
    let (setbacks, incidents, member) = (&shared.setbacks, &health.incidents, member(account, id));
    match &leave.outcome {
        AttemptEnd::Damaged { what } => setbacks.note(incidents, state.partition, &member, what),
        // Whether it could go on is not known.
        AttemptEnd::NotOurs => {}
        _ => setbacks.clear(incidents, state.partition, &member),
    }
    // Before the permit goes: whoever gets it asks whether payouts are paused.
    drop(leave);
}

/// As `payouts` lists it.
fn member(account: &AccountId, id: &JobId) -> String {
    format!("{account}\t{id}")
}

impl Shared {
    fn learn(&self, outcome: &AttemptEnd) {
        // One that is damaged rests from now on: that is a step as well.
        if matches!(outcome, AttemptEnd::Recorded(_) | AttemptEnd::Unknown | AttemptEnd::Damaged { .. }) {
            self.moved.notify_one();
        }
        self.breaker.learn(outcome, &self.health.incidents);
        // Perhaps the token or the authorities were rotated.
        if matches!(outcome, AttemptEnd::Misconfigured { .. } | AttemptEnd::NotSent { .. }) {
            self.reload();
        }
    }

    /// Reads the gateway's secrets again; if they are others than before, paying goes on at once.
    fn reload(&self) {
        match self.gateway.reload() {
            Ok(has_changed) => {
                self.health.incidents.resolve(self.secrets);
                if has_changed {
                    info!(
                        "the payout gateway's token or authorities have changed: they are used from now on"
                    );
                    self.breaker.try_now();
                }
            }
            Err(error) => {
                let reason = format!("the old ones are used further: {error:#}");
                let incident = Incident::new(Kind::SecretUnreadable, "payout gateway", reason);
                self.health.incidents.open(self.secrets, incident.degraded());
            }
        }
    }
}
