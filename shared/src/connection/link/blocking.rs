//! A connection of its own for one reader that blocks.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, Pipeline, Value};

use super::replies::{Transacted, checked, executed, reply, spoils};
use super::routed::slot_of;
use crate::connection::classify::classify;
use crate::connection::connect::node::Node;
use crate::connection::connect::server::{Place, Server};
use crate::connection::failure::{Failure, Refusal};

impl Server {
    /// A connection of its own for commands that block for up to `block`; to a cluster it is opened by the first command,
    /// to the node that has its slot.
    ///
    /// # Errors
    /// As [`Server::link`].
    pub async fn blocking_link(&self, block: Duration) -> Result<BlockingLink, Failure> {
        let unopened = |node| BlockingLink { server: self.clone(), block, node, held: None, moves: 0 };
        #[cfg(feature = "explore")]
        if self.gate().is_some() {
            return Ok(unopened(None));
        }
        match self.place() {
            Place::Cluster(_) => Ok(unopened(None)),
            Place::One(node) => {
                let moves = node.moves();
                let held = Some(node.dedicated(block).await?);
                Ok(BlockingLink { held, moves, ..unopened(Some(node.clone())) })
            }
        }
    }
}

/// A connection of its own for one reader that blocks (`XREADGROUP BLOCK`, `WAIT`).
///
/// Its response timeout is the time it may block and a margin, so that the client never gives up on a read
/// that the server may still answer. It is neither pooled nor shared.
pub struct BlockingLink {
    server: Server,
    block: Duration,
    /// Where the connection leads.
    node: Option<Node>,
    held: Option<MultiplexedConnection>,
    /// Of the node, when the connection was opened.
    moves: u64,
}

impl std::fmt::Debug for BlockingLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlockingLink")
            .field("server", &self.server)
            .field("block", &self.block)
            .field("open", &self.held.is_some())
            .finish()
    }
}

impl BlockingLink {
    /// Sends one command, which may block for [`BlockingLink::block`], and returns its reply.
    ///
    /// # Errors
    /// See [`Failure`]. After `Unknown` the server may have served something to nobody.
    ///
    /// # Cancel safety
    /// As [`Link::run`](super::Link::run).
    pub async fn run(&mut self, command: &Cmd) -> Result<Value, Failure> {
        #[cfg(feature = "explore")]
        if let Some(gate) = self.server.gate() {
            let replies = crate::connection::gate::pass(&*gate, None, std::iter::once(command)).await?;
            return checked(replies.into_iter().next().unwrap_or(Value::Nil));
        }
        let (mut connection, node) = self.lend(command).await?;
        let reply = reply(connection.send_packed_command(command).await);
        self.take_back(connection, &node, reply.as_ref().err());
        reply.map_err(|failure| node.own(failure))
    }

    /// Sends a command that may block, and right behind it a transaction: Redis executes that as soon as the first has
    /// ended, however it ended, so both take one round trip. Answers the first one's result and the transaction's, which
    /// is as of [`Link::run_transaction`](super::Link::run_transaction).
    ///
    /// # Errors
    /// The outer error is about the connection: then nothing is known of either.
    ///
    /// # Cancel safety
    /// If the future is dropped, the connection is closed: the transaction may have happened.
    pub async fn run_before(
        &mut self,
        first: &Cmd,
        commands: &[Cmd],
    ) -> Result<(Result<Value, Failure>, Transacted), Failure> {
        let mut pipeline = Pipeline::with_capacity(commands.len() + 3);
        pipeline.add_command(first.clone()).cmd("MULTI");
        commands.iter().for_each(|command| _ = pipeline.add_command(command.clone()));
        pipeline.cmd("EXEC");
        #[cfg(feature = "explore")]
        if let Some(gate) = self.server.gate() {
            let replies = crate::connection::gate::pass(&*gate, None, pipeline.cmd_iter()).await?;
            let mut replies: Vec<_> = replies.into_iter().map(checked).collect();
            let first = replies.remove(0);
            return Ok((first, executed(replies, commands.len())));
        }
        let (mut connection, node) = self.lend(first).await?;
        let replies = connection.send_packed_commands(&pipeline, 0, pipeline.len()).await;
        let replies = replies.map_err(|error| {
            let failure = classify(&error);
            self.learn(&node, &failure);
            node.own(failure)
        })?;
        let mut replies: Vec<_> =
            replies.into_iter().map(|value| checked(value).map_err(|failure| node.own(failure))).collect();
        if replies.len() != pipeline.len() {
            let what = format!("{} replies to {} commands", replies.len(), pipeline.len());
            return Err(node.own(Failure::unknown(what)));
        }
        let first = replies.remove(0);
        let values = executed(replies, commands.len());
        let refused = first.as_ref().err().or(values.as_ref().err()).cloned();
        if spoils(&values) {
            drop(connection);
            refused.iter().for_each(|failure| self.learn(&node, failure));
        } else {
            self.take_back(connection, &node, refused.as_ref());
        }
        Ok((first, values))
    }

    async fn lend(&mut self, command: &Cmd) -> Result<(MultiplexedConnection, Node), Failure> {
        let node = match self.server.place() {
            Place::One(node) => node.clone(),
            Place::Cluster(cluster) => cluster.node(slot_of(command)).await?,
        };
        let moves = node.moves();
        let leads_there = moves == self.moves && self.node.as_ref().is_some_and(|held| held.is_same(&node));
        let held = self.held.take().filter(|_| leads_there);
        self.moves = moves;
        self.node = Some(node.clone());
        let connection = match held {
            Some(connection) => connection,
            None => node.dedicated(self.block).await.inspect_err(|failure| self.learn(&node, failure))?,
        };
        match node.inspection().refusal() {
            // Not kept: the address may lead to another server by the next call.
            Some(refusal) => Err(node.own(refusal)),
            None => Ok((connection, node)),
        }
    }

    fn take_back(&mut self, connection: MultiplexedConnection, node: &Node, failure: Option<&Failure>) {
        if !failure.is_some_and(Failure::spoils_connection) {
            self.held = Some(connection);
        }
        if let Some(failure) = failure {
            self.learn(node, failure);
        }
    }

    /// What a failure says about the cluster. The call is not made again here: it may have waited for long, and its caller
    /// comes again at once.
    fn learn(&self, node: &Node, failure: &Failure) {
        let Place::Cluster(cluster) = self.server.place() else { return };
        match failure {
            Failure::NotApplied { reason: Refusal::Moved, detail, .. } => {
                let _ = cluster.redirected(node, detail, true);
            }
            Failure::NotApplied { reason: Refusal::Ask | Refusal::TryAgain, .. } | Failure::Server { .. } => {
            }
            Failure::NotApplied { .. } | Failure::Unknown { .. } => cluster.suspect(),
        }
    }

    /// Throws the connection away; the next call opens another.
    pub fn poison(&mut self) {
        self.held = None;
    }

    /// How long a command on this link may block.
    pub fn block(&self) -> Duration {
        self.block
    }

    /// The server this link leads to.
    pub fn server(&self) -> &Server {
        &self.server
    }
}
