//! What could not be given back on a node at once is given back later, until its TTL is over.
//!
//! One task for a node tries one token at a time, so that a server that is down costs one connection attempt a pause,
//! however many locks are left on it. A token whose take was never answered is asked for more than once: the take may
//! still be executed after a release that found nothing. If the process dies, the TTL ends what is left.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;

use super::background::{Background, Busy};
use crate::connection::backoff::Backoff;

const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How often a release has to find nothing before a take that was never answered counts as lost.
const FOUND_NOTHING: u32 = 3;
/// How long a server may hang before it executes a take that was sent to it, for all we wait.
const HANGS_AT_MOST: Duration = Duration::from_secs(60);

/// What one more release came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Released {
    Yes,
    /// The token was not there.
    FoundNothing,
    NoAnswer,
}

/// What may have to be given back later.
pub(super) trait Leftover: fmt::Debug + Send + Sync {
    /// For how long it stands if nobody gives it back.
    fn ttl(&self) -> Duration;

    /// Whether a take of it was never answered, and may be executed at any time.
    fn is_uncertain(&self) -> bool;

    /// Where it is counted until it is given back.
    fn background(&self) -> &Background;

    /// One more try.
    fn release_again(&self) -> BoxFuture<'_, Released>;
}

/// What is left on one node.
#[derive(Debug, Default)]
pub(super) struct GiveBack {
    left: Mutex<Leftovers>,
}

#[derive(Debug, Default)]
struct Leftovers {
    /// By when they are due, and a number.
    by_due: BTreeMap<(Instant, u64), Left>,
    numbers: u64,
    /// Whether a task goes through them.
    served: bool,
}

#[derive(Debug)]
struct Left {
    what: Arc<dyn Leftover>,
    /// From when on there is nothing left of it.
    ends_at: Instant,
    found_nothing: u32,
    _busy: Busy,
}

impl GiveBack {
    /// Sees to it that this goes, on the current runtime.
    pub(super) fn add(self: &Arc<Self>, what: Arc<dyn Leftover>) {
        let mut ends_at = Instant::now() + what.ttl();
        if what.is_uncertain() {
            ends_at += HANGS_AT_MOST;
        }
        let busy = what.background().busy();
        let mut left = self.left();
        left.insert(PAUSE_MIN, Left { what, ends_at, found_nothing: 0, _busy: busy });
        if !left.served {
            left.served = true;
            tokio::spawn(serve(Arc::clone(self)));
        }
    }

    fn left(&self) -> MutexGuard<'_, Leftovers> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Leftovers {
    fn insert(&mut self, pause: Duration, left: Left) {
        self.numbers += 1;
        self.by_due.insert((Instant::now() + pause, self.numbers), left);
    }

    /// The next one that is due and has not ended, or when it will be.
    fn next(&mut self) -> Option<Result<Left, Instant>> {
        let now = Instant::now();
        loop {
            let (due_at, _) = *self.by_due.first_key_value()?.0;
            if due_at > now {
                return Some(Err(due_at));
            }
            let (_, left) = self.by_due.pop_first()?;
            if now < left.ends_at {
                return Some(Ok(left));
            }
        }
    }
}

/// Marks that nobody serves any more if the task is dropped with its runtime.
struct Serving {
    give_back: Arc<GiveBack>,
    /// Then it is marked already.
    ended: bool,
}

impl Drop for Serving {
    fn drop(&mut self) {
        if !self.ended {
            self.give_back.left().served = false;
        }
    }
}

async fn serve(give_back: Arc<GiveBack>) {
    let mut serving = Serving { give_back, ended: false };
    let mut backoff = Backoff::new(PAUSE_MIN, PAUSE_MAX);
    loop {
        let next = {
            let mut left = serving.give_back.left();
            let next = left.next();
            // Under the same mutex as `add`, which begins another task from here on.
            left.served = next.is_some();
            next
        };
        let Some(next) = next else {
            serving.ended = true;
            return;
        };
        let mut left = match next {
            Ok(left) => left,
            Err(due_at) => {
                tokio::time::sleep_until(due_at.into()).await;
                continue;
            }
        };
        match left.what.release_again().await {
            Released::Yes => backoff.reset(),
            Released::FoundNothing if left.found_nothing + 1 < FOUND_NOTHING && left.what.is_uncertain() => {
                backoff.reset();
                left.found_nothing += 1;
                let later = PAUSE_MIN * 10 * left.found_nothing;
                serving.give_back.left().insert(later, left);
            }
            Released::FoundNothing => backoff.reset(),
            Released::NoAnswer => {
                let pause = backoff.next_pause();
                serving.give_back.left().insert(pause, left);
                tokio::time::sleep(pause).await;
            }
        }
    }
}
