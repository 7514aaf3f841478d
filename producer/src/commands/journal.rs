//! `journal export`: every decision, one line each.

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
    /// Print it from a position on
    Export {
        /// Only this partition
        #[arg(long, value_name = "P")]
        partition: Option<u16>,
        /// From this seq on
        #[arg(long, value_name = "SEQ", default_value_t = 1)]
        from: u64,
    },
}

/// Runs the command.
pub(crate) async fn run(_context: &Context, _args: Args) -> anyhow::Result<Exit> {
    anyhow::bail!("not built yet")
}
