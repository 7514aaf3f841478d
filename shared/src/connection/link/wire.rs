//! The connection of a link to one node.
//!
//! While a call runs, the connection has left the [`Wire`], and it comes back only with a complete reply: if the call times
//! out, breaks, or its future is dropped midway, it is closed and never seen again.

use redis::aio::MultiplexedConnection;
use redis::{Cmd, Pipeline, Value};

use super::replies::{checked, reply};
use crate::connection::classify::classify;
use crate::connection::connect::node::Node;
use crate::connection::failure::{Failure, Refusal};

/// One result for each command, or why none is known.
pub(super) type Replies = Result<Vec<Result<Value, Failure>>, Failure>;

/// A pooled connection to one node, opened when it is needed.
pub(super) struct Wire {
    node: Node,
    held: Option<deadpool_redis::Connection>,
    /// Of the node, when the connection was opened.
    moves: u64,
}

impl Wire {
    /// A wire to this node that has no connection yet.
    pub(super) fn new(node: Node) -> Self {
        Self { moves: node.moves(), node, held: None }
    }

    /// A wire that is connected.
    pub(super) async fn connected(node: Node) -> Result<Self, Failure> {
        // Read before a connection is opened: one that leads to where the server was is seen by the next call.
        let moves = node.moves();
        Ok(Self { held: Some(node.pooled().await?), node, moves })
    }

    pub(super) fn node(&self) -> &Node {
        &self.node
    }

    pub(super) fn is_open(&self) -> bool {
        self.held.is_some()
    }

    /// As [`Link::run`](super::Link::run).
    pub(super) async fn run(&mut self, command: &Cmd) -> Result<Value, Failure> {
        let mut lent = self.lend().await?;
        let reply = reply(lent.connection()?.send_packed_command(command).await);
        self.take_back(lent, reply.as_ref().err());
        reply.map_err(|failure| self.node.own(failure))
    }

    /// As [`Link::run_pipeline`](super::Link::run_pipeline), also of commands that are a transaction.
    pub(super) async fn run_pipeline(&mut self, pipeline: &Pipeline) -> Replies {
        let mut lent = self.lend().await?;
        let replies = lent.connection()?.send_packed_commands(pipeline, 0, pipeline.len()).await;
        let replies = replies.map_err(|error| classify(&error)).and_then(|values| {
            if values.len() == pipeline.len() {
                let own = |value| checked(value).map_err(|failure| self.node.own(failure));
                Ok(values.into_iter().map(own).collect::<Vec<_>>())
            } else {
                Err(Failure::unknown(format!("{} replies to {} commands", values.len(), pipeline.len())))
            }
        });
        let spoilt = match &replies {
            Ok(replies) => {
                replies.iter().filter_map(|reply| reply.as_ref().err()).find(|f| f.spoils_connection())
            }
            Err(failure) => Some(failure),
        };
        self.take_back(lent, spoilt);
        replies.map_err(|failure| self.node.own(failure))
    }

    /// Throws the connection away.
    pub(super) fn poison(&mut self) {
        if let Some(connection) = self.held.take() {
            drop(deadpool_redis::Connection::take(connection));
        }
    }

    async fn lend(&mut self) -> Result<Lent, Failure> {
        // Read before a connection is opened: one that leads to where the server was is seen by the next call.
        let moves = self.node.moves();
        if moves != self.moves {
            self.poison();
            self.moves = moves;
        }
        let inspection = self.node.inspection();
        let connection = if inspection.is_due() {
            self.node.inspect_again(self.held.take()).await?
        } else if let Some(refusal) = inspection.refusal() {
            return Err(self.node.own(refusal));
        } else {
            match self.held.take() {
                Some(connection) => connection,
                None => self.node.pooled().await?,
            }
        };
        match self.node.inspection().refusal() {
            Some(refusal) => {
                self.held = Some(connection);
                Err(self.node.own(refusal))
            }
            None => Ok(Lent(Some(connection))),
        }
    }

    fn take_back(&mut self, mut lent: Lent, failure: Option<&Failure>) {
        if !failure.is_some_and(Failure::spoils_connection) {
            self.held = lent.0.take();
        }
    }
}

/// A connection during a call. Dropped with the call it is taken out of the pool and closed.
struct Lent(Option<deadpool_redis::Connection>);

impl Lent {
    fn connection(&mut self) -> Result<&mut MultiplexedConnection, Failure> {
        // Never empty before `take_back`; an error instead of a panic keeps that out of production.
        self.0
            .as_deref_mut()
            .ok_or_else(|| Failure::not_applied(Refusal::Client, "the connection was lent twice"))
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(deadpool_redis::Connection::take(connection));
        }
    }
}
