//! `audit`: replays the journal and compares everything with it.

use crate::context::Context;
use crate::exit::Exit;

/// What was typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A position that an earlier audit printed: partition, seq and hash; may be repeated
    #[arg(long, value_name = "P:SEQ:HASH")]
    expect: Vec<String>,
}

/// Runs the command.
pub(crate) async fn run(_context: &Context, _args: Args) -> anyhow::Result<Exit> {
    anyhow::bail!("not built yet")
}
