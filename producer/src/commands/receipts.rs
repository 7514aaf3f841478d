//! `receipts drop`: gives up the receipts of ids that are too old.

use serde_json::{Value, json};
use tollgate::ids::HOUR_MS;
use tollgate::instant::Instant;
use tollgate::receipts::{Preview, drop_old, preview};
use tollgate::scripts::receipts_drop::Pace;
use tollgate::scripts::receipts_lower::receipts_lower;

use crate::context::Context;
use crate::each::each_partition;
use crate::exit::Exit;
use crate::output::{hint, say};
use crate::table::count;

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
    /// Workers raise it by themselves, by one hour an hour. More than that is shown, and done only with --yes.
    Drop {
        /// Do it even if it is more than workers would do by themselves
        #[arg(long)]
        yes: bool,
    },
    /// Lower the floor again, after a clock was wrong: as far as no receipt was dropped
    Lower,
}

/// Runs the command.
pub(crate) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let tollgate = context.open().await?;
    let mut link = tollgate.server().link().await?;
    let mut all = Vec::with_capacity(usize::from(tollgate.partitions().count()));
    let mut is_asked = false;
    let exit = each_partition(&tollgate, async |partition, keys| {
        let (before, now, buckets) = match args.verb {
            Verb::Drop { yes } => {
                let preview = preview(&mut link, keys).await?;
                if preview.by_rule_hour > preview.paced_hour && !yes {
                    is_asked = true;
                    say(format_args!("partition {partition}: {}", would_do(&preview)));
                    (preview.floor_hour, preview.floor_hour, 0)
                } else {
                    let dropped = drop_old(&mut link, keys, Pace::ByHand).await?;
                    (dropped.floor_hour_before, dropped.floor_hour, dropped.buckets)
                }
            }
            Verb::Lower => {
                let lowered = receipts_lower(&mut link, keys).await?;
                (lowered.floor_hour_before, lowered.floor_hour, 0)
            }
        };
        // Told at the end: that nobody reads is no reason to stop in the middle.
        let json: Value = json!({
            "partition": partition.number(),
            "floor_before_at_ms": before.saturating_mul(HOUR_MS),
            "floor_at_ms": now.saturating_mul(HOUR_MS),
            "buckets": buckets,
        });
        all.push((json, format!("partition {partition}: floor {}, {buckets} buckets dropped", hour(now))));
        Ok(())
    })
    .await?;
    let mut list = context.output().list();
    for (json, text) in &all {
        list.item(json, || text)?;
    }
    list.end()?;
    if is_asked {
        hint("check the clock of Redis (`redis-cli TIME`), then `receipts drop --yes`");
        return Ok(Exit::Refused);
    }
    Ok(exit)
}

fn would_do(preview: &Preview) -> String {
    format!(
        "would raise the floor from {} to {} and drop {} receipts; workers would raise it to {} by themselves now",
        hour(preview.floor_hour),
        hour(preview.by_rule_hour),
        count(preview.receipts),
        hour(preview.paced_hour),
    )
}

fn hour(hour: u64) -> String {
    let at = hour.checked_mul(HOUR_MS).and_then(Instant::from_ms);
    at.map_or_else(|| format!("hour {hour}"), |at| at.to_string())
}
