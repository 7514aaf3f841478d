//! `watch`: a live view in the terminal.

use crate::context::Context;
use crate::exit::Exit;

/// What was typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs the command.
pub(crate) async fn run(_context: &Context, _args: Args) -> anyhow::Result<Exit> {
    anyhow::bail!("not built yet")
}
