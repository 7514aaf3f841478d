//! `receipts drop`: gives up the receipts of ids that are too old.

use serde_json::{Value, json};
use tollgate::ids::HOUR_MS;
use tollgate::instant::Instant;
use tollgate::receipts::{Preview, drop_old, preview};
use tollgate::scripts::receipts_drop::Pace;
use tollgate::scripts::receipts_lower::receipts_lower;

use crate::context::Context;
use crate::each::in_each;
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
    let (all, failed) = in_each(&tollgate, async |_, keys, link| match args.verb {
        Verb::Drop { yes } => {
            let preview = preview(link, keys).await?;
            if preview.by_rule_hour > preview.paced_hour && !yes {
                return Ok(Done { asks: Some(would_do(&preview)), ..Done::floor(preview.floor_hour) });
            }
            let dropped = drop_old(link, keys, Pace::ByHand).await?;
            let now = Done::floor(dropped.floor_hour);
            Ok(Done { before: dropped.floor_hour_before, buckets: dropped.buckets, ..now })
        }
        Verb::Lower => {
            let lowered = receipts_lower(link, keys).await?;
            Ok(Done { before: lowered.floor_hour_before, ..Done::floor(lowered.floor_hour) })
        }
    })
    .await?;
    let is_asked = all.iter().any(|(_, done)| done.asks.is_some());
    // Told at the end: that nobody reads is no reason to stop in the middle.
    let mut list = context.output().list();
    for (partition, Done { before, now, buckets, asks }) in &all {
        if let Some(asks) = asks {
            say(format_args!("partition {partition}: {asks}"));
        }
        let json: Value = json!({
            "partition": partition.number(),
            "floor_before_at_ms": before.saturating_mul(HOUR_MS),
            "floor_at_ms": now.saturating_mul(HOUR_MS),
            "buckets": buckets,
        });
        list.item(&json, || {
            format!("partition {partition}: floor {}, {buckets} buckets dropped", hour(*now))
        })?;
    }
    list.end()?;
    let exit = failed.complain();
    if is_asked {
        hint("check the clock of Redis (`redis-cli TIME`), then `receipts drop --yes`");
        return Ok(Exit::Refused);
    }
    Ok(exit)
}

/// What was done in one partition: its floor, in hours.
struct Done {
    before: u64,
    now: u64,
    buckets: u64,
    /// What would be done if it were confirmed.
    asks: Option<String>,
}

impl Done {
    fn floor(hour: u64) -> Self {
        Self { before: hour, now: hour, buckets: 0, asks: None }
    }
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
