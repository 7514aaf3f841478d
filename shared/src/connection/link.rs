//! A connection to Redis that one caller uses at a time, and that is thrown away when in doubt.
//!
//! Relies on [`Server`] to open connections. Safe to cancel: while a call runs, its connection has left the
//! [`Link`], and it comes back only with a complete reply. If the call times out, breaks, or its future is
//! dropped midway, the connection is closed and never seen again, so a late reply can reach nobody, least of
//! all the next caller. The next call on the same link opens a fresh connection; holders just keep their link.
//! A half-open connection (the peer is gone, nothing says so) costs one response timeout, then is replaced.
//! Must not repeat a call by itself: only the caller knows whether that is safe.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, ErrorKind, FromRedisValue, Pipeline, RedisError, Value};

use crate::connection::connect::server::Server;
use crate::connection::failure::{Failure, Refusal, classify, classify_reply};
use crate::connection::preflight::{Facts, Report, Tier, questions};

impl Server {
    /// A link from the pool, connected and greeted.
    ///
    /// # Errors
    /// Always [`Failure::NotApplied`]: nothing was sent yet.
    pub async fn link(&self) -> Result<Link, Failure> {
        #[cfg(feature = "explore")]
        if self.gate().is_some() {
            return Ok(Link::gated(self.clone()));
        }
        let moves = self.moves();
        Ok(Link::new(self.clone(), self.pooled().await?, moves))
    }

    /// A connection of its own for commands that block for up to `block`.
    ///
    /// # Errors
    /// As [`Server::link`].
    pub async fn blocking_link(&self, block: Duration) -> Result<BlockingLink, Failure> {
        #[cfg(feature = "explore")]
        if self.gate().is_some() {
            return Ok(BlockingLink::gated(self.clone(), block));
        }
        let moves = self.moves();
        Ok(BlockingLink::new(self.clone(), block, self.dedicated(block).await?, moves))
    }
}

/// A pooled connection for calls that answer at once. Never put a blocking command on it.
///
/// On drop a healthy connection returns to the pool.
pub struct Link {
    server: Server,
    held: Option<deadpool_redis::Connection>,
    /// Of the server, when the connection was opened.
    moves: u64,
    /// The script that is called next, for the gate.
    #[cfg(feature = "explore")]
    pub(crate) script: Option<&'static str>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("server", &self.server).field("open", &self.held.is_some()).finish()
    }
}

impl Link {
    pub(crate) fn new(server: Server, connection: deadpool_redis::Connection, moves: u64) -> Self {
        Self {
            server,
            held: Some(connection),
            moves,
            #[cfg(feature = "explore")]
            script: None,
        }
    }

    /// A link whose calls wait at its server's gate.
    #[cfg(feature = "explore")]
    pub(crate) fn gated(server: Server) -> Self {
        Self { server, held: None, moves: 0, script: None }
    }

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
        let mut lent = self.lend().await?;
        let reply = reply(lent.connection()?.send_packed_command(command).await);
        self.take_back(lent, reply.as_ref().err());
        reply
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
    /// not lose the others. Not for transactions: [`Link::run_transaction`] is.
    ///
    /// # Errors
    /// The outer error is about the connection: then nothing is known of any of the commands.
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
        let mut lent = self.lend().await?;
        let replies = lent.connection()?.send_packed_commands(pipeline, 0, pipeline.len()).await;
        let replies = replies.map_err(|error| classify(&error)).and_then(|values| {
            if values.len() == pipeline.len() {
                Ok(values.into_iter().map(checked).collect::<Vec<_>>())
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
        replies
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
        let mut pipeline = Pipeline::with_capacity(commands.len() + 2);
        pipeline.cmd("MULTI");
        commands.iter().for_each(|command| _ = pipeline.add_command(command.clone()));
        pipeline.cmd("EXEC");
        let values = executed(self.run_pipeline(&pipeline).await?, commands.len());
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
        let mut answers = self.run_pipeline(&questions()).await?.into_iter();
        Ok(Facts::of(&mut answers)?.judge(tier))
    }

    /// Throws the connection away: its last reply was not the answer to its last question.
    pub fn poison(&mut self) {
        if let Some(connection) = self.held.take() {
            drop(deadpool_redis::Connection::take(connection));
        }
    }

    /// The server this link leads to.
    pub fn server(&self) -> &Server {
        &self.server
    }

    async fn lend(&mut self) -> Result<Lent, Failure> {
        // Read before a connection is opened: one that leads to where the server was is seen by the next call.
        let moves = self.server.moves();
        if moves != self.moves {
            self.poison();
            self.moves = moves;
        }
        let inspection = self.server.inspection();
        let connection = if inspection.is_due() {
            self.server.inspect_again(self.held.take()).await?
        } else if let Some(refusal) = inspection.refusal() {
            return Err(refusal);
        } else {
            match self.held.take() {
                Some(connection) => connection,
                None => self.server.pooled().await?,
            }
        };
        match self.server.inspection().refusal() {
            Some(refusal) => {
                self.held = Some(connection);
                Err(refusal)
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

/// A connection of its own for one reader that blocks (`XREADGROUP BLOCK`, `WAIT`).
///
/// Its response timeout is the time it may block and a margin, so that the client never gives up on a read
/// that the server may still answer. It is neither pooled nor shared.
pub struct BlockingLink {
    server: Server,
    block: Duration,
    held: Option<MultiplexedConnection>,
    /// Of the server, when the connection was opened.
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
    pub(crate) fn new(
        server: Server,
        block: Duration,
        connection: MultiplexedConnection,
        moves: u64,
    ) -> Self {
        Self { server, block, held: Some(connection), moves }
    }

    /// A link whose calls wait at its server's gate.
    #[cfg(feature = "explore")]
    pub(crate) fn gated(server: Server, block: Duration) -> Self {
        Self { server, block, held: None, moves: 0 }
    }

    /// Sends one command, which may block for [`BlockingLink::block`], and returns its reply.
    ///
    /// # Errors
    /// See [`Failure`]. After `Unknown` the server may have served something to nobody.
    ///
    /// # Cancel safety
    /// As [`Link::run`].
    pub async fn run(&mut self, command: &Cmd) -> Result<Value, Failure> {
        #[cfg(feature = "explore")]
        if let Some(gate) = self.server.gate() {
            let replies = crate::connection::gate::pass(&*gate, None, std::iter::once(command)).await?;
            return checked(replies.into_iter().next().unwrap_or(Value::Nil));
        }
        let mut connection = self.lend().await?;
        let reply = reply(connection.send_packed_command(command).await);
        if !reply.as_ref().err().is_some_and(Failure::spoils_connection) {
            self.held = Some(connection);
        }
        reply
    }

    /// Sends a command that may block, and right behind it a transaction: Redis executes that as soon as the first has
    /// ended, however it ended, so both take one round trip. Answers the first one's result and the transaction's, which
    /// is as of [`Link::run_transaction`].
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
        let mut connection = self.lend().await?;
        let replies = connection.send_packed_commands(&pipeline, 0, pipeline.len()).await;
        let mut replies: Vec<_> =
            replies.map_err(|error| classify(&error))?.into_iter().map(checked).collect();
        if replies.len() != pipeline.len() {
            return Err(Failure::unknown(format!(
                "{} replies to {} commands",
                replies.len(),
                pipeline.len()
            )));
        }
        let first = replies.remove(0);
        let values = executed(replies, commands.len());
        if !spoils(&values) && !first.as_ref().err().is_some_and(Failure::spoils_connection) {
            self.held = Some(connection);
        }
        Ok((first, values))
    }

    async fn lend(&mut self) -> Result<MultiplexedConnection, Failure> {
        let moves = self.server.moves();
        let held = self.held.take().filter(|_| moves == self.moves);
        self.moves = moves;
        let connection = match held {
            Some(connection) => connection,
            None => self.server.dedicated(self.block).await?,
        };
        match self.server.inspection().refusal() {
            // Not kept: the address may lead to another server by the next call.
            Some(refusal) => Err(refusal),
            None => Ok(connection),
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

/// What a transaction answers: a result for each of its commands, or why it did not happen, or may not have.
pub type Transacted = Result<Vec<Result<Value, Failure>>, Failure>;

/// Reads the replies to MULTI, to each of `count` commands, and to EXEC.
fn executed(mut replies: Vec<Result<Value, Failure>>, count: usize) -> Transacted {
    let executed = replies.pop().unwrap_or_else(|| Err(Failure::unknown("no reply to EXEC")));
    // MULTI itself, then each command as it was queued. Without MULTI each was executed by itself.
    let begun = replies.first().is_some_and(Result::is_ok);
    if let Some(refused) = replies.into_iter().find_map(Result::err) {
        return Err(if begun { refused } else { Failure::unknown(format!("no transaction: {refused}")) });
    }
    match executed.map_err(Failure::of_exec)? {
        Value::Array(values) if values.len() == count => Ok(values.into_iter().map(checked).collect()),
        other => Err(Failure::unknown(format!("EXEC answered {other:?} to {count} commands"))),
    }
}

/// Whether a connection cannot be trusted after this.
fn spoils(values: &Transacted) -> bool {
    match values {
        Ok(values) => values.iter().filter_map(|value| value.as_ref().err()).any(Failure::spoils_connection),
        Err(failure) => failure.spoils_connection(),
    }
}

fn reply(result: Result<Value, RedisError>) -> Result<Value, Failure> {
    result.map_err(|error| classify(&error)).and_then(checked)
}

fn checked(value: Value) -> Result<Value, Failure> {
    match value {
        Value::ServerError(error) => Err(classify_reply(&error)),
        // A push would mean that replies and questions no longer pair up (RESP2 never pushes).
        Value::Push { .. } => {
            let error = RedisError::from((ErrorKind::Parse, "a push instead of a reply"));
            Err(classify(&error))
        }
        value => Ok(value),
    }
}
