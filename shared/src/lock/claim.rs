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

use super::give_back::Background;
use super::lease::Lease;
use super::node::Permit;
use super::nodes::LockNodes;
use super::queue::Place;
use super::quorum::{Standing, Tally, Vote};
use super::seat::{Call, Seat};
use crate::failure::Failure;

/// A failed attempt waits at least so long for nodes that have not answered to hear its release.
const GIVEN_BACK_WITHIN: Duration = Duration::from_millis(50);

/// A token on all nodes. Dropped, it is given back in the background.
#[derive(Debug)]
pub(super) struct Claim {
    seats: Arc<[Arc<Seat>]>,
    /// Which node is asked first where others want the same lock.
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

impl Claim {
    /// Prepares one on the current runtime; nothing is sent yet. `token` must be used for this claim alone.
    pub(super) fn new(
        nodes: &LockNodes,
        (key, token): (&str, &str),
        (ttl, node_timeout): (Duration, Duration),
    ) -> Self {
        let seat = |node| Arc::new(Seat::new(node, (key, token), (ttl, node_timeout), nodes.background()));
        let seats = nodes.iter().map(seat).collect();
        let runtime = Handle::current();
        Self { seats, first: nodes.asked_first(), runtime, open: true, place: None }
    }

    /// Asks every node for it, and ends as soon as the result stands.
    ///
    /// Where others want the same lock (`contended`), one node is asked alone first, the same for everybody: whoever
    /// gets it goes on to the others, and the rest have cost one call and left nothing behind. So no votes are
    /// split, however many there are. It only orders who asks; a quorum is needed all the same.
    pub(super) async fn take(&self, contended: bool) -> Round {
        let mut tally = Tally::new(self.seats.len());
        let sent_at = FirstSent::default();
        if contended && self.seats.len() > 1 {
            self.ask(Call::Take, &mut tally, &sent_at, |index| index == self.first).await;
            if matches!(tally.votes[self.first], Some(Vote::Taken { .. })) {
                return Round { tally, sent_at: sent_at.get() };
            }
        }
        self.ask(Call::Take, &mut tally, &sent_at, |_| true).await;
        Round { tally, sent_at: sent_at.get() }
    }

    /// Asks the nodes that `which` names and that have not voted, until the result stands or all of them have.
    async fn ask(&self, call: Call, tally: &mut Tally, sent_at: &FirstSent, which: impl Fn(usize) -> bool) {
        ask(&self.seats, call, tally, sent_at, which).await;
    }

    /// What is needed to extend it, without the duty to give it back.
    pub(super) fn extender(&self) -> Extender {
        Extender { seats: Arc::clone(&self.seats), runtime: self.runtime.clone() }
    }

    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        self.seats.iter().map(|seat| seat.node.name.clone())
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
        quorum_heard(calls, self.seats.len(), self.node_timeout()).await;
        drop(place);
    }

    /// Like [`Claim::release`] after a failure, where each node may have a part: waits for all that said so, and a
    /// little for those that have not answered. A black hole is not waited for.
    pub(super) async fn abandon(mut self, began_at: Instant) {
        self.open = false;
        let granted = self.seats.iter().filter(|seat| seat.stands()).count();
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
        let seats = self.seats.iter().filter(|seat| seat.may_stand());
        let call = |seat: &Arc<Seat>| {
            let stood = seat.stands();
            let release = UnderWay::new(seat, Arc::clone(seat).release().boxed(), true);
            async move { (stood, release.await) }.boxed()
        };
        seats.map(call).collect()
    }

    fn node_timeout(&self) -> Duration {
        self.seats.first().map_or(Duration::ZERO, |seat| seat.node_timeout())
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.open {
            return;
        }
        let place = self.place.take();
        let nodes = self.seats.len();
        let node_timeout = self.node_timeout();
        let calls = FuturesUnordered::new();
        for seat in self.seats.iter().filter(|seat| seat.may_stand()) {
            let busy = seat.background().busy();
            let release = self.runtime.spawn(Arc::clone(seat).release());
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
            self.runtime.spawn(async move {
                quorum_heard(calls, nodes, node_timeout).await;
                drop(place);
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

/// Extends a claim.
#[derive(Debug, Clone)]
pub(super) struct Extender {
    seats: Arc<[Arc<Seat>]>,
    runtime: Handle,
}

impl Extender {
    /// Asks every node to keep it for another TTL.
    pub(super) async fn extend(&self) -> Round {
        let mut tally = Tally::new(self.seats.len());
        let sent_at = FirstSent::default();
        ask(&self.seats, Call::Extend, &mut tally, &sent_at, |_| true).await;
        Round { tally, sent_at: sent_at.get() }
    }

    /// Takes it again, in the background, on nodes that have lost it: restarted empty, say, or not reached when it
    /// was taken. To be called when an extension had its quorum, and with the lease that it extended: why that is
    /// safe is argued at [`Seat::take_again`].
    pub(super) fn repair(&self, tally: &Tally, lease: &Lease) {
        for (index, seat) in self.seats.iter().enumerate() {
            if tally.repairs(index, seat.may_stand()) {
                self.runtime.spawn(Arc::clone(seat).take_again(lease.clone()));
            }
        }
    }

    /// On how many nodes it stands, as far as they said.
    pub(super) fn stands_on(&self) -> usize {
        self.seats.iter().filter(|seat| seat.stands()).count()
    }

    pub(super) fn nodes(&self) -> usize {
        self.seats.len()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        self.seats.iter().map(|seat| seat.node.name.clone())
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

async fn ask(
    seats: &[Arc<Seat>],
    call: Call,
    tally: &mut Tally,
    sent_at: &FirstSent,
    which: impl Fn(usize) -> bool,
) {
    let open = seats.iter().enumerate().filter(|(index, _)| tally.votes[*index].is_none() && which(*index));
    let mut answers: FuturesUnordered<_> =
        open.map(|(index, seat)| async move { (index, ask_one(seat, call, sent_at).await) }).collect();
    while tally.standing() == Standing::Open
        && let Some((index, vote)) = answers.next().await
    {
        tally.votes[index] = Some(vote);
    }
}

async fn ask_one(seat: &Arc<Seat>, call: Call, sent_at: &FirstSent) -> Vote {
    let permit: Permit = match seat.node.permit(call, seat.node_timeout()).await {
        Ok(permit) => permit,
        Err(failure) => return Vote::Broken(failure),
    };
    // Before it is sent: whatever the nodes count, it begins later.
    sent_at.note();
    let patience = seat.node.patience(seat.node_timeout());
    // Neither a take nor an extension that has not begun goes on without its waiter: the release that follows would
    // not find its turn taken, and overtake it.
    let under_way = UnderWay::new(seat, Arc::clone(seat).call(call, permit).boxed(), false);
    match timeout(patience, under_way).await {
        Ok(vote) => vote,
        Err(_) => {
            let vote = Vote::Broken(Failure::unknown(format!("no answer within {patience:?}")));
            seat.node.note(&vote);
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
    fn new(seat: &Seat, call: BoxFuture<'static, Vote>, goes_on: bool) -> Self {
        let background = seat.background().clone();
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
