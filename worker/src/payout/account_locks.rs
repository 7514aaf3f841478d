//! The lock of each account: who pays from it now, across the fleet, and what is told while that is not us.
//!
//! Relies on nothing that a lock promises: `payout_begin` keeps two attempts apart. A lock that cannot be had delays
//! payouts, so it must be told: once when the lock servers have no majority, after pauses with backoff; and for an
//! account that waits for many leases, with who holds its lock, or that its key is no lock at all and stays for ever.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tollgate::backoff::Backoff;
use tollgate::connect::Safety;
use tollgate::ids::{AccountId, LockName, Namespace};
use tollgate::keys::Keys;
use tollgate::lock::{Lease, LockError, LockNodes, LockOptions, Locks, Look, Placement, WorkError};
use tollgate::scripts::ScriptError;
use tracing::{info, warn};

use crate::health::Health;
use crate::incidents::{Incident, Kind, Reporter};
use crate::worker::Worker;

/// Pauses of one account while another has its lock.
const TAKEN_PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));
/// Pauses of all accounts while the lock servers have no majority.
const OUTAGE_PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// A lock that is held for more leases than this is told: no payout takes so long.
const LEASES_TOLD: u32 = 3;
/// An account that was not tried for so long has nothing due here any more.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(30);
/// So many accounts are named at the same time.
const NAMED_MAX: usize = 20;

pub(crate) struct AccountLocks {
    locks: Locks,
    namespace: Namespace,
    options: LockOptions,
    health: Arc<Health>,
    reporter: Reporter,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waits: HashMap<AccountId, Wait>,
    outage: Option<Pause>,
}

/// An account whose lock another has.
struct Wait {
    since: Instant,
    tried_at: Instant,
    pause: Pause,
    looked_at: Option<Instant>,
    reporter: Option<Reporter>,
}

struct Pause {
    until: Instant,
    backoff: Backoff,
}

impl Pause {
    fn new((min, max): (Duration, Duration)) -> Self {
        Self { until: Instant::now(), backoff: Backoff::new(min, max) }
    }

    fn again(&mut self) {
        self.until = Instant::now() + self.backoff.next_pause();
    }

    fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }
}

impl AccountLocks {
    /// The locks of this worker, each for one `lease`.
    pub(crate) fn new(worker: &Worker, lease: Duration) -> Self {
        let nodes = worker.config.payout.lock_nodes.clone().unwrap_or_else(|| {
            info!("account locks live on the data Redis: they fall with it (set --lock-redis for servers of their own)");
            LockNodes::with_data(worker.tollgate.server().clone())
        });
        let nodes = match worker.config.unsafe_redis {
            Safety::Warn => nodes.allow_unfit(),
            _ => nodes,
        };
        let namespace = worker.tollgate.namespace().clone();
        let health = worker.health.clone();
        Self {
            locks: Locks::new(nodes, namespace.clone()).owned_by(&worker.consumer),
            namespace,
            options: LockOptions::of_ttl(lease),
            reporter: health.incidents.reporter(),
            health,
            state: Mutex::default(),
        }
    }

    /// Asks the lock servers whether they are fit, before the first payout.
    ///
    /// # Errors
    /// One answers, and must not be used. One that does not answer may come back.
    pub(crate) async fn check(&self, safety: Safety) -> Result<(), String> {
        // What the data Redis is has been judged already.
        if self.locks.nodes().placement() == Placement::WithData {
            return Ok(());
        }
        let report = self.locks.nodes().check().await;
        let answering = report.nodes.iter().filter(|node| node.findings.is_ok()).count();
        if report.fit() < answering && safety != Safety::Warn {
            return Err(format!("--lock-redis: {report}"));
        }
        // The locks themselves say which of them do not answer.
        if report.fit() < answering {
            warn!("{report}");
        }
        self.count();
        Ok(())
    }

    /// Whether it is time to ask for the lock of this account.
    pub(crate) fn may_try(&self, account: &AccountId) -> bool {
        let mut state = self.state();
        if state.waits.get(account).is_some_and(|wait| !wait.pause.is_over()) {
            return false;
        }
        match &mut state.outage {
            None => true,
            Some(pause) if pause.is_over() => {
                // One payout tries, the others wait for what it learns.
                pause.again();
                true
            }
            Some(_) => false,
        }
    }

    /// Does `work` while the account's lock is held.
    ///
    /// # Errors
    /// As [`Locks::with`]. What is to be told of it has been.
    pub(crate) async fn with<T, W>(
        &self,
        account: &AccountId,
        work: impl FnOnce(Lease) -> W,
    ) -> Result<T, WorkError<ScriptError>>
    where
        W: Future<Output = Result<T, ScriptError>>,
    {
        let name = LockName::payouts(account);
        let result = self.locks.with(&name, &self.options, work).await;
        match &result {
            Ok(_) | Err(WorkError::Work(_)) => self.had(account),
            Err(WorkError::Lock(LockError::Taken { .. })) => {
                self.answered();
                self.waits(account, &name).await;
            }
            Err(WorkError::Lock(error)) => self.failed(error),
        }
        self.count();
        result
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn had(&self, account: &AccountId) {
        self.answered();
        let wait = self.state().waits.remove(account);
        if let Some(reporter) = wait.and_then(|wait| wait.reporter) {
            self.health.incidents.resolve(reporter);
        }
    }

    fn answered(&self) {
        if self.state().outage.take().is_some() {
            self.health.incidents.resolve(self.reporter);
        }
    }

    fn failed(&self, error: &LockError) {
        self.health.metrics.payout_lock_failed();
        {
            let mut state = self.state();
            let pause = state.outage.get_or_insert_with(|| Pause::new(OUTAGE_PAUSES));
            // Those that were on their way together count as one failure.
            if pause.is_over() {
                pause.again();
            }
        }
        let reason = format!("no payouts now, an account's lock cannot be had ({}): {error}", error.code());
        self.health.incidents.open(self.reporter, Incident::new(Kind::LocksUnavailable, "", reason));
    }

    async fn waits(&self, account: &AccountId, name: &LockName) {
        if !self.is_to_be_told(account) {
            return;
        }
        let look = self.locks.look(name).await;
        let mut state = self.state();
        let named = state.waits.values().filter(|wait| wait.reporter.is_some()).count();
        // It may have been had by now.
        let Some(wait) = state.waits.get_mut(account) else { return };
        if wait.reporter.is_none() && named >= NAMED_MAX {
            return;
        }
        let reporter = *wait.reporter.get_or_insert_with(|| self.health.incidents.reporter());
        let incident = self.incident(account, name, wait.since.elapsed(), &look);
        self.health.incidents.open(reporter, incident);
    }

    /// Takes note of a lock that another has; whether it is time to say so.
    fn is_to_be_told(&self, account: &AccountId) -> bool {
        let now = Instant::now();
        let mut state = self.state();
        let wait = state.waits.entry(account.clone()).or_insert_with(|| Wait {
            since: now,
            tried_at: now,
            pause: Pause::new(TAKEN_PAUSES),
            looked_at: None,
            reporter: None,
        });
        wait.tried_at = now;
        wait.pause.again();
        let lease = self.options.ttl;
        let is_due = wait.since.elapsed() > lease * LEASES_TOLD
            && wait.looked_at.is_none_or(|looked_at| looked_at.elapsed() > lease);
        if is_due {
            wait.looked_at = Some(now);
        }
        is_due
    }

    fn incident(&self, account: &AccountId, name: &LockName, waited: Duration, look: &Look) -> Incident {
        let seconds = waited.as_secs();
        let reason =
            format!("payouts of account `{account}` have waited for its lock for {seconds} s: {look}");
        let incident = Incident::new(Kind::AccountLocked, "", reason).degraded();
        if look.foreign().next().is_some() {
            let key = Keys::lock(&self.namespace, name);
            let hint = format!(
                "the key is none of ours and never goes: `redis-cli DEL '{key}'` on the servers named"
            );
            return incident.hint(hint);
        }
        incident
    }

    /// Brings the figures up to date, and forgets accounts that have nothing due any more.
    pub(crate) fn count(&self) {
        let mut forgotten = Vec::new();
        let (waiting, longest) = {
            let mut state = self.state();
            state.waits.retain(|_, wait| {
                let kept = wait.tried_at.elapsed() < FORGOTTEN_AFTER;
                forgotten.extend(wait.reporter.filter(|_| !kept));
                kept
            });
            let longest = state.waits.values().map(|wait| wait.since.elapsed()).max().unwrap_or_default();
            (state.waits.len(), longest)
        };
        forgotten.into_iter().for_each(|reporter| self.health.incidents.resolve(reporter));
        let states = self.locks.nodes().states();
        let failing = states.iter().filter(|state| state.failing.is_some()).count();
        self.health.metrics.locks(waiting, longest, (states.len() - failing, failing));
    }
}
