//! A gate between a program and its Redis: only with the feature `explore`, which no release has.
//!
//! A [`Server::gated`](crate::connection::connect::Server::gated) hands out links without a connection: every call waits at the
//! gate until whoever holds it says what became of it. So the code that ships decides which call comes next, and the
//! explorer when it runs, whether its reply arrives, and what dies in between.

use std::fmt;
use std::pin::Pin;

use redis::{Arg, Cmd, Value};

use crate::connection::failure::Failure;

/// The words of one command.
pub type Words = Vec<Vec<u8>>;

/// What a link was asked to send in one go.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Request {
    /// Which script is called, if one is.
    pub script: Option<&'static str>,
    /// One, or a pipeline.
    pub commands: Vec<Words>,
}

/// The replies, one for each command, error replies among them; or why there are none.
pub type Replies = Pin<Box<dyn Future<Output = Result<Vec<Value>, Failure>> + Send>>;

/// Where calls wait.
pub trait Gate: fmt::Debug + Send + Sync {
    /// A call that wants to be made. If the future is dropped, its caller has given it up.
    fn call(&self, request: Request) -> Replies;
}

/// What a link does instead of sending.
pub(crate) async fn pass<'a>(
    gate: &dyn Gate,
    script: Option<&'static str>,
    commands: impl Iterator<Item = &'a Cmd>,
) -> Result<Vec<Value>, Failure> {
    gate.call(Request { script, commands: commands.map(words).collect() }).await
}

fn words(command: &Cmd) -> Words {
    let word = |arg: Arg<&[u8]>| match arg {
        Arg::Simple(bytes) => bytes.to_vec(),
        _ => b"0".to_vec(),
    };
    command.args_iter().map(word).collect()
}
