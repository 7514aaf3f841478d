//! `receipts drop`: gives up the receipts of ids that are too old.

use serde_json::{Value, json};
use tollgate::ids::HOUR_MS;
use tollgate::receipts::drop_old;
use tollgate::scripts::receipts_drop::Pace;

use crate::context::Context;
use crate::each::each_partition;
use crate::exit::Exit;

/// What was typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Raise the floor as far as the rule allows, and unlink what is below
    ///
    /// The floor is never above the namespace's retention, counted back from now or from the oldest job that is
    /// not settled. An id below the floor is answered `id_expired` from then on, and never executed.
    Drop,
}

/// Runs the command.
pub(crate) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let Verb::Drop = args.verb;
    let tollgate = context.open().await?;
    let mut link = tollgate.server().link().await?;
    let mut all = Vec::with_capacity(usize::from(tollgate.partitions().count()));
    let exit = each_partition(&tollgate, async |partition, keys| {
        let dropped = drop_old(&mut link, keys, Pace::ByHand).await?;
        // Told at the end: that nobody reads is no reason to stop in the middle.
        let json: Value = json!({
            "partition": partition.number(),
            "floor_before_at_ms": dropped.floor_hour_before.saturating_mul(HOUR_MS),
            "floor_at_ms": dropped.floor_hour.saturating_mul(HOUR_MS),
            "buckets": dropped.buckets,
        });
        all.push((json, format!("partition {partition}: {dropped}")));
        Ok(())
    })
    .await?;
    let mut list = context.output().list();
    for (json, text) in &all {
        list.item(json, || text)?;
    }
    list.end()?;
    Ok(exit)
}
