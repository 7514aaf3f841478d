//! `redis start|stop|status`: the private redis-server.

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
    /// Start it, if it does not run
    Start {
        /// When the append-only file reaches the disk: everysec or always
        #[arg(long, value_name = "WHEN")]
        appendfsync: Option<String>,
    },
    /// Stop it; its data stays
    Stop,
    /// Say whether it runs
    Status,
}

/// Runs the command.
pub(crate) async fn run(_context: &Context, _args: Args) -> anyhow::Result<Exit> {
    anyhow::bail!("not built yet")
}
