//! `worker ls`: the worker processes.

use crate::context::Context;
use crate::exit::Exit;
use crate::overview::Overview;
use crate::table::{Table, age, count};
use crate::workers;

/// What was typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// List them with their last heartbeat and what they have in flight
    Ls,
}

/// Runs the command.
pub(crate) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let Verb::Ls = args.verb;
    let tollgate = context.open().await?;
    let overview = Overview::read(&tollgate).await?;
    let (rows, failed) = workers::read(&tollgate, &overview).await?;
    context.output().data(&rows, || {
        let mut table =
            Table::new(&["worker", "host", ">pid", "state", ">last beat", ">in flight", "queues"]);
        for row in &rows {
            let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
            table.row([
                row.worker.clone(),
                or_dash(row.host.clone()),
                or_dash(row.pid.map(|pid| pid.to_string())),
                row.state.to_owned(),
                age(row.beat_age_ms),
                count(row.in_flight),
                row.queues.join(","),
            ]);
        }
        table
    })?;
    Ok(failed.complain().combine(overview.complain()))
}
