//! One attempt at a lock: a token of its own on every node, and the rounds of calls about it.
//!
//! Every call runs in a task of its own, so that whoever waits may give up without cutting a connection, and the
//! calls about one token on one node happen one after the other: a release that was asked for while a take was
//! still on its way follows it, and gives a late grant back. Must not use a token twice.
//!
//! If the process dies at any point, what is left on the nodes ends with its TTL.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
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
            let task = tokio::spawn(Arc::clone(seat).call(call, give_up_at));
            async move { (index, task.await) }
        })
        .collect();
    let mut tally = Tally::new(seats.len());
    while until == Until::AllAnswered || tally.standing() == Standing::Open {
        match timeout_at(give_up_at.into(), answers.next()).await {
            Ok(Some((index, Ok(vote)))) => tally.votes[index] = Some(vote),
            Ok(Some((index, Err(panic)))) => {
                tally.votes[index] = Some(Vote::Broken(Failure::unknown(panic.to_string())));
            }
            Ok(None) => break,
            Err(_) => {
                tally.close(&Failure::unknown(format!("no answer within {within:?}")));
                break;
            }
        }
    }
    tally
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
        let _turn = match call {
            // Extensions must not queue up behind a black hole.
            Call::Extend => match self.turn.try_lock() {
                Ok(turn) => turn,
                Err(_) => {
                    return Vote::Broken(Failure::not_applied(
                        Refusal::NoLink,
                        "an earlier call is under way",
                    ));
                }
            },
            Call::Take | Call::Release => self.turn.lock().await,
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
