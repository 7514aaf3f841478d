//! How to take a lock: for how long, how patiently, with how much patience for one node.

use std::time::Duration;

use super::error::LockError;

/// Shortest TTL: the granularity of Redis.
pub const TTL_MIN: Duration = Duration::from_millis(1);
/// Longest TTL: a lock whose owner died blocks the others for as long.
pub const TTL_MAX: Duration = Duration::from_secs(3600);

/// How a lock is taken and kept. Begin with [`LockOptions::of_ttl`]; the fields are free to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockOptions {
    /// How long the nodes keep it without an extension: [`TTL_MIN`] to [`TTL_MAX`], in whole milliseconds
    /// (parts are cut off). Others wait for so long after a crash; a pause longer than this loses the lock.
    pub ttl: Duration,
    /// How long to try if it is not granted at once; zero (the default) means one attempt.
    pub wait: Duration,
    /// The pauses between two attempts are random and grow from a sixteenth of this up to this: how long a free lock
    /// may stay unused at most, and how many calls somebody who waits costs at least. Only the first in line of each
    /// process makes attempts.
    pub retry_delay_max: Duration,
    /// How long to wait for the answer of one node, counted from when the call is sent. Far below the TTL: it is the
    /// price of a black hole.
    pub node_timeout: Duration,
    /// Whether it is extended while it is held.
    pub renewal: Renewal,
    /// The longest that it is held, whoever extends it: then the lease ends, and the TTL frees it. `None` (the
    /// default): for as long as somebody extends it, also if the work hangs or the [`HeldLock`](super::HeldLock) was
    /// leaked.
    pub max_hold: Option<Duration>,
}

/// Whether a lock is extended in the background.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    /// Every third of the TTL, until it is dropped, released or lost.
    Background,
    /// Not; [`HeldLock::extend`](super::HeldLock::extend) does it by hand.
    ByHand,
}

impl LockOptions {
    /// One attempt for this TTL, with renewal; the time-out per node is a twentieth of it, 20 to 250 ms.
    pub fn of_ttl(ttl: Duration) -> Self {
        Self {
            ttl,
            wait: Duration::ZERO,
            retry_delay_max: Duration::from_millis(500),
            node_timeout: (ttl / 20).clamp(Duration::from_millis(20), Duration::from_millis(250)),
            renewal: Renewal::Background,
            max_hold: None,
        }
    }

    /// The same, held for so long at most.
    #[must_use]
    pub fn max_hold(self, max_hold: Duration) -> Self {
        Self { max_hold: Some(max_hold), ..self }
    }

    /// The same, trying for this long.
    #[must_use]
    pub fn wait(self, wait: Duration) -> Self {
        Self { wait, ..self }
    }

    pub(super) fn checked(&self) -> Result<Self, LockError> {
        let wrong = |field, value, allowed| Err(LockError::Options { field, value, allowed });
        let ttl = Duration::from_millis(self.ttl.as_millis().try_into().unwrap_or(u64::MAX));
        if !(TTL_MIN..=TTL_MAX).contains(&ttl) {
            return wrong("ttl", self.ttl, "1 ms to 1 h");
        }
        if self.node_timeout.is_zero() || self.node_timeout > TTL_MAX {
            return wrong("node_timeout", self.node_timeout, "more than zero, at most 1 h");
        }
        if self.retry_delay_max.is_zero() && !self.wait.is_zero() {
            return wrong("retry_delay_max", self.retry_delay_max, "more than zero");
        }
        if let Some(max_hold) = self.max_hold.filter(Duration::is_zero) {
            return wrong("max_hold", max_hold, "more than zero");
        }
        Ok(Self { ttl, ..self.clone() })
    }
}

/// A TTL of 10 s.
impl Default for LockOptions {
    fn default() -> Self {
        Self::of_ttl(Duration::from_secs(10))
    }
}
