//! `worker ls`: the worker processes, by their beats and by what the queues' groups know of them.

use std::collections::BTreeMap;

use serde::Serialize;
use tollgate::Tollgate;
use tollgate::failure::Failure;
use tollgate::scripts::ScriptError;
use tollgate::workers::{self, Description, SILENT_AFTER};

use crate::context::Context;
use crate::exit::Exit;
use crate::overview::Overview;
use crate::table::{Table, age, count};

/// What was typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// List them with their last beat and what they have in hand
    Ls,
}

/// One worker. What it never said is `null`: a consumer without a beat is left of a worker that was killed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Row {
    pub(crate) worker: String,
    pub(crate) host: Option<String>,
    pub(crate) pid: Option<u32>,
    pub(crate) version: Option<String>,
    pub(crate) queues: Vec<String>,
    pub(crate) concurrency: Option<u64>,
    /// By the worker's own clock.
    pub(crate) started_at_ms: Option<u64>,
    /// `alive`, `quiet` (it lives and does not fetch), or `silent` (no beat for too long).
    pub(crate) state: &'static str,
    pub(crate) beat_age_ms: Option<u64>,
    /// Entries in its hands, over all queues and partitions.
    pub(crate) pending: u64,
}

/// Runs the command.
pub(crate) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let Verb::Ls = args.verb;
    let tollgate = context.open().await?;
    let rows = read(&tollgate, &Overview::read(&tollgate).await?).await?;
    context.output().data(&rows, || {
        let mut table = Table::new(&["worker", "host", ">pid", "state", ">last beat", ">in hand", "queues"]);
        for row in &rows {
            let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
            table.row([
                row.worker.clone(),
                or_dash(row.host.clone()),
                or_dash(row.pid.map(|pid| pid.to_string())),
                row.state.to_owned(),
                age(row.beat_age_ms),
                count(row.pending),
                row.queues.join(","),
            ]);
        }
        table
    })?;
    Ok(Exit::Done)
}

/// Every worker that beats or holds entries in any partition, by name.
pub(crate) async fn read(tollgate: &Tollgate, overview: &Overview) -> Result<Vec<Row>, ScriptError> {
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    let mut link = tollgate.server().link().await?;
    for (partition, counts) in tollgate.partitions().iter().zip(&overview.partitions) {
        let keys = tollgate.keys(partition);
        for beat in workers::beats(&mut link, keys).await? {
            let beat_age_ms = overview.at_ms.saturating_sub(beat.at_ms);
            let row = rows.entry(beat.consumer).or_insert_with_key(|name| Row::silent(name));
            // It beats in every partition that it serves; the latest counts.
            if row.beat_age_ms.is_none_or(|age_ms| beat_age_ms < age_ms) {
                row.beat_age_ms = Some(beat_age_ms);
                row.take(beat.description);
            }
        }
        for queue in &counts.queues {
            let name = tollgate::ids::QueueName::parse(queue.queue.as_str())
                .map_err(|error| Failure::unknown(error.to_string()))?;
            for consumer in workers::consumers(&mut link, keys, &name).await? {
                rows.entry(consumer.name).or_insert_with_key(|name| Row::silent(name)).pending +=
                    consumer.pending;
            }
        }
    }
    Ok(rows.into_values().collect())
}

impl Row {
    fn silent(worker: &str) -> Self {
        Self {
            worker: worker.to_owned(),
            host: None,
            pid: None,
            version: None,
            queues: Vec::new(),
            concurrency: None,
            started_at_ms: None,
            state: "silent",
            beat_age_ms: None,
            pending: 0,
        }
    }

    fn take(&mut self, description: Option<Description>) {
        let lives = self.beat_age_ms.is_some_and(|age_ms| u128::from(age_ms) < SILENT_AFTER.as_millis());
        self.state = match &description {
            _ if !lives => "silent",
            Some(Description { fetching: false, .. }) => "quiet",
            _ => "alive",
        };
        if let Some(Description { host, pid, version, queues, concurrency, started_at_ms, .. }) = description
        {
            (self.host, self.pid, self.version) = (Some(host), Some(pid), Some(version));
            (self.concurrency, self.started_at_ms) = (Some(concurrency as u64), Some(started_at_ms));
            self.queues = queues;
        }
    }
}
