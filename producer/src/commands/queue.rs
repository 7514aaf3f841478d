//! `queue ls|pause|resume`: the queues of the namespace.

use crate::context::Context;
use crate::exit::Exit;
use tollgate::ids::QueueName;

/// What was typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// List them
    Ls,
    /// Stop fetching from a queue
    Pause { queue: QueueName },
    /// Fetch from it again
    Resume { queue: QueueName },
}

/// Runs the command.
pub(crate) async fn run(_context: &Context, _args: Args) -> anyhow::Result<Exit> {
    anyhow::bail!("not built yet")
}
