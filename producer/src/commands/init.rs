//! `init`: makes a namespace ready, finishes an interrupted `init`, or changes the retention.

use std::time::Duration;

use anyhow::bail;
use serde::Serialize;
use tollgate::partition::Partitions;
use tollgate::scripts::init::Parameters;
use tollgate::span::span;
use tollgate::{Init, NamespaceMeta, Tollgate};

use crate::arguments;
use crate::context::Context;
use crate::exit::Exit;
use crate::output::warn;

/// A retention below this is meant for tests.
const SHORT: Duration = Duration::from_secs(3600);

/// What was typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How many partitions; fixed once and for all [default: what the namespace has, else 1]
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = arguments::partitions)]
    partitions: Option<Partitions>,
    /// How long the receipts of timed ids are kept at least [default: what the namespace has, else 7d]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = arguments::duration)]
    retention: Option<Duration>,
    /// Initialise although keys of this namespace are left from before; without it they are listed, and nothing is done
    #[arg(long)]
    over_remains: bool,
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
    let Args { partitions, retention, over_remains } = args;
    let namespace = context.namespace().clone();
    let asked = Init { partitions, retention, over_remains };
    Tollgate::init_with(server.clone(), namespace.clone(), asked).await?;
    let Some(NamespaceMeta { parameters, .. }) = Tollgate::meta(&server, &namespace).await? else {
        bail!(
            "namespace {namespace} was initialised and is gone again: has Redis been emptied? run the same command again"
        );
    };
    let Parameters { partitions, retention, .. } = parameters;
    let ready = Ready {
        namespace: namespace.as_str(),
        partitions: partitions.count(),
        retention_ms: u64::try_from(retention.as_millis())?,
    };
    let told = format!(
        "namespace {} is ready: partitions {}, retention {}",
        ready.namespace,
        ready.partitions,
        span(retention)
    );
    if retention < SHORT {
        warn(format_args!(
            "receipts go by whole hours: with a retention of {} a job that is sent again after the next full hour is refused as id_expired",
            span(retention)
        ));
    }
    Ok(context.output().answer(&ready, told))
}
