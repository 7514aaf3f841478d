//! `enqueue`: sends a file of jobs, one JSON object a line.

use crate::context::Context;
use crate::exit::Exit;
use std::path::PathBuf;
use std::time::Duration;

use tollgate::ids::QueueName;

use crate::arguments;

/// What was typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The file, or - for stdin
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
    /// Repeats the run of this id: lines without an id get the same ids again
    #[arg(long, value_name = "UUID")]
    run: Option<String>,
    /// Writes the id of every line to this file
    #[arg(long, value_name = "FILE")]
    ids_out: Option<PathBuf>,
    /// The queue
    #[arg(long, value_name = "NAME", default_value = tollgate::ids::DEFAULT_QUEUE)]
    queue: QueueName,
    /// How long to wait for a full Redis or queue before lines are reported as overloaded
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = arguments::duration)]
    overload_wait: Duration,
    /// Most jobs that may wait in the queue [default: no bound]
    #[arg(long, value_name = "N", value_parser = arguments::count)]
    queue_max: Option<u64>,
}

/// Runs the command.
pub(crate) async fn run(_context: &Context, _args: Args) -> anyhow::Result<Exit> {
    anyhow::bail!("not built yet")
}
