//! Who asks for a lock that several processes want, and when: a line with one place in it, kept by the node that is
//! asked first.
//!
//! Whoever is next asks all nodes, in short pauses that grow with how long it has been next; everybody else asks the
//! one node, seldom, and leaves nothing behind there. So the votes of a crowd are not split, whatever its size, and the
//! next holder is known while this one works. The line only orders who asks: a lock is a quorum of grants, here too, so
//! whoever never asks for a place (an older release, a try that does not wait), or two who both believe to be next (their
//! places ended, they asked first at different nodes), cost time and never let a second holder in.
//!
//! If the process dies, its place ends a little later than it would have asked again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::node_attempt::NodeAttempt;
use super::token::token;
use crate::connection::backoff::Backoff;

/// For so long after another was met at a name, its place in line is asked for.
const CONTENDED_FOR: Duration = Duration::from_secs(10);
/// The shortest pause of whoever is next, and its share of a round trip.
const PAUSE_MIN: Duration = Duration::from_millis(1);
const PAUSES_A_ROUND_TRIP: u32 = 4;
/// Once its pauses are longer than a round trip, whoever is next asks the one node first as well, but for every fourth
/// time: something may have been left on that node, and not on the others.
const ALL_EVERY: u32 = 4;
/// How much of its `node_timeout` a place is kept for besides the pauses.
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);

/// Which nodes a take asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// All at once; nobody else seems to want it.
    All,
    /// All at once, one of them as whoever is next in line.
    AllAsNext,
    /// One of them; the others only if it grants the lock.
    OneFirst,
}

/// The line of one lock, as this process sees it.
#[derive(Debug)]
pub(super) struct Line {
    /// This process, in this line.
    waiter: Arc<str>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    contended_until: Option<Instant>,
    next: Option<Next>,
}

/// This process is next, as far as it was told.
#[derive(Debug)]
struct Next {
    /// Where it was told so.
    node_attempt: Arc<NodeAttempt>,
    round_trip: Duration,
    pauses: Backoff,
    /// The last of them.
    pause: Duration,
}

impl Line {
    pub(super) fn new(owner: &str) -> Self {
        Self { waiter: token(owner).into(), state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn waiter(&self) -> Arc<str> {
        Arc::clone(&self.waiter)
    }

    /// For how long a place is kept, for whoever asks again after such a pause at the latest.
    pub(super) fn kept(longest_pause: Duration, node_timeout: Duration) -> Duration {
        longest_pause.saturating_mul(2).saturating_add(node_timeout.min(ANSWERS_WITHIN))
    }

    pub(super) fn met_others(&self) {
        self.state().contended_until = Some(Instant::now() + CONTENDED_FOR);
    }

    pub(super) fn is_contended(&self) -> bool {
        self.state().contended_until.is_some_and(|until| Instant::now() < until)
    }

    pub(super) fn way(&self) -> Way {
        let contended = self.is_contended();
        match &self.state().next {
            Some(next) if next.is_short() || next.pauses.failures() % ALL_EVERY == 0 => Way::AllAsNext,
            Some(_) => Way::OneFirst,
            None if contended => Way::OneFirst,
            None => Way::All,
        }
    }

    /// Takes note of what an attempt was told about its place, where one was asked for.
    pub(super) fn told(&self, node_attempt: &Arc<NodeAttempt>, longest_pause: Duration) {
        let mut state = self.state();
        if !node_attempt.is_next() {
            state.next = None;
            return;
        }
        let round_trip = node_attempt.round_trip();
        let pauses = state.next.take().map(|next| next.pauses);
        let least = (round_trip / PAUSES_A_ROUND_TRIP).max(PAUSE_MIN);
        let pauses = pauses.unwrap_or_else(|| Backoff::new(least, longest_pause));
        state.next =
            Some(Next { node_attempt: Arc::clone(node_attempt), round_trip, pauses, pause: Duration::ZERO });
    }

    /// How long whoever is next waits before it asks again; `None` if that is not us.
    pub(super) fn pause(&self) -> Option<Duration> {
        let mut state = self.state();
        let next = state.next.as_mut()?;
        next.pause = next.pauses.next_pause();
        Some(next.pause)
    }

    /// Whether there is something to ask besides before the next attempt, which takes a round trip.
    pub(super) fn has_time(&self) -> bool {
        self.state().next.as_ref().is_none_or(|next| !next.is_short())
    }

    /// Nobody here waits any more: the place is given up, in the background.
    pub(super) fn leave(&self) {
        if let Some(next) = self.state().next.take() {
            next.node_attempt.leave_line_later();
        }
    }
}

impl Next {
    /// Whether it asks so often that one round trip more would be what counts.
    fn is_short(&self) -> bool {
        self.pause < self.round_trip
    }
}
