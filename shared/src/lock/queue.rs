//! Who waits for a lock in this process: one at a time asks the nodes, whoever came first.
//!
//! A waiter that is not at the front costs the nodes nothing. While the lock is held in this process the front waits
//! for that to end, and asks nobody; so a herd of a thousand costs what one waiter costs. A waiter whose future is
//! dropped leaves its place by that. Must not grant anything: a quorum does, whatever is known here.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::error::{LockError, LostCause};
use super::lease::Lease;
use super::line::Line;
use super::look::Look;
use super::node_attempt::NodeAttempt;
use super::options::LockOptions;
use crate::protocol::ids::LockName;

/// After holding a lock for this many longest pauses almost without a break, a process leaves it free for one.
const STREAK_PAUSES: u32 = 20;
/// For this part of the longest pause a process takes a lock again and again before it gets in line behind others: to
/// hand it over each time costs more than the work, where both are short.
const OWN_TURN: u32 = 16;
/// So many names are kept before those that nobody uses are forgotten.
const NAMES_KEPT: usize = 1024;

/// A lock that somebody in this process holds or waits for.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// The lock.
    pub name: LockName,
    /// How many wait for it in this process.
    pub waiters: usize,
    /// How long the first of them has waited.
    pub longest: Duration,
    /// Until when somebody in this process holds it, as far as is known.
    pub held_here_until: Option<Instant>,
    /// What the nodes said last about who has it, and when; `None` before they were asked.
    pub seen: Option<(Instant, Look)>,
}

/// The queues of all names on one set of nodes.
#[derive(Debug, Default)]
pub(super) struct Queues(Mutex<Names>);

#[derive(Debug, Default)]
struct Names {
    by_key: HashMap<String, Arc<Queue>>,
    forget_at: usize,
}

impl Queues {
    /// The queue of a lock; `owner` is who this process is to others, should they see it in line.
    pub(super) fn of(&self, key: &str, name: &LockName, owner: &str) -> Arc<Queue> {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = names.by_key.get(key) {
            return Arc::clone(queue);
        }
        if names.by_key.len() >= names.forget_at.max(NAMES_KEPT) {
            names.by_key.retain(|_, queue| Arc::strong_count(queue) > 1 || queue.line.is_contended());
            names.forget_at = names.by_key.len() * 2;
        }
        let queue = Arc::new(Queue::new(name.clone(), owner));
        names.by_key.insert(key.to_owned(), Arc::clone(&queue));
        queue
    }

    pub(super) fn waiting(&self) -> Vec<Waiting> {
        let names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        names.by_key.values().filter_map(|queue| queue.waiting()).collect()
    }
}

/// The queue of one name.
#[derive(Debug)]
pub(super) struct Queue {
    name: LockName,
    /// The line behind processes that want the same lock.
    pub(super) line: Line,
    /// Held by the waiter at the front.
    pub(super) front: tokio::sync::Mutex<()>,
    /// Held during an attempt.
    pub(super) attempt: tokio::sync::Mutex<()>,
    /// Changes when whoever held it here has given it back.
    left: watch::Sender<u64>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    numbers: u64,
    holder: Option<(u64, Lease)>,
    waiters: BTreeMap<u64, Waiter>,
    last_failure: Option<Failed>,
    /// The last token that was given back here: nodes may have it for a moment longer.
    given_back: Option<String>,
    streak: Option<Streak>,
    /// Since when nobody but this process has had it, as far as it knows.
    own_since: Option<Instant>,
    seen: Option<(Instant, Look)>,
    /// When somebody's wait was last reported.
    reported_at: Option<Instant>,
}

#[derive(Debug)]
struct Waiter {
    since: Instant,
    retry_delay_max: Duration,
}

/// An attempt that failed.
#[derive(Debug)]
struct Failed {
    began_at: Instant,
    options: LockOptions,
    error: LockError,
}

/// For how long this process has had the lock, almost without a break.
#[derive(Debug, Clone, Copy)]
struct Streak {
    began_at: Instant,
    last_at: Instant,
}

/// The place of whoever holds the lock in this process. Dropped when others may ask for it.
#[derive(Debug)]
pub(super) struct Place {
    queue: Arc<Queue>,
    number: u64,
    token: String,
}

/// The place of a waiter, in the list of those who wait.
#[derive(Debug)]
pub(super) struct Listed {
    queue: Arc<Queue>,
    number: u64,
}

impl Queue {
    fn new(name: LockName, owner: &str) -> Self {
        Self {
            name,
            line: Line::new(owner),
            front: tokio::sync::Mutex::new(()),
            attempt: tokio::sync::Mutex::new(()),
            left: watch::Sender::new(0),
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn list(self: &Arc<Self>, since: Instant, options: &LockOptions) -> Listed {
        let mut state = self.state();
        state.numbers += 1;
        let number = state.numbers;
        state.waiters.insert(number, Waiter { since, retry_delay_max: options.retry_delay_max });
        Listed { queue: Arc::clone(self), number }
    }

    /// The shortest of the longest pauses of those who wait: whoever is at the front asks for all of them.
    pub(super) fn retry_delay_max(&self, own: Duration) -> Duration {
        self.state().waiters.values().map(|waiter| waiter.retry_delay_max).fold(own, Duration::min)
    }

    /// Waits until nobody in this process holds it any more.
    pub(super) async fn free_here(&self) {
        let mut left = self.left.subscribe();
        loop {
            left.mark_unchanged();
            let Some((number, lease)) = self.state().holder.clone() else { return };
            tokio::select! {
                _ = left.changed() => {}
                lost = lease.lost() => match lost.cause {
                    // Its release is on its way, and `left` changes when a quorum has heard of it.
                    LostCause::Released => _ = left.changed().await,
                    _ => self.leave(number),
                },
            }
        }
    }

    /// Takes note of an attempt that was granted; how others of this process are kept from asking meanwhile.
    pub(super) fn held(self: &Arc<Self>, lease: &Lease, options: &LockOptions, token: &str) -> Place {
        let mut state = self.state();
        let now = Instant::now();
        state.numbers += 1;
        let number = state.numbers;
        state.holder = Some((number, lease.clone()));
        state.last_failure = None;
        state.seen = None;
        state.own_since.get_or_insert(now);
        let goes_on =
            |streak: &Streak| now.saturating_duration_since(streak.last_at) < options.retry_delay_max;
        let began_at = state.streak.filter(goes_on).map_or(now, |streak| streak.began_at);
        state.streak = Some(Streak { began_at, last_at: now });
        Place { queue: Arc::clone(self), number, token: token.to_owned() }
    }

    fn leave(&self, number: u64) {
        {
            let mut state = self.state();
            if state.holder.as_ref().is_some_and(|(held, _)| *held == number) {
                state.holder = None;
                if let Some(streak) = &mut state.streak {
                    streak.last_at = Instant::now();
                }
            }
        }
        self.left.send_modify(|times| *times += 1);
    }

    /// Whether this process has had the lock for so long that it leaves it to others for a pause; once.
    pub(super) fn lets_others_in(&self, pause: Duration) -> bool {
        let streak = &mut self.state().streak;
        let long = |streak: &mut Streak| {
            streak.last_at.elapsed() < pause && streak.began_at.elapsed() > pause * STREAK_PAUSES
        };
        streak.take_if(long).is_some()
    }

    /// Takes note of an attempt that failed.
    pub(super) fn failed(&self, began_at: Instant, options: &LockOptions, error: &LockError) {
        self.state().last_failure = Some(Failed { began_at, options: options.clone(), error: error.clone() });
    }

    /// What an attempt came to that began after `since`, for whoever has come since then and would ask the same.
    pub(super) fn failure_since(&self, since: Instant, options: &LockOptions) -> Option<LockError> {
        let state = self.state();
        let last = state.last_failure.as_ref()?;
        let same = (last.options.ttl, last.options.node_timeout) == (options.ttl, options.node_timeout);
        (last.began_at >= since && same).then(|| last.error.clone())
    }

    /// Whether this process may take it again without regard to others in line.
    pub(super) fn goes_on(&self, longest_pause: Duration) -> bool {
        self.state().own_since.is_some_and(|since| since.elapsed() < longest_pause / OWN_TURN)
    }

    /// Another process has it, or is before this one.
    pub(super) fn met_others(&self) {
        self.state().own_since = None;
        self.line.met_others();
    }

    /// Whether another process has it under this token, and not this one, which has just given it back.
    pub(super) fn is_anothers(&self, token: &str) -> bool {
        self.state().given_back.as_deref() != Some(token)
    }

    /// Takes note of what the nodes say about who has it.
    pub(super) fn saw(&self, look: Look) {
        self.state().seen = Some((Instant::now(), look));
    }

    /// Whether a wait that began at `since` has not been reported yet; asked once.
    pub(super) fn is_news(&self, since: Instant) -> bool {
        let mut state = self.state();
        let news = state.reported_at.is_none_or(|at| at < since);
        if news {
            state.reported_at = Some(Instant::now());
        }
        news
    }

    fn waiting(&self) -> Option<Waiting> {
        let state = self.state();
        let held_here_until = state.holder.as_ref().map(|(_, lease)| lease.valid_until());
        let since = state.waiters.values().map(|waiter| waiter.since).min();
        if since.is_none() && held_here_until.is_none() {
            return None;
        }
        Some(Waiting {
            name: self.name.clone(),
            waiters: state.waiters.len(),
            longest: since.map_or(Duration::ZERO, |since| since.elapsed()),
            held_here_until,
            seen: state.seen.clone(),
        })
    }
}

impl Place {
    /// Its token was given back; `first` is the node that keeps the line.
    pub(super) fn left(place: Option<Self>, first: &NodeAttempt) {
        if let Some(place) = place
            && first.is_awaited()
        {
            place.queue.line.met_others();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.queue.state().given_back = Some(std::mem::take(&mut self.token));
        self.queue.leave(self.number);
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        let last = {
            let mut state = self.queue.state();
            state.waiters.remove(&self.number);
            state.waiters.is_empty()
        };
        if last {
            self.queue.line.leave();
        }
    }
}
