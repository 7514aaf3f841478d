//! `lookup ID…`: what became of jobs.

use crate::context::Context;
use crate::exit::Exit;
use tollgate::ids::JobId;

/// What was typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Job ids
    #[arg(required = true, value_name = "ID", value_parser = stored_id)]
    ids: Vec<JobId>,
}

/// An id as it may be stored, those of admin operations included.
fn stored_id(text: &str) -> Result<JobId, tollgate::input::InputError> {
    JobId::stored(text)
}

/// Runs the command.
pub(crate) async fn run(_context: &Context, _args: Args) -> anyhow::Result<Exit> {
    anyhow::bail!("not built yet")
}
