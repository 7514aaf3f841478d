//! One attempt at a lock: a token of its own on every node, and the rounds of calls about it.
//!
//! Whoever waits for a round may give up without cutting a connection: calls that are still on their way then go on
//! in tasks of their own. The calls about one token on one node happen one after the other: a release that was asked
//! for while a take was still on its way follows it, and gives a late grant back. Must not use a token twice.
//!
//! If the process dies at any point, what is left on the nodes ends with its TTL.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::runtime::Handle;
use tokio::time::timeout_at;

use super::nodes::{LockNodes, Node};
use super::quorum::{Standing, Tally, Vote};
use crate::failure::{Failure, Refusal};
use crate::link::Link;
use crate::scripts::ScriptError;
use crate::scripts::lock::{Word, extend, release, take};

/// A token on all nodes. Dropped, it is given back in the background.
#[derive(Debug)]
pub(super) struct Claim {
    seats: Arc<[Arc<Seat>]>,
    node_timeout: Duration,
    /// The runtime that took it, since a drop may happen outside of any.
    runtime: Handle,
    open: bool,
}

/// What is asked of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    Take,
    Extend,
    Release,
}

/// When a round has heard enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    ItStands,
    AllAnswered,
}

impl Claim {
    /// Prepares one on the current runtime; nothing is sent yet. `token` must be used for this claim alone.
    pub(super) fn new(
        nodes: &LockNodes,
        key: &str,
        token: &str,
        ttl: Duration,
        node_timeout: Duration,
    ) -> Self {
        let seat = |node: &Arc<Node>| {
            Arc::new(Seat {
                node: Arc::clone(node),
                key: key.to_owned(),
                token: token.to_owned(),
                ttl,
                turn: tokio::sync::Mutex::new(()),
            })
        };
        let seats = nodes.iter().map(seat).collect();
        Self { seats, node_timeout, runtime: Handle::current(), open: true }
    }

    /// Asks every node for it, `sent_at` being the caller's clock from before. Ends as soon as the result stands.
    pub(super) async fn take(&self, sent_at: Instant) -> Tally {
        round(&self.seats, Call::Take, sent_at, self.node_timeout, Until::ItStands).await
    }

    /// What is needed to extend it, without the duty to give it back.
    pub(super) fn extender(&self) -> Extender {
        Extender { seats: Arc::clone(&self.seats), node_timeout: self.node_timeout }
    }

    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        self.seats.iter().map(|seat| seat.node.name.clone())
    }

    /// Gives it back on every node, also those that seemed not to grant it, and waits for a quorum to have done
    /// so: the next owner needs no more. The others follow in the background.
    pub(super) async fn release(mut self) {
        self.open = false;
        round(&self.seats, Call::Release, Instant::now(), self.node_timeout, Until::ItStands).await;
    }

    /// Like [`Claim::release`] after a failure, where each node may have a part: waits for all of them.
    pub(super) async fn abandon(mut self) {
        self.open = false;
        round(&self.seats, Call::Release, Instant::now(), self.node_timeout, Until::AllAnswered).await;
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.open {
            for seat in self.seats.iter() {
                self.runtime.spawn(Arc::clone(seat).call(Call::Release, Instant::now()));
            }
        }
    }
}

/// Extends a claim.
#[derive(Debug, Clone)]
pub(super) struct Extender {
    seats: Arc<[Arc<Seat>]>,
    node_timeout: Duration,
}

impl Extender {
    /// Asks every node to keep it for another TTL. A node that no longer has it does not take it again.
    pub(super) async fn extend(&self, sent_at: Instant) -> Tally {
        round(&self.seats, Call::Extend, sent_at, self.node_timeout, Until::ItStands).await
    }

    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        self.seats.iter().map(|seat| seat.node.name.clone())
    }
}

async fn round(seats: &[Arc<Seat>], call: Call, sent_at: Instant, within: Duration, until: Until) -> Tally {
    let give_up_at = sent_at + within;
    let mut answers: FuturesUnordered<_> = seats
        .iter()
        .enumerate()
        .map(|(index, seat)| {
            let call = UnderWay::new(Arc::clone(seat), call, give_up_at);
            async move { (index, call.await) }
        })
        .collect();
    let mut tally = Tally::new(seats.len());
    while until == Until::AllAnswered || tally.standing() == Standing::Open {
        match timeout_at(give_up_at.into(), answers.next()).await {
            Ok(Some((index, vote))) => tally.votes[index] = Some(vote),
            Ok(None) => break,
            Err(_) => {
                tally.close(&Failure::unknown(format!("no answer within {within:?}")));
                break;
            }
        }
    }
    tally
}

/// A call that runs as part of the task that waits for it, which saves a task for each; dropped before its answer,
/// it goes on in one of its own.
struct UnderWay {
    /// `None` once it is answered.
    call: Option<BoxFuture<'static, Vote>>,
    /// Whether it goes on without its waiter. A take that has not begun does not: the release that follows would
    /// not find its turn taken, and overtake it.
    goes_on: bool,
    runtime: Handle,
}

impl UnderWay {
    fn new(seat: Arc<Seat>, call: Call, give_up_at: Instant) -> Self {
        let goes_on = call == Call::Release;
        Self { call: Some(seat.call(call, give_up_at).boxed()), goes_on, runtime: Handle::current() }
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
            self.runtime.spawn(call);
        }
    }
}

/// A token on one node.
#[derive(Debug)]
struct Seat {
    node: Arc<Node>,
    key: String,
    token: String,
    ttl: Duration,
    /// Held during a call: they take turns, first come, first served.
    turn: tokio::sync::Mutex<()>,
}

impl Seat {
    /// Makes the call; once more if the answer was lost and somebody still waits for it, or if it is a release,
    /// which nobody repeats later. Each call may be made twice: the token is of this claim alone.
    async fn call(self: Arc<Self>, call: Call, give_up_at: Instant) -> Vote {
        // A turn that is free is taken at once, whatever else this task has done: see `UnderWay::goes_on`.
        let _turn = match (self.turn.try_lock(), call) {
            (Ok(turn), _) => turn,
            // Extensions must not queue up behind a black hole.
            (Err(_), Call::Extend) => {
                return Vote::Broken(Failure::not_applied(Refusal::NoLink, "an earlier call is under way"));
            }
            (Err(_), Call::Take | Call::Release) => self.turn.lock().await,
        };
        let first = self.try_call(call).await;
        match &first {
            Vote::Broken(failure)
                if failure.may_have_happened() && (call == Call::Release || Instant::now() < give_up_at) =>
            {
                self.try_call(call).await
            }
            _ => first,
        }
    }

    async fn try_call(&self, call: Call) -> Vote {
        let mut link = match self.node.link().await {
            Ok(link) => link,
            Err(failure) => return Vote::Broken(failure),
        };
        match self.speak(call, &mut link).await {
            Ok(word) => {
                self.node.put_back(link);
                match word {
                    Word::Ours => Vote::Ours,
                    // What a release leaves behind is right, whoever gave it back.
                    Word::Gone | Word::Taken(_) if call == Call::Release => Vote::Ours,
                    Word::Gone => Vote::Gone,
                    Word::Taken(token) => Vote::Taken { token },
                }
            }
            Err(failure) => Vote::Broken(failure),
        }
    }

    async fn speak(&self, call: Call, link: &mut Link) -> Result<Word, Failure> {
        let Self { key, token, ttl, .. } = self;
        let word = match call {
            Call::Take => return take(link, key, token, *ttl).await,
            Call::Extend => extend(link, key, token, *ttl).await,
            Call::Release => release(link, key, token).await,
        };
        word.map_err(|error| match error {
            ScriptError::Failure(failure) => failure,
            other => Failure::unknown(other.to_string()),
        })
    }
}
