//! A connection to Redis that one caller uses at a time, and that is thrown away when in doubt.
//!
//! Relies on [`Server`] to open connections. Safe to cancel: while a call runs, its connection has left the
//! [`Link`], and it comes back only with a complete reply. If the call times out, breaks, or its future is
//! dropped midway, the connection is closed and never seen again, so a late reply can reach nobody, least of
//! all the next caller. The next call on the same link opens a fresh connection; holders just keep their link.
//! A half-open connection (the peer is gone, nothing says so) costs one response timeout, then is replaced.
//! Must not repeat a call by itself: only the caller knows whether that is safe.

mod blocking;
mod replies;
mod routed;
mod wire;

use std::sync::Arc;

use futures_util::future::join_all;
use redis::{Cmd, FromRedisValue, Pipeline, Value};

pub use self::blocking::BlockingLink;
pub use self::replies::Transacted;
#[cfg(feature = "explore")]
use self::replies::checked;
use self::replies::{executed, spoils};
use self::routed::{Unit, Wires, only};
use self::wire::{Replies, Wire};
use crate::connection::connect::node::Node;
use crate::connection::connect::server::{Place, Server};
use crate::connection::failure::{Failure, Refusal};
use crate::connection::preflight::{Facts, Report, Tier, Topology, questions};

impl Server {
    /// A link from the pool, connected and greeted; to a cluster, once it is known who has which slot.
    ///
    /// # Errors
    /// Always [`Failure::NotApplied`]: nothing was sent yet.
    pub async fn link(&self) -> Result<Link, Failure> {
        #[cfg(feature = "explore")]
        if self.gate().is_some() {
            return Ok(Link { server: self.clone(), way: Way::Many(Wires::default()), script: None });
        }
        let way = match self.place() {
            Place::One(node) => Way::One(Wire::connected(node.clone()).await?),
            Place::Cluster(cluster) => {
                cluster.nodes().await?;
                Way::Many(Wires::default())
            }
        };
        Ok(Link {
            server: self.clone(),
            way,
            #[cfg(feature = "explore")]
            script: None,
        })
    }
}

/// Pooled connections for calls that answer at once: one, or one for each node of a cluster that was called. Never put a
/// blocking command on it.
///
/// On drop healthy connections return to the pool.
pub struct Link {
    server: Server,
    way: Way,
    /// The script that is called next, for the gate.
    #[cfg(feature = "explore")]
    pub(crate) script: Option<&'static str>,
}

enum Way {
    One(Wire),
    Many(Wires),
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let is_open = match &self.way {
            Way::One(wire) => wire.is_open(),
            Way::Many(wires) => wires.is_open(),
        };
        f.debug_struct("Link").field("server", &self.server).field("open", &is_open).finish()
    }
}

impl Link {
    /// Sends one command and returns its reply.
    ///
    /// # Errors
    /// See [`Failure`]. An error reply nested in an array is left there.
    ///
    /// # Cancel safety
    /// If the future is dropped the command may or may not be executed; the connection is closed.
    pub async fn run(&mut self, command: &Cmd) -> Result<Value, Failure> {
        #[cfg(feature = "explore")]
        if let Some(gate) = self.server.gate() {
            let replies =
                crate::connection::gate::pass(&*gate, self.script.take(), std::iter::once(command)).await?;
            return checked(replies.into_iter().next().unwrap_or(Value::Nil));
        }
        match (&mut self.way, self.server.place()) {
            (Way::Many(wires), Place::Cluster(cluster)) => {
                wires.run_unit(cluster, Unit::of(vec![command])).await
            }
            (Way::One(wire), _) => wire.run(command).await,
            (Way::Many(_), Place::One(_)) => Err(no_way()),
        }
    }

    /// Sends a command that has no key to the server that has this one.
    pub(crate) async fn run_beside(&mut self, key: &str, command: &Cmd) -> Result<Value, Failure> {
        let has_gate = self.has_gate();
        match (&mut self.way, self.server.place()) {
            (Way::Many(wires), Place::Cluster(cluster)) if !has_gate => {
                wires.run_unit(cluster, Unit::beside(key, command)).await
            }
            _ => self.run(command).await,
        }
    }

    /// Like [`Link::run`], with the reply as a type. A reply of another shape is [`Failure::Unknown`].
    ///
    /// # Errors
    /// See [`Link::run`].
    pub async fn query<T: FromRedisValue>(&mut self, command: &Cmd) -> Result<T, Failure> {
        let value = self.run(command).await?;
        redis::from_redis_value(value).map_err(|error| {
            self.poison();
            Failure::unknown(format!("a reply of another shape than expected: {error}"))
        })
    }

    /// Sends all commands in one go and returns one result for each, in order: an error reply to one does
    /// not lose the others. Not for transactions: [`Link::run_transaction`] is. Of a cluster each command goes to the node
    /// that has its slot, in order for each key.
    ///
    /// # Errors
    /// The outer error is about the connection: then nothing is known of any of the commands. Where only some of the nodes
    /// of a cluster failed, it is the result of their commands.
    ///
    /// # Cancel safety
    /// As [`Link::run`]: any number of the commands may have been executed.
    pub async fn run_pipeline(
        &mut self,
        pipeline: &Pipeline,
    ) -> Result<Vec<Result<Value, Failure>>, Failure> {
        if pipeline.is_transaction() {
            return Err(Failure::not_applied(Refusal::Client, "a pipeline here cannot be a transaction"));
        }
        if pipeline.is_empty() {
            return Ok(Vec::new());
        }
        #[cfg(feature = "explore")]
        if let Some(gate) = self.server.gate() {
            let replies =
                crate::connection::gate::pass(&*gate, self.script.take(), pipeline.cmd_iter()).await?;
            return Ok(replies.into_iter().map(checked).collect());
        }
        match (&mut self.way, self.server.place()) {
            (Way::Many(wires), Place::Cluster(cluster)) => {
                let units: Vec<_> = pipeline.cmd_iter().map(|command| Unit::of(vec![command])).collect();
                let count = units.len();
                let answers = wires.send(cluster, units).await;
                // One failure of all of them is one of the connection.
                match answers.iter().find_map(|answer| answer.as_ref().err()).cloned() {
                    Some(failure) if answers.iter().filter(|answer| answer.is_err()).count() == count => {
                        Err(failure)
                    }
                    _ => Ok(answers.into_iter().map(|answer| only(Some(answer))).collect()),
                }
            }
            (Way::One(wire), _) => wire.run_pipeline(pipeline).await,
            (Way::Many(_), Place::One(_)) => Err(no_way()),
        }
    }

    /// Sends the commands as one transaction (MULTI, EXEC): all of them are executed, with nothing in between, or none.
    /// Answers one result for each, in order: an error reply of one does not undo the others.
    ///
    /// # Errors
    /// The outer error is about the transaction: where Redis refused to queue one of the commands, nothing was
    /// executed, and it is that refusal; else as [`Link::run`]: the transaction may have happened.
    ///
    /// # Cancel safety
    /// As [`Link::run`].
    pub async fn run_transaction(
        &mut self,
        commands: &[Cmd],
    ) -> Result<Vec<Result<Value, Failure>>, Failure> {
        let (multi, exec) = (redis::cmd("MULTI"), redis::cmd("EXEC"));
        let all: Vec<&Cmd> = std::iter::once(&multi).chain(commands).chain(std::iter::once(&exec)).collect();
        let has_gate = self.has_gate();
        let replies = match (&mut self.way, self.server.place()) {
            (Way::Many(wires), Place::Cluster(cluster)) if !has_gate => {
                let mut answers = wires.send(cluster, vec![Unit::of(all)]).await;
                answers.pop().unwrap_or_else(|| Err(no_way()))?
            }
            _ => {
                let mut pipeline = Pipeline::with_capacity(all.len());
                all.into_iter().for_each(|command| _ = pipeline.add_command(command.clone()));
                self.run_pipeline(&pipeline).await?
            }
        };
        let values = executed(replies, commands.len());
        if spoils(&values) {
            self.poison();
        }
        values
    }

    /// Asks the server about itself and judges the answers against the tier.
    ///
    /// # Errors
    /// The server did not answer, or refuses every call (LOADING, NOAUTH). That a user may not call INFO or CONFIG
    /// is no error but a warning that says what stays unchecked.
    ///
    /// # Cancel safety
    /// Reads only.
    pub async fn preflight(&mut self, tier: Tier) -> Result<Report, Failure> {
        let judge = |replies: Vec<Result<Value, Failure>>, topology| {
            Ok::<_, Failure>(Facts::of(&mut replies.into_iter())?.judge(tier, topology))
        };
        let Place::Cluster(cluster) = self.server.place() else {
            return judge(self.run_pipeline(&questions()).await?, Topology::OneServer);
        };
        let (mut reports, mut last) = (Vec::new(), None);
        for (name, replies) in self.ask_each(&cluster.nodes().await?, &questions()).await? {
            match replies.and_then(|replies| judge(replies, Topology::Cluster)) {
                Ok(report) => reports.push((name, report)),
                // One that is away keeps nobody from the others.
                Err(failure) if failure.is_unreachable() || failure.is_time_out() => last = Some(failure),
                Err(failure) => return Err(failure),
            }
        }
        match last {
            Some(failure) if reports.is_empty() => Err(failure),
            _ => Ok(Report::of_nodes(reports.iter().map(|(name, report)| (&**name, report.clone())))),
        }
    }

    /// What each node answers to a command without a key: one server, or every master of a cluster, each by its name.
    ///
    /// # Errors
    /// Always [`Failure::NotApplied`]: nobody says which nodes there are.
    pub(crate) async fn run_on_each(
        &mut self,
        command: &Cmd,
    ) -> Result<Vec<Result<Value, Failure>>, Failure> {
        let nodes = match self.server.place() {
            Place::Cluster(cluster) if !self.has_gate() => cluster.nodes().await?,
            _ => return Ok(vec![self.run(command).await]),
        };
        let mut question = Pipeline::new();
        question.add_command(command.clone());
        let answers = self.ask_each(&nodes, &question).await?;
        Ok(answers.into_iter().map(|(_, replies)| only(Some(replies))).collect())
    }

    /// What each of these nodes answers, all asked at once on connections of this link, with the name of each.
    async fn ask_each(
        &mut self,
        nodes: &[Node],
        questions: &Pipeline,
    ) -> Result<Vec<(Arc<str>, Replies)>, Failure> {
        let Way::Many(wires) = &mut self.way else { return Err(no_way()) };
        let asked = nodes.iter().map(|node| {
            let mut wire = wires.take(node);
            async move {
                let replies = wire.run_pipeline(questions).await;
                (wire, replies)
            }
        });
        let answers = join_all(asked.collect::<Vec<_>>()).await;
        let named = nodes.iter().zip(answers).map(|(node, (wire, replies))| {
            wires.put(wire);
            if replies.as_ref().is_err_and(Failure::is_time_out) {
                node.was_silent();
            }
            (node.name().cloned().unwrap_or_default(), replies)
        });
        Ok(named.collect())
    }

    /// Throws the connection away: its last reply was not the answer to its last question.
    pub fn poison(&mut self) {
        match &mut self.way {
            Way::One(wire) => wire.poison(),
            Way::Many(wires) => wires.poison(),
        }
    }

    /// The server this link leads to.
    pub fn server(&self) -> &Server {
        &self.server
    }

    #[cfg(feature = "explore")]
    fn has_gate(&self) -> bool {
        self.server.gate().is_some()
    }

    #[cfg(not(feature = "explore"))]
    fn has_gate(&self) -> bool {
        false
    }
}

fn no_way() -> Failure {
    Failure::not_applied(Refusal::Client, "a link that leads nowhere")
}
