//! `dead ls|show|retry|discard`: jobs that nobody could decide.

use crate::context::Context;
use crate::exit::Exit;

/// What was typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// List them, oldest first
    Ls,
    /// Show one with its bytes
    Show { id: String },
    /// Put them back into their queues
    Retry { ids: Vec<String> },
    /// Give them up
    Discard { ids: Vec<String> },
}

/// Runs the command.
pub(crate) async fn run(_context: &Context, _args: Args) -> anyhow::Result<Exit> {
    anyhow::bail!("not built yet")
}
