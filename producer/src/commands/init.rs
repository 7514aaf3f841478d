//! `init`: makes a namespace ready, finishes an interrupted `init`, or changes the retention.

use std::time::Duration;

use serde::Serialize;
use tollgate::partition::Partitions;
use tollgate::{RETENTION_DEFAULT, Tollgate};

use crate::arguments;
use crate::context::Context;
use crate::exit::Exit;

/// What was typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How many partitions; fixed once and for all [default: what the namespace has, else 1]
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = arguments::partitions)]
    partitions: Option<Partitions>,
    /// How long the receipts of timed ids are kept at least [default: what the namespace has, else 7d]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = arguments::duration)]
    retention: Option<Duration>,
}

#[derive(Serialize)]
struct Ready<'a> {
    namespace: &'a str,
    partitions: u16,
    retention_ms: u64,
}

/// Runs the command. Every step can be repeated, so an `init` that was killed is finished by the next.
pub(crate) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let server = context.server().await?;
    let before = Tollgate::signpost(&server, context.namespace()).await?;
    let partitions = args
        .partitions
        .or(before.as_ref().map(|before| before.parameters.partitions))
        .unwrap_or(Partitions::ONE);
    let retention =
        args.retention.or(before.map(|before| before.parameters.retention)).unwrap_or(RETENTION_DEFAULT);
    let tollgate = Tollgate::init(server, context.namespace().clone(), partitions, retention).await?;
    let ready = Ready {
        namespace: tollgate.namespace().as_str(),
        partitions: partitions.count(),
        retention_ms: u64::try_from(retention.as_millis())?,
    };
    let told = format!(
        "namespace {} is ready: partitions {}, retention {}",
        ready.namespace,
        ready.partitions,
        humantime::format_duration(retention)
    );
    Ok(context.output().answer(&ready, told))
}
