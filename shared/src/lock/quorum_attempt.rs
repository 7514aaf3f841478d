//! One attempt at a lock: a token of its own on every node, and the rounds of calls about it.
//!
//! Whoever waits for a round may give up without cutting a connection: calls that are still on their way then go on
//! in tasks of their own. Must not use a token twice.
//!
//! If the process dies at any point, what is left on the nodes ends with its TTL.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::runtime::Handle;
use tokio::time::{timeout, timeout_at};

use super::background::Background;
use super::call::Call;
use super::give_back::Leftover;
use super::lease::Lease;
use super::line::Way;
use super::node::Permit;
use super::node_attempt::{NodeAttempt, Subject};
use super::nodes::LockNodes;
use super::queue::Place;
use super::quorum::{QuorumResult, Tally, Vote};
use crate::connection::failure::Failure;

/// A failed attempt waits at least so long for nodes that have not answered to hear its release.
const GIVEN_BACK_WITHIN: Duration = Duration::from_millis(50);

/// For so large a part of the TTL nodes are asked again that are about to be free: what a quorum has granted is worth
/// less by that.
const ASKED_AGAIN_FOR: u32 = 8;
/// So many rounds that gain no node end an attempt: what it waits for is no release.
const ROUNDS_WITHOUT_GAIN: u32 = 2;

/// A token on all nodes. Dropped, it is given back in the background.
#[derive(Debug)]
pub(super) struct QuorumAttempt {
    node_attempts: Arc<[Arc<NodeAttempt>]>,
    subject: Arc<Subject>,
    /// Which node keeps the line.
    first: usize,
    /// The runtime that took it, since a drop may happen outside of any.
    runtime: Handle,
    open: bool,
    /// The process's own queue goes on when a quorum has heard of the release.
    place: Option<Place>,
}

/// What a round came to.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) tally: Tally,
    /// From before the first call was sent.
    pub(super) sent_at: Instant,
}

impl QuorumAttempt {
    /// Prepares one on the current runtime; nothing is sent yet. Its token must be used for this attempt alone.
    pub(super) fn new(
        nodes: &LockNodes,
        subject: Subject,
        (ttl, node_timeout): (Duration, Duration),
    ) -> Self {
        let subject = Arc::new(subject);
        let node_attempt =
            |node| Arc::new(NodeAttempt::new(node, &subject, (ttl, node_timeout), nodes.background()));
        let node_attempts = nodes.iter().map(node_attempt).collect();
        let runtime = Handle::current();
        Self { node_attempts, subject, first: nodes.asked_first(), runtime, open: true, place: None }
    }

    /// Asks the nodes for it, and ends as soon as the result stands.
    ///
    /// In line, one node says whether it is our turn at all (`line.rs`). If it is, and only a part of the nodes is ours,
    /// the rest still have to hear of the last holder's release: these are asked again, for a while, and what has been
    /// granted is kept meanwhile. All of it counts from before the first call: for everybody else a node that is asked
    /// again is one whose answer took longer, so a lease gets shorter by it at most, and what it excludes stays excluded.
    pub(super) async fn take(&self, way: Way) -> Round {
        let mut tally = Tally::new(self.node_attempts.len());
        let sent_at = FirstSent::default();
        if way == Way::All {
            self.ask(&mut tally, &sent_at, |_| Call::Take, |_| true).await;
            return Round { tally, sent_at: sent_at.get() };
        }
        let call = |index| if index == self.first { Call::TakeInLine } else { Call::Take };
        if way == Way::OneFirst {
            self.ask(&mut tally, &sent_at, call, |index| index == self.first).await;
            if matches!(tally.votes[self.first], Some(Vote::Taken { .. })) {
                return Round { tally, sent_at: sent_at.get() };
            }
        }
        let began_at = Instant::now();
        let (mut most, mut without_gain) = (0, 0);
        loop {
            self.ask(&mut tally, &sent_at, call, |_| true).await;
            let ours = tally.ours();
            without_gain = if ours > most { 0 } else { without_gain + 1 };
            most = most.max(ours);
            let waits = ours > 0 && matches!(tally.standing(), QuorumResult::NotOurs | QuorumResult::Split);
            let over = began_at.elapsed() > self.ttl() / ASKED_AGAIN_FOR;
            if !waits || over || without_gain >= ROUNDS_WITHOUT_GAIN {
                return Round { tally, sent_at: sent_at.get() };
            }
            tokio::time::sleep((self.round_trip() / 4).max(Duration::from_millis(1))).await;
            for vote in tally.votes.iter_mut().filter(|vote| matches!(vote, Some(Vote::Taken { .. }))) {
                *vote = None;
            }
        }
    }

    /// Asks the nodes that `which` names and that have not voted, until the result stands or all of them have. In line,
    /// a part that is ours has to be known: an answer that comes a little later is waited for.
    async fn ask(
        &self,
        tally: &mut Tally,
        sent_at: &FirstSent,
        call: impl Fn(usize) -> Call,
        which: impl Fn(usize) -> bool,
    ) {
        let in_line = call(self.first) == Call::TakeInLine;
        ask(&self.node_attempts, call, (tally, sent_at), which, in_line).await;
    }

    /// The node that keeps the line.
    pub(super) fn first(&self) -> &Arc<NodeAttempt> {
        &self.node_attempts[self.first]
    }

    pub(super) fn token(&self) -> &str {
        &self.subject.token
    }

    fn ttl(&self) -> Duration {
        self.first().ttl()
    }

    fn round_trip(&self) -> Duration {
        self.first().round_trip()
    }

    /// After it was granted: where the node that keeps the line was not among those that granted it.
    pub(super) fn settle_place(&self, lease: &Lease) {
        if !self.first().stands() {
            self.runtime.spawn(Arc::clone(self.first()).settle_place(lease.clone()));
        }
    }

    /// What is needed to extend it, without the duty to give it back.
    pub(super) fn extender(&self) -> Extender {
        Extender { node_attempts: Arc::clone(&self.node_attempts), runtime: self.runtime.clone() }
    }

    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        self.node_attempts.iter().map(|node_attempt| node_attempt.node.name.clone())
    }

    /// Others of this process wait behind `place` until a quorum has heard of the release.
    pub(super) fn hold_place(&mut self, place: Place) {
        self.place = Some(place);
    }

    /// Gives it back wherever it may stand, and waits for a quorum to have done so: the next owner needs no more.
    /// The others follow in the background.
    pub(super) async fn release(mut self) {
        self.open = false;
        let calls = self.releases();
        let place = self.place.take();
        quorum_heard(calls, self.node_attempts.len(), self.node_timeout()).await;
        Place::left(place, self.first());
    }

    /// Like [`QuorumAttempt::release`] after a failure, where each node may have a part: waits for all that said so, and a
    /// little for those that have not answered. A black hole is not waited for.
    pub(super) async fn abandon(mut self, began_at: Instant) {
        self.open = false;
        let granted = self.node_attempts.iter().filter(|node_attempt| node_attempt.stands()).count();
        let mut calls = self.releases();
        let granted_until = Instant::now() + self.node_timeout();
        // As long again as the answers took that decided it.
        let all_until =
            Instant::now() + (began_at.elapsed() * 2).max(GIVEN_BACK_WITHIN).min(self.node_timeout());
        let mut heard = 0;
        loop {
            let until = if heard < granted { granted_until } else { all_until };
            match timeout_at(until.into(), calls.next()).await {
                Ok(Some((stood, _))) => heard += usize::from(stood),
                Ok(None) | Err(_) => break,
            }
        }
    }

    /// Releases under way, with whether the token was known to stand there.
    fn releases(&self) -> FuturesUnordered<BoxFuture<'static, (bool, Vote)>> {
        let node_attempts = self.node_attempts.iter().filter(|node_attempt| node_attempt.may_stand());
        let call = |node_attempt: &Arc<NodeAttempt>| {
            let stood = node_attempt.stands();
            let release = UnderWay::new(node_attempt, Arc::clone(node_attempt).release().boxed(), true);
            async move { (stood, release.await) }.boxed()
        };
        node_attempts.map(call).collect()
    }

    fn node_timeout(&self) -> Duration {
        self.node_attempts.first().map_or(Duration::ZERO, |node_attempt| node_attempt.node_timeout())
    }
}

impl Drop for QuorumAttempt {
    fn drop(&mut self) {
        if !self.open {
            return;
        }
        let place = self.place.take();
        let nodes = self.node_attempts.len();
        let node_timeout = self.node_timeout();
        let calls = FuturesUnordered::new();
        for node_attempt in self.node_attempts.iter().filter(|node_attempt| node_attempt.may_stand()) {
            let busy = node_attempt.background().busy();
            let release = self.runtime.spawn(Arc::clone(node_attempt).release());
            calls.push(
                async move {
                    let vote = release.await.unwrap_or_else(|_| Vote::Broken(Failure::unknown("no runtime")));
                    drop(busy);
                    (true, vote)
                }
                .boxed(),
            );
        }
        if place.is_some() {
            let first = Arc::clone(self.first());
            self.runtime.spawn(async move {
                quorum_heard(calls, nodes, node_timeout).await;
                Place::left(place, &first);
            });
        }
    }
}

async fn quorum_heard(
    mut calls: FuturesUnordered<BoxFuture<'static, (bool, Vote)>>,
    nodes: usize,
    within: Duration,
) {
    // Where it never stood, nothing has to be heard.
    let mut heard = nodes - calls.len();
    let give_up_at = Instant::now() + within;
    while heard < super::quorum::quorum(nodes) {
        match timeout_at(give_up_at.into(), calls.next()).await {
            Ok(Some((_, Vote::Ours))) => heard += 1,
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => break,
        }
    }
}

/// Extends what an attempt has.
#[derive(Debug, Clone)]
pub(super) struct Extender {
    node_attempts: Arc<[Arc<NodeAttempt>]>,
    runtime: Handle,
}

impl Extender {
    /// Asks every node to keep it for another TTL.
    pub(super) async fn extend(&self) -> Round {
        let mut tally = Tally::new(self.node_attempts.len());
        let sent_at = FirstSent::default();
        ask(&self.node_attempts, |_| Call::Extend, (&mut tally, &sent_at), |_| true, false).await;
        Round { tally, sent_at: sent_at.get() }
    }

    /// Takes it again, in the background, on nodes that have lost it: restarted empty, say, or not reached when it
    /// was taken. To be called when an extension had its quorum, and with the lease that it extended: why that is
    /// safe is argued at [`NodeAttempt::take_again`].
    pub(super) fn repair(&self, tally: &Tally, lease: &Lease) {
        for (index, node_attempt) in self.node_attempts.iter().enumerate() {
            if tally.repairs(index, node_attempt.may_stand()) {
                self.runtime.spawn(Arc::clone(node_attempt).take_again(lease.clone()));
            }
        }
    }

    /// On how many nodes it stands, as far as they said.
    pub(super) fn stands_on(&self) -> usize {
        self.node_attempts.iter().filter(|node_attempt| node_attempt.stands()).count()
    }

    pub(super) fn nodes(&self) -> usize {
        self.node_attempts.len()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        self.node_attempts.iter().map(|node_attempt| node_attempt.node.name.clone())
    }
}

/// When the first call of a round was sent.
#[derive(Debug, Default)]
struct FirstSent(Mutex<Option<Instant>>);

impl FirstSent {
    fn note(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(Instant::now);
    }

    /// Now, if nothing was sent: what nobody granted is worth nothing, whenever it began.
    fn get(&self) -> Instant {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).unwrap_or_else(Instant::now)
    }
}

/// Asks the nodes that `which` names and that have not voted, until the result stands or all of them have; if
/// `all_of_them`, for as long again as it took until the result stood.
async fn ask(
    node_attempts: &[Arc<NodeAttempt>],
    call: impl Fn(usize) -> Call,
    (tally, sent_at): (&mut Tally, &FirstSent),
    which: impl Fn(usize) -> bool,
    all_of_them: bool,
) {
    let open =
        node_attempts.iter().enumerate().filter(|(index, _)| tally.votes[*index].is_none() && which(*index));
    let calls = open.map(|(index, node_attempt)| {
        let call = call(index);
        async move { (index, ask_one(node_attempt, call, sent_at).await) }
    });
    let mut answers: FuturesUnordered<_> = calls.collect();
    let began_at = Instant::now();
    while tally.standing() == QuorumResult::Open
        && let Some((index, vote)) = answers.next().await
    {
        tally.votes[index] = Some(vote);
    }
    if all_of_them && tally.standing() != QuorumResult::Ours {
        let until = Instant::now() + began_at.elapsed();
        while let Ok(Some((index, vote))) = timeout_at(until.into(), answers.next()).await {
            tally.votes[index] = Some(vote);
        }
    }
}

async fn ask_one(node_attempt: &Arc<NodeAttempt>, call: Call, sent_at: &FirstSent) -> Vote {
    let permit: Permit = match node_attempt.node.permit(call, node_attempt.node_timeout()).await {
        Ok(permit) => permit,
        Err(failure) => return Vote::Broken(failure),
    };
    // Before it is sent: whatever the nodes count, it begins later.
    sent_at.note();
    let answer_within = node_attempt.node.answer_within(node_attempt.node_timeout());
    // Neither a take nor an extension that has not begun goes on without its waiter: the release that follows would
    // not find its turn taken, and overtake it.
    let under_way = UnderWay::new(node_attempt, Arc::clone(node_attempt).call(call, permit).boxed(), false);
    match timeout(answer_within, under_way).await {
        Ok(vote) => vote,
        Err(_) => {
            let vote = Vote::Broken(Failure::unknown(format!("no answer within {answer_within:?}")));
            node_attempt.node.note(&vote);
            vote
        }
    }
}

/// A call that runs as part of the task that waits for it, which saves a task for each; dropped before its answer,
/// it goes on in one of its own.
struct UnderWay {
    /// `None` once it is answered.
    call: Option<BoxFuture<'static, Vote>>,
    /// Whether it goes on without its waiter: once it has begun, or from the beginning.
    goes_on: bool,
    runtime: Handle,
    background: Background,
}

impl UnderWay {
    fn new(node_attempt: &NodeAttempt, call: BoxFuture<'static, Vote>, goes_on: bool) -> Self {
        let background = node_attempt.background().clone();
        Self { call: Some(call), goes_on, runtime: Handle::current(), background }
    }
}

impl Future for UnderWay {
    type Output = Vote;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Vote> {
        self.goes_on = true;
        let Some(call) = &mut self.call else { return Poll::Pending };
        let vote = ready!(call.as_mut().poll(context));
        self.call = None;
        Poll::Ready(vote)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Some(call) = self.call.take()
            && self.goes_on
        {
            let busy = self.background.busy();
            self.runtime.spawn(async move {
                call.await;
                drop(busy);
            });
        }
    }
}
