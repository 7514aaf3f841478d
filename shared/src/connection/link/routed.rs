//! Calls to a cluster: each goes to the node that has its slot, and after it where that has gone.
//!
//! A call is sent again only where the node said that it executed nothing: MOVED and ASK name who will, TRYAGAIN says that
//! half of the keys are here and half there, and where no connection came about nothing was sent. So an effect cannot
//! happen twice by it, and a call whose reply is lost is never sent again here: that is `unknown`, as on a single server.

use std::pin::Pin;
use std::time::Duration;

use futures_util::future::join_all;
use redis::{Arg, Cmd, Pipeline, Value};
use tokio::time::Instant;

use super::wire::{Replies, Wire};
use crate::connection::connect::cluster::Cluster;
use crate::connection::connect::node::Node;
use crate::connection::failure::{Failure, Refusal};
use crate::protocol::slot::Slot;

/// How often a call follows its slot to another node.
const REDIRECTS_MAX: usize = 5;
/// The pause before a call of which only some keys have moved is made again, and for how long that goes on: then its caller
/// decides, who does not wait for a connection meanwhile.
const TRY_AGAIN_EVERY: Duration = Duration::from_millis(50);
const TRY_AGAIN_WITHIN: Duration = Duration::from_millis(500);

/// Commands for one node that stay together: a command by itself, or a transaction.
pub(super) struct Unit<'a> {
    commands: Vec<&'a Cmd>,
    slot: Option<Slot>,
    /// Where it was told to go, and whether that node has to be told that we were sent (ASKING).
    to: Option<(Node, bool)>,
    redirects: usize,
}

impl<'a> Unit<'a> {
    pub(super) fn of(commands: Vec<&'a Cmd>) -> Self {
        let slot = commands.iter().copied().find_map(slot_of);
        Self { commands, slot, to: None, redirects: 0 }
    }

    /// A command without a key, for whoever has this one.
    pub(super) fn beside(key: &str, command: &'a Cmd) -> Self {
        let slot = Some(Slot::of_key(key.as_bytes()));
        Self { commands: vec![command], slot, to: None, redirects: 0 }
    }
}

pub(super) type Sending<'a> = Pin<Box<dyn Future<Output = Vec<Replies>> + Send + 'a>>;

/// The only reply of a command by itself.
pub(super) fn only(replies: Option<Replies>) -> Result<Value, Failure> {
    let no_reply = || Failure::unknown("no reply");
    replies.ok_or_else(no_reply)??.into_iter().next().unwrap_or_else(|| Err(no_reply()))
}

/// The slot of a command's first key; `None` if it has no key.
pub(super) fn slot_of(command: &Cmd) -> Option<Slot> {
    let word = |n| {
        command.args_iter().nth(n).and_then(|word| match word {
            Arg::Simple(bytes) => Some(bytes),
            _ => None,
        })
    };
    let key = match word(0)?.to_ascii_uppercase().as_slice() {
        b"PING" | b"INFO" | b"CONFIG" | b"SCRIPT" | b"ACL" | b"TIME" | b"SCAN" | b"DBSIZE" | b"MULTI"
        | b"EXEC" | b"ASKING" | b"CLUSTER" | b"CLIENT" => None,
        b"EVALSHA" | b"EVALSHA_RO" | b"EVAL" | b"EVAL_RO" => {
            word(2).filter(|count| *count != b"0").and(word(3))
        }
        b"XINFO" | b"OBJECT" | b"MEMORY" => word(2),
        b"XREADGROUP" | b"XREAD" => {
            let streams = (1..).map_while(word).position(|word| word.eq_ignore_ascii_case(b"STREAMS"))?;
            word(streams + 2)
        }
        _ => word(1),
    };
    key.map(Slot::of_key)
}

/// The wires of a link to the nodes of a cluster, opened as they are needed.
#[derive(Default)]
pub(super) struct Wires {
    wires: Vec<Wire>,
    /// The node that answered last: where a command without a key goes, so that a script is loaded where it was missing.
    last: Option<Node>,
}

impl Wires {
    pub(super) fn is_open(&self) -> bool {
        self.wires.iter().any(Wire::is_open)
    }

    pub(super) fn poison(&mut self) {
        self.wires.iter_mut().for_each(Wire::poison);
    }

    /// The wire to a node, taken out for a call.
    pub(super) fn take(&mut self, node: &Node) -> Wire {
        match self.wires.iter().position(|wire| wire.node().is_same(node)) {
            Some(n) => self.wires.swap_remove(n),
            None => Wire::new(node.clone()),
        }
    }

    pub(super) fn put(&mut self, wire: Wire) {
        self.wires.push(wire);
    }

    /// Sends one command.
    ///
    /// # Errors
    /// As [`Link::run`](super::Link::run).
    pub(super) async fn run_unit(&mut self, cluster: &Cluster, unit: Unit<'_>) -> Result<Value, Failure> {
        only(self.send(cluster, vec![unit]).await.pop())
    }

    /// Sends all units, those of one node in one go and to all nodes at once; answers one result for each unit, in order.
    pub(super) fn send<'a>(&'a mut self, cluster: &'a Cluster, units: Vec<Unit<'a>>) -> Sending<'a> {
        // Boxed: whoever calls a single server does not carry the state of this along.
        Box::pin(self.send_all(cluster, units))
    }

    async fn send_all(&mut self, cluster: &Cluster, mut units: Vec<Unit<'_>>) -> Vec<Replies> {
        let begun = Instant::now();
        let mut answers: Vec<Option<Replies>> = units.iter().map(|_| None).collect();
        let mut open: Vec<usize> = (0..units.len()).collect();
        while !open.is_empty() {
            let version = cluster.version();
            let mut groups: Vec<(Node, Vec<usize>)> = Vec::new();
            for n in open.drain(..) {
                match self.destination(cluster, &units[n]).await {
                    Err(failure) => answers[n] = Some(Err(failure)),
                    Ok(node) => match groups.iter_mut().find(|(other, _)| other.is_same(&node)) {
                        Some((_, members)) => members.push(n),
                        None => groups.push((node, vec![n])),
                    },
                }
            }
            let calls = groups.into_iter().map(|(node, members)| {
                let wire = self.take(&node);
                exchange(wire, node, members, &units)
            });
            // If this future is dropped, the wires that were taken are, with what they had lent.
            let mut pause = false;
            for (wire, node, replies) in join_all(calls.collect::<Vec<_>>()).await {
                self.put(wire);
                for (n, replies) in replies {
                    match self.next(cluster, &mut units[n], &node, &replies, (version, begun)).await {
                        Next::Answer => answers[n] = Some(replies),
                        Next::Again => open.push(n),
                        Next::AgainLater => {
                            pause = true;
                            open.push(n);
                        }
                    }
                }
                self.last = Some(node);
            }
            open.sort_unstable();
            if pause {
                cluster.waited();
                tokio::time::sleep(TRY_AGAIN_EVERY).await;
            }
        }
        answers
            .into_iter()
            .map(|answer| answer.unwrap_or_else(|| Err(Failure::unknown("no reply"))))
            .collect()
    }

    async fn destination(&self, cluster: &Cluster, unit: &Unit<'_>) -> Result<Node, Failure> {
        match (&unit.to, unit.slot, &self.last) {
            (Some((node, _)), ..) => Ok(node.clone()),
            (None, None, Some(last)) if last.away().is_none() => Ok(last.clone()),
            (None, slot, _) => cluster.node(slot).await,
        }
    }

    /// What follows from the replies to a unit.
    async fn next(
        &self,
        cluster: &Cluster,
        unit: &mut Unit<'_>,
        node: &Node,
        replies: &Replies,
        (version, begun): (u64, Instant),
    ) -> Next {
        // Of a transaction, one command that was refused is all of them: EXEC discards it.
        let failure = match replies {
            Ok(replies) => {
                replies.iter().filter_map(|reply| reply.as_ref().err()).find(|f| f.refusal().is_some())
            }
            Err(failure) => Some(failure),
        };
        let Some(failure) = failure else { return Next::Answer };
        let (refusal, said) = match failure {
            Failure::NotApplied { reason, detail, .. } => (*reason, detail),
            // Who did not answer may be gone: whoever calls next asks the others.
            _ => {
                if failure.is_time_out() {
                    node.was_silent();
                }
                cluster.suspect();
                return Next::Answer;
            }
        };
        unit.to = None;
        unit.redirects += 1;
        if unit.redirects > REDIRECTS_MAX && refusal != Refusal::TryAgain {
            return Next::Answer;
        }
        match refusal {
            Refusal::Moved | Refusal::Ask => {
                let is_for_good = refusal == Refusal::Moved;
                match cluster.redirected(node, said, is_for_good) {
                    Ok(to) => {
                        unit.to = Some((to, !is_for_good));
                        Next::Again
                    }
                    Err(_) => Next::Answer,
                }
            }
            Refusal::TryAgain if begun.elapsed() < TRY_AGAIN_WITHIN => Next::AgainLater,
            // Nothing was sent, or a server that is no master any more, or not yet: another one may have its slots.
            Refusal::Unreachable
            | Refusal::ReadOnly
            | Refusal::MasterDown
            | Refusal::Loading
            | Refusal::ClusterDown => {
                let reread = cluster.read_again(version).await;
                let now = cluster.node(unit.slot).await;
                match (reread, now) {
                    (Ok(_), Ok(now)) if !now.is_same(node) => Next::Again,
                    _ => Next::Answer,
                }
            }
            _ => Next::Answer,
        }
    }
}

enum Next {
    Answer,
    Again,
    AgainLater,
}

/// Sends the units of one node in one go.
async fn exchange(
    mut wire: Wire,
    node: Node,
    members: Vec<usize>,
    units: &[Unit<'_>],
) -> (Wire, Node, Vec<(usize, Replies)>) {
    let mut pipeline = Pipeline::new();
    for unit in members.iter().map(|n| &units[*n]) {
        if unit.is_asking() {
            pipeline.cmd("ASKING");
        }
        unit.commands.iter().for_each(|command| _ = pipeline.add_command((*command).clone()));
    }
    let replies = match wire.run_pipeline(&pipeline).await {
        Err(failure) => members.into_iter().map(|n| (n, Err(failure.clone()))).collect(),
        Ok(replies) => {
            let mut replies = replies.into_iter();
            let mut of_unit = |n: usize| {
                if units[n].is_asking() {
                    let _ = replies.next();
                }
                (n, Ok(replies.by_ref().take(units[n].commands.len()).collect()))
            };
            members.into_iter().map(&mut of_unit).collect()
        }
    };
    (wire, node, replies)
}

impl Unit<'_> {
    fn is_asking(&self) -> bool {
        matches!(self.to, Some((_, true)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slot_of_a_command_is_that_of_its_first_key() {
        let slot = Some(Slot::of_key(b"{a.0}:x"));
        for words in [
            "GET {a.0}:x",
            "HMGET {a.0}:x one two",
            "EVALSHA 0123 2 {a.0}:x {a.0}:y word",
            "EVALSHA_RO 0123 1 {a.0}:x",
            "XINFO STREAM {a.0}:x",
            "XREADGROUP GROUP workers me COUNT 1 BLOCK 5 STREAMS {a.0}:x {a.0}:y > >",
            "XADD {a.0}:x * job {b}",
        ] {
            let mut command = Cmd::new();
            command.arg(words.split(' ').collect::<Vec<_>>());
            assert_eq!(slot_of(&command), slot, "{words}");
        }
        for words in ["PING", "SCRIPT LOAD return", "EVALSHA 0123 0 word", "SCAN 0 MATCH {a.0}:*", "TIME"] {
            let mut command = Cmd::new();
            command.arg(words.split(' ').collect::<Vec<_>>());
            assert_eq!(slot_of(&command), None, "{words}");
        }
    }
}
