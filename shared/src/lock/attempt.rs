//! Getting a lock: one attempt, and attempts until the time is over.
//!
//! Relies on `queue.rs` for the turn within this process and on `quorum_attempt.rs` for the calls. Must not count a grant from
//! later than before its first call, and must give back what a failed attempt got.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::time::{timeout, timeout_at};

use super::error::{LockError, NotGranted};
use super::held::HeldLock;
use super::lease::Lease;
use super::line::{Line, Way};
use super::look::{Look, NodeLook};
use super::node::Node;
use super::node_attempt::Subject;
use super::nodes::LockNodes;
use super::options::LockOptions;
use super::queue::Queue;
use super::quorum::{QuorumResult, Tally, Vote, valid_until};
use super::quorum_attempt::{QuorumAttempt, Round};
use super::token::token;
use crate::connection::backoff::Backoff;
use crate::connection::failure::Failure;
use crate::protocol::ids::LockName;
use crate::scripts::ScriptError;
use crate::scripts::lock;

/// Of the attempts of one waiter, every eighth is followed by a look at who has it; the first after the second.
const LOOK_EVERY: u32 = 8;

/// A lock that somebody wants.
pub(super) struct Wanted<'a> {
    pub(super) nodes: &'a LockNodes,
    /// What others see of this process.
    pub(super) owner: &'a Arc<str>,
    pub(super) name: &'a LockName,
    pub(super) key: &'a str,
    pub(super) next_key: String,
    pub(super) options: &'a LockOptions,
}

impl Wanted<'_> {
    /// Attempts until one is granted, or the time is over.
    pub(super) async fn acquire(&self, queue: &Arc<Queue>) -> Result<HeldLock, LockError> {
        let began_at = Instant::now();
        if self.options.wait.is_zero() {
            return self.in_turn(queue, began_at, false).await;
        }
        // A sum that is beyond the clock is no end within anybody's life.
        let ends_at =
            began_at.checked_add(self.options.wait).unwrap_or(began_at + super::options::TTL_MAX * 24 * 365);
        let _listed = queue.list(began_at, self.options);
        let mut attempts = 0_u32;
        // Random and growing, so that those who met do not meet again.
        let longest = self.options.retry_delay_max;
        let mut backoff = Backoff::new((longest / 16).max(Duration::from_millis(1)), longest);
        loop {
            let Ok(_front) = timeout_at(ends_at.into(), queue.front.lock()).await else {
                return self.in_turn(queue, began_at, true).await;
            };
            loop {
                if timeout_at(ends_at.into(), queue.free_here()).await.is_err() {
                    return self.in_turn(queue, began_at, true).await;
                }
                let longest = queue.retry_delay_max(self.options.retry_delay_max);
                // Where there is a line, others have their turn by that.
                let in_line = self.has_line() && queue.line.is_contended();
                if !in_line && queue.lets_others_in(longest) && Instant::now() + longest < ends_at {
                    tokio::time::sleep(longest).await;
                }
                // Whoever has come to the front too late is content with what the others were told.
                let now = Instant::now();
                let since = if now < ends_at { now } else { began_at };
                let error = match self.in_turn(queue, since, true).await {
                    Ok(lock) => return Ok(lock),
                    Err(error) => error,
                };
                attempts += 1;
                let pause = queue.line.pause().unwrap_or_else(|| backoff.next_pause()).min(longest);
                if Instant::now() + pause >= ends_at {
                    return Err(error);
                }
                tracing::trace!(%error, ?pause, "trying again");
                if queue.line.has_time() {
                    tokio::join!(tokio::time::sleep(pause), self.report(queue, began_at, attempts));
                } else {
                    tokio::time::sleep(pause).await;
                }
                if !matches!(error, LockError::Taken { .. }) {
                    // It failed on what these options ask for, perhaps: others need not wait behind it.
                    break;
                }
            }
        }
    }

    /// The votes of one node are never split: whoever comes first has it, and nobody has to wait for a turn.
    fn has_line(&self) -> bool {
        self.nodes.iter().count() > 1
    }

    /// One attempt, after those of others in this process that are under way. What one that began after `since` was
    /// told goes for this one too: a herd asks once.
    async fn in_turn(&self, queue: &Arc<Queue>, since: Instant, waits: bool) -> Result<HeldLock, LockError> {
        let _attempt = queue.attempt.lock().await;
        if let Some(error) = queue.failure_since(since, self.options) {
            return Err(error);
        }
        let began_at = Instant::now();
        // Whoever tries only once is told by a majority, not by the one node that is asked first.
        let in_line = waits && self.has_line() && !queue.goes_on(self.options.retry_delay_max);
        let way = if in_line { queue.line.way() } else { Way::All };
        let result = self.attempt(queue, way).await;
        if let Err(error) = &result {
            queue.failed(began_at, self.options, error);
        }
        result
    }

    async fn attempt(&self, queue: &Arc<Queue>, way: Way) -> Result<HeldLock, LockError> {
        let LockOptions { ttl, node_timeout, max_hold, .. } = *self.options;
        let began_at = Instant::now();
        let longest_pause = queue.retry_delay_max(self.options.retry_delay_max);
        let subject = Subject {
            key: self.key.to_owned(),
            next_key: self.next_key.clone(),
            token: token(self.owner),
            waiter: queue.line.waiter(),
            kept: Line::kept(longest_pause, node_timeout),
        };
        let quorum_attempt = QuorumAttempt::new(self.nodes, subject, (ttl, node_timeout));
        let Round { tally, sent_at } = quorum_attempt.take(way).await;
        let anothers =
            |vote: &Option<Vote>| matches!(vote, Some(Vote::Taken { token }) if queue.is_anothers(token));
        if tally.votes.iter().any(anothers) {
            queue.met_others();
        }
        if way != Way::All {
            queue.line.told(quorum_attempt.first(), longest_pause);
        }
        let error = match tally.standing() {
            QuorumResult::Ours => {
                let granted = (sent_at, valid_until(sent_at, ttl));
                let lease = Lease::new(self.name.clone(), ttl, granted, max_hold);
                match lease.check() {
                    Ok(()) => {
                        let place = queue.held(&lease, self.options, quorum_attempt.token());
                        if way != Way::All {
                            quorum_attempt.settle_place(&lease);
                        }
                        return Ok(HeldLock::new(quorum_attempt, place, lease, self.options, sent_at));
                    }
                    Err(_) => LockError::TooLate { name: self.name.clone(), ttl, took: sent_at.elapsed() },
                }
            }
            _ => self.refused(&tally, &quorum_attempt),
        };
        quorum_attempt.abandon(began_at).await;
        Err(error)
    }

    fn refused(&self, tally: &Tally, quorum_attempt: &QuorumAttempt) -> LockError {
        let (name, against) = (self.name.clone(), NotGranted::of(tally, quorum_attempt.names()));
        match tally.standing() {
            QuorumResult::Broken if tally.lacks_links() => LockError::NoLink { name, against },
            QuorumResult::Broken => LockError::Broken { name, against },
            // With `Open`, the node that is asked first has settled it.
            QuorumResult::Ours | QuorumResult::NotOurs | QuorumResult::Split | QuorumResult::Open => {
                LockError::Taken { name, against }
            }
        }
    }

    /// Has a look at who has it, every few attempts.
    async fn report(&self, queue: &Queue, since: Instant, attempts: u32) {
        if attempts % LOOK_EVERY != 2 {
            return;
        }
        let look = look(self.nodes, self.key, self.options.node_timeout).await;
        let waited = since.elapsed();
        // Said at info once a wait, after a while that is long for this lock.
        if waited > self.options.ttl && queue.is_news(since) {
            tracing::info!(lock = %self.name, ?waited, "still waiting for a lock: {look}");
        } else {
            tracing::debug!(lock = %self.name, ?waited, "waiting for a lock: {look}");
        }
        queue.saw(look);
    }
}

/// What each node says about who has a lock.
pub(super) async fn look(nodes: &LockNodes, key: &str, within: Duration) -> Look {
    let look = async |node: &Arc<Node>| {
        let silent = || Failure::unknown(format!("no answer within {within:?}"));
        let found = timeout(within, look_at(node, key)).await.unwrap_or_else(|_| Err(silent()));
        NodeLook { node: node.name.clone(), found: found.map(Into::into) }
    };
    Look { nodes: join_all(nodes.iter().map(look)).await }
}

async fn look_at(node: &Node, key: &str) -> Result<lock::Seen, Failure> {
    let mut last = Failure::unknown("not asked");
    for idle in [true, false] {
        let mut link = node.link(idle).await?;
        match lock::look(&mut link.link, key).await {
            Ok(seen) => {
                node.put_back(link);
                return Ok(seen);
            }
            Err(ScriptError::Failure(failure)) if failure.spoils_connection() => {
                node.broke();
                last = failure;
            }
            Err(ScriptError::Failure(failure)) => return Err(failure),
            Err(other) => return Err(Failure::unknown(other.to_string())),
        }
    }
    Err(last)
}
