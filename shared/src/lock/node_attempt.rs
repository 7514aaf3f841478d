//! A token on one node: the calls about it, one after the other, and whether it may still stand there.
//!
//! Calls take turns: a release that was asked for while a take was on its way follows it, and gives a late grant back.
//! Each call may be made twice, since the token is of one attempt alone. What a release cannot reach is given back
//! later (`give_back.rs`); if the process dies, the TTL ends it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::background::Background;
use super::call::Call;
use super::give_back::{Leftover, Released};
use super::lease::Lease;
use super::node::{Node, NodeLink, Permit};
use super::quorum::Vote;
use crate::connection::failure::{Failure, Refusal};
use crate::scripts::ScriptError;
use crate::scripts::lock::{LineReply, LockKeys, NodeReply, Waiter, extend, leave, line, release, take};

/// How long a late answer is waited for in the background at least, to give a late grant back.
const LATE_ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// What a token is of, and whose.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) key: String,
    /// The key of who is next in line for it.
    pub(super) next_key: String,
    pub(super) token: String,
    /// Who this process is in that line, and for how long its place is kept.
    pub(super) waiter: Arc<str>,
    pub(super) kept: Duration,
}

/// A token on one node.
#[derive(Debug)]
pub(super) struct NodeAttempt {
    pub(super) node: Arc<Node>,
    subject: Arc<Subject>,
    ttl: Duration,
    node_timeout: Duration,
    background: Background,
    /// Held during a call: they take turns, first come, first served.
    turn: tokio::sync::Mutex<()>,
    stands: AtomicU8,
    /// A take was never answered, and may be executed at any time.
    uncertain: AtomicBool,
    /// Whether the node said last that this process is next in line.
    next: AtomicBool,
    /// Whether somebody was in line when it was given back.
    awaited: AtomicBool,
    /// How many microseconds the last answer took.
    round_trip: AtomicU64,
    runtime: Handle,
}

/// Whether the token is on the node, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stands {
    /// Nothing was sent, or the node said so.
    No,
    /// A call is on its way, or was not answered.
    Perhaps,
    Yes,
}

impl Leftover for NodeAttempt {
    fn ttl(&self) -> Duration {
        self.ttl
    }

    fn is_uncertain(&self) -> bool {
        self.uncertain.load(Ordering::Relaxed)
    }

    fn background(&self) -> &Background {
        &self.background
    }

    fn release_again(&self) -> BoxFuture<'_, Released> {
        Box::pin(async {
            let _turn = self.turn.lock().await;
            match self.in_turn(Call::Release).await {
                Vote::Ours => Released::Yes,
                Vote::Gone | Vote::Taken { .. } => Released::FoundNothing,
                Vote::Broken(_) => Released::NoAnswer,
            }
        })
    }
}

impl NodeAttempt {
    pub(super) fn new(
        node: &Arc<Node>,
        subject: &Arc<Subject>,
        (ttl, node_timeout): (Duration, Duration),
        background: &Background,
    ) -> Self {
        Self {
            node: Arc::clone(node),
            subject: Arc::clone(subject),
            ttl,
            node_timeout,
            background: background.clone(),
            turn: tokio::sync::Mutex::new(()),
            stands: AtomicU8::new(Stands::No as u8),
            uncertain: AtomicBool::new(false),
            next: AtomicBool::new(false),
            awaited: AtomicBool::new(false),
            round_trip: AtomicU64::new(0),
            runtime: Handle::current(),
        }
    }

    pub(super) fn node_timeout(&self) -> Duration {
        self.node_timeout
    }

    /// Whether the node said last that the token stands there.
    pub(super) fn stands(&self) -> bool {
        self.stands.load(Ordering::Relaxed) == Stands::Yes as u8
    }

    /// Whether the token may be there, or get there.
    pub(super) fn may_stand(&self) -> bool {
        self.is_uncertain() || self.stands.load(Ordering::Relaxed) != Stands::No as u8
    }

    /// Whether this process is next in line, as the node said last.
    pub(super) fn is_next(&self) -> bool {
        self.next.load(Ordering::Relaxed)
    }

    /// Whether somebody was next in line when it was given back.
    pub(super) fn is_awaited(&self) -> bool {
        self.awaited.load(Ordering::Relaxed)
    }

    /// How long the last answer took.
    pub(super) fn round_trip(&self) -> Duration {
        Duration::from_micros(self.round_trip.load(Ordering::Relaxed))
    }

    /// Takes or extends it. Once more if the answer was lost while somebody may still wait for it.
    pub(super) async fn call(self: Arc<Self>, call: Call, _permit: Permit) -> Vote {
        // A turn that is free is taken at once, whatever else this task has done: see `UnderWay`.
        let _turn = match (self.turn.try_lock(), call) {
            (Ok(turn), _) => turn,
            // Extensions must not queue up behind a black hole.
            (Err(_), Call::Extend) => {
                let detail = "an earlier call has no answer yet";
                return Vote::Broken(Failure::not_applied(Refusal::Unreachable, detail));
            }
            (Err(_), Call::Take | Call::TakeInLine | Call::Release) => self.turn.lock().await,
        };
        self.in_turn(call).await
    }

    /// Takes it again on a node that has lost it, if `lease` is still valid when its turn comes.
    ///
    /// Safe, because a valid lease means that a quorum keeps our token: another holder needs a node of that quorum,
    /// and has none; the take itself overwrites nothing (NX). Executed late, when the lease has ended, it blocks this
    /// one node at most until the TTL: it never counts, since a lease that has ended stays ended. If the process dies
    /// or the reply is lost, it is the same.
    pub(super) async fn take_again(self: Arc<Self>, lease: Lease) {
        let _turn = self.turn.lock().await;
        if self.stands() {
            return;
        }
        let Ok(_permit) = self.node.permit(Call::Take, self.node_timeout).await else { return };
        // A release makes the lease end before it asks for its turn, so it is never overtaken by this.
        if lease.check().is_ok() {
            self.in_turn(Call::Take).await;
        }
    }

    /// Gives it back; what cannot be reached now is given back later.
    pub(super) async fn release(self: Arc<Self>) -> Vote {
        let _turn = self.turn.lock().await;
        if !self.may_stand() {
            return Vote::Ours;
        }
        let Ok(_permit) = self.node.permit(Call::Release, self.node_timeout).await else {
            self.node.give_back.add(self.clone());
            return Vote::Broken(Failure::not_applied(Refusal::NoLink, "no link for a release"));
        };
        let vote = self.in_turn(Call::Release).await;
        let done = match vote {
            Vote::Ours => true,
            Vote::Gone | Vote::Taken { .. } => !self.is_uncertain(),
            Vote::Broken(_) => false,
        };
        if !done {
            self.node.give_back.add(self.clone());
        }
        match vote {
            // What a release leaves behind is right, whoever gave it back.
            Vote::Gone | Vote::Taken { .. } => Vote::Ours,
            vote => vote,
        }
    }

    /// After the lock was granted by the other nodes: takes it here too, or leaves the place in line, which would keep
    /// it from everybody else once it is given back. It is safe for the same reason as [`NodeAttempt::take_again`].
    pub(super) async fn settle_place(self: Arc<Self>, lease: Lease) {
        let _turn = self.turn.lock().await;
        if self.is_next() && lease.check().is_ok() {
            let Ok(_permit) = self.node.permit(Call::Take, self.node_timeout).await else { return };
            self.in_turn(Call::TakeInLine).await;
        }
        self.leave_line().await;
    }

    /// Leaves the place in line, in the background; if that fails, it ends by itself.
    pub(super) fn leave_line_later(self: &Arc<Self>) {
        let (node_attempt, busy) = (Arc::clone(self), self.background.busy());
        self.runtime.spawn(async move {
            let _turn = node_attempt.turn.lock().await;
            node_attempt.leave_line().await;
            drop(busy);
        });
    }

    async fn leave_line(&self) {
        if !self.next.swap(false, Ordering::Relaxed) {
            return;
        }
        let Ok(_permit) = self.node.permit(Call::Release, self.node_timeout).await else { return };
        let Ok(mut link) = self.node.link(true).await else { return };
        let within = self.node_timeout.max(LATE_ANSWER_WITHIN);
        if let Ok(Ok(())) = timeout(within, leave(&mut link.link, self.keys(), &self.subject.waiter)).await {
            self.node.put_back(link);
        }
    }

    async fn in_turn(&self, call: Call) -> Vote {
        if call.takes() {
            self.know(Stands::Perhaps);
        }
        let begun = Instant::now();
        let mut vote = self.try_call(call, true).await;
        let waits = call == Call::Release || begun.elapsed() < self.node_timeout;
        if waits && matches!(&vote, Vote::Broken(failure) if failure.may_have_happened()) {
            vote = self.try_call(call, false).await;
        }
        self.node.note(&vote);
        match (call, &vote) {
            (Call::Take | Call::TakeInLine | Call::Extend, Vote::Ours) => self.know(Stands::Yes),
            (Call::Release, Vote::Ours) => {
                self.uncertain.store(false, Ordering::Relaxed);
                self.know(Stands::No);
            }
            (_, Vote::Gone | Vote::Taken { .. }) => self.know(Stands::No),
            // Nothing was sent, not even before: what may have been sent is uncertain.
            (Call::Take | Call::TakeInLine, Vote::Broken(failure)) if !failure.may_have_happened() => {
                self.know(Stands::No)
            }
            (_, Vote::Broken(_)) => {}
        }
        vote
    }

    fn know(&self, stands: Stands) {
        self.stands.store(stands as u8, Ordering::Relaxed);
    }

    async fn try_call(&self, call: Call, idle: bool) -> Vote {
        let mut link = match self.node.link(idle).await {
            Ok(link) => link,
            Err(failure) => return Vote::Broken(failure),
        };
        let within = self.node_timeout.max(LATE_ANSWER_WITHIN);
        let asked_at = Instant::now();
        let word = match timeout(within, self.speak(call, &mut link)).await {
            Ok(word) => word,
            Err(_) => Err(Failure::unknown(format!("no answer within {within:?}"))),
        };
        match word {
            Ok(word) => {
                let took = u64::try_from(asked_at.elapsed().as_micros()).unwrap_or(u64::MAX);
                self.round_trip.store(took, Ordering::Relaxed);
                self.node.put_back(link);
                match word {
                    NodeReply::Ours => Vote::Ours,
                    NodeReply::Gone => Vote::Gone,
                    NodeReply::Taken(token) => Vote::Taken { token },
                }
            }
            Err(failure) => {
                if failure.spoils_connection() {
                    self.node.broke();
                } else {
                    self.node.put_back(link);
                }
                if call.takes() && failure.may_have_happened() {
                    self.uncertain.store(true, Ordering::Relaxed);
                }
                Vote::Broken(failure)
            }
        }
    }

    fn keys(&self) -> LockKeys<'_> {
        LockKeys { lock: &self.subject.key, next: &self.subject.next_key }
    }

    async fn speak(&self, call: Call, NodeLink { link, .. }: &mut NodeLink) -> Result<NodeReply, Failure> {
        let Subject { key, token, waiter, kept, .. } = &*self.subject;
        let word = match call {
            Call::Take => return take(link, key, token, self.ttl).await,
            Call::TakeInLine => {
                let waiter = Waiter { id: waiter, kept: *kept };
                line(link, self.keys(), (token, self.ttl), waiter).await.map(|word| {
                    self.next.store(matches!(word, LineReply::Next(_)), Ordering::Relaxed);
                    match word {
                        LineReply::NodeReply(word) => word,
                        LineReply::Next(owner) => NodeReply::Taken(owner),
                    }
                })
            }
            Call::Extend => extend(link, key, token, self.ttl).await,
            Call::Release => release(link, self.keys(), token).await.map(|(word, awaited)| {
                self.awaited.store(awaited, Ordering::Relaxed);
                word
            }),
        };
        word.map_err(|error| match error {
            ScriptError::Failure(failure) => failure,
            other => Failure::unknown(other.to_string()),
        })
    }
}
