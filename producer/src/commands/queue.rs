//! `queue ls|pause|resume`: the queues of the namespace.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::bail;
use serde::Serialize;
use serde_json::json;
use tollgate::Tollgate;
use tollgate::ids::QueueName;
use tollgate::keys::Keys;
use tollgate::link::Link;
use tollgate::partition::Partition;
use tollgate::scripts::queue::{self, QueueStatus};
use tollgate::span::span;
use tollgate::{spelling, workers};

use crate::arguments;
use crate::context::Context;
use crate::each::in_each;
use crate::exit::Exit;
use crate::output::{Output, hint, say};
use crate::overview::{Overview, QueueCounts};
use crate::table::{Table, age, count, counted};

/// What was typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// List them
    Ls,
    /// Stop taking from a queue at once, and wait until what is in flight is settled; new jobs wait
    Pause {
        /// The queue
        queue: QueueName,
        /// How long to wait for what is in flight; the queue stays paused in any case
        #[arg(long, value_name = "TIME", allow_hyphen_values = true, default_value = "60s", value_parser = arguments::duration)]
        wait: Duration,
        /// Do not wait
        #[arg(long, conflicts_with = "wait")]
        no_wait: bool,
    },
    /// Fetch from it again
    Resume {
        /// The queue
        queue: QueueName,
    },
}

/// Runs the command.
pub(crate) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let tollgate = context.open().await?;
    match args.verb {
        Verb::Ls => list(&tollgate, context.output()).await,
        Verb::Pause { queue, wait, no_wait } => {
            let (set, not_set) = set(&tollgate, &queue, QueueStatus::Paused).await?;
            if !not_set.is_empty() {
                return Ok(set.combine(in_part(context.output(), &queue, "paused", &not_set)));
            }
            let wait = if no_wait { Duration::ZERO } else { wait };
            let in_flight = settled_within(&tollgate, &queue, wait).await?;
            let json = json!({ "queue": queue.as_str(), "status": "paused", "in_flight": in_flight });
            let told = match in_flight {
                0 => format!("{queue}: paused; nothing of it is in flight"),
                jobs => format!("{queue}: paused; {} still in flight", counted(jobs, "job is", "jobs are")),
            };
            let told = context.output().answer(&json, told);
            let settled = if in_flight > 0 && !no_wait { Exit::Undecided } else { Exit::Done };
            if settled == Exit::Undecided {
                hint(
                    "no more are taken; those of a worker that died are taken over after its --claim-idle (`worker ls`), and the same command waits again",
                );
            }
            Ok(set.combine(settled).combine(told))
        }
        Verb::Resume { queue } => {
            let (set, not_set) = set(&tollgate, &queue, QueueStatus::Active).await?;
            if !not_set.is_empty() {
                return Ok(set.combine(in_part(context.output(), &queue, "active", &not_set)));
            }
            let json = json!({ "queue": queue.as_str(), "status": "active" });
            Ok(set.combine(context.output().answer(&json, format!("{queue}: active"))))
        }
    }
}

/// Says that a queue is what it was to be in some partitions alone: in the others workers go on as before.
fn in_part(output: Output, queue: &QueueName, status: &str, not_set: &[u16]) -> Exit {
    let json = json!({ "queue": queue.as_str(), "status": null, "not_set": not_set });
    let not_set: Vec<String> = not_set.iter().map(u16::to_string).collect();
    let not_set = not_set.join(", ");
    output.answer(
        &json,
        format!("{queue}: not {status} in partitions {not_set}, which go on as before; the same command tries again"),
    )
}

/// Waits until nothing of a paused queue is in flight, and answers how much is. Nothing more is taken of it: a take asks
/// for the status in its own transaction. What is lost with a damaged queue is waited for in vain.
async fn settled_within(tollgate: &Tollgate, queue: &QueueName, wait: Duration) -> anyhow::Result<u64> {
    const LOOK_EVERY: Duration = Duration::from_millis(100);
    let begun = Instant::now();
    let mut is_said = false;
    loop {
        let overview = Overview::read(tollgate).await?;
        let counts = overview.queues.iter().find(|counts| counts.queue == queue.as_str());
        let in_flight = counts.map_or(0, |counts| counts.in_flight);
        let left = wait.saturating_sub(begun.elapsed());
        if in_flight == 0 || left.is_zero() || counts.is_some_and(|counts| counts.problem.is_some()) {
            return Ok(in_flight);
        }
        if !std::mem::replace(&mut is_said, true) {
            let jobs = counted(in_flight, "job", "jobs");
            say(format_args!(
                "{queue} is paused: no more are taken; waiting up to {} for {jobs} in flight",
                span(wait)
            ));
        }
        tokio::time::sleep(LOOK_EVERY.min(left)).await;
    }
}

#[derive(Debug, Serialize)]
struct Row {
    #[serde(flatten)]
    counts: QueueCounts,
    /// Workers that beat and take from it, or have something of it in flight.
    consumers: u64,
}

async fn list(tollgate: &Tollgate, output: Output) -> anyhow::Result<Exit> {
    let overview = Overview::read(tollgate).await?;
    let mut consumers_of: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let (read, failed) = in_each(tollgate, async |_, keys, link| {
        let beats = workers::beats(link, keys).await?;
        let mut consumers: Vec<(&str, String)> = Vec::new();
        for queue in &overview.queues {
            let name = QueueName::parse(queue.queue.as_str())?;
            let holders = workers::in_flight(link, keys, &name).await?.into_iter().map(|row| row.worker);
            let takers = beats.iter().filter(|beat| beat.is_alive(overview.at_ms));
            let takers =
                takers.filter(|beat| beat.description.as_ref().is_some_and(|says| says.serves(&name)));
            let takers = takers.map(|beat| beat.consumer.clone());
            consumers.extend(holders.chain(takers).map(|consumer| (&*queue.queue, consumer)));
        }
        Ok(consumers)
    })
    .await?;
    for (queue, consumer) in read.into_iter().flat_map(|(_, consumers)| consumers) {
        consumers_of.entry(queue).or_default().insert(consumer);
    }
    let rows: Vec<Row> = overview
        .queues
        .iter()
        .map(|queue| Row {
            counts: queue.clone(),
            consumers: consumers_of.get(queue.queue.as_str()).map_or(0, |names| names.len() as u64),
        })
        .collect();
    output.data(&rows, || {
        let mut table = Table::new(&["queue", "status", ">waiting", ">in flight", ">consumers", ">oldest"]);
        for Row { counts, consumers } in &rows {
            table.row([
                counts.queue.clone(),
                if counts.problem.is_some() { "lost" } else { counts.status }.to_owned(),
                count(counts.waiting),
                count(counts.in_flight),
                count(*consumers),
                age(counts.oldest_age_ms),
            ]);
        }
        table
    })?;
    Ok(failed.complain().combine(overview.complain()))
}

/// Sets the status in every partition: cut off midway, the same command again finishes it.
/// Sets the status in every partition; answers those in which it is not set.
async fn set(tollgate: &Tollgate, name: &QueueName, status: QueueStatus) -> anyhow::Result<(Exit, Vec<u16>)> {
    // By the lists of queues alone: a queue whose stream is damaged or gone is mended by opening it again.
    let listed = async |_, keys: &Keys, link: &mut Link| Ok(queue::list(link, keys).await?);
    let (listed, unlisted) = in_each(tollgate, listed).await?;
    let listed = listed.into_iter().flat_map(|(_, queues)| queues);
    let names: BTreeSet<String> = listed.map(|(name, _)| name.to_string()).collect();
    if !names.contains(name.as_str()) && !is_sent_to(tollgate, name).await? {
        let meant = spelling::closest(name.as_str(), names.iter().map(String::as_str));
        let meant = meant.map(|meant| format!("; did you mean {meant}")).unwrap_or_default();
        bail!("no queue {name}{meant}; there are: {}", Vec::from_iter(names).join(", "));
    }
    let set = async |_, keys: &Keys, link: &mut Link| {
        queue::queue(link, keys, name, Some(status)).await?;
        Ok(())
    };
    let (done, unset) = in_each(tollgate, set).await?;
    let is_set = |partition: &Partition| done.iter().any(|(done, ())| done == partition);
    let not_set = tollgate.partitions().iter().filter(|partition| !is_set(partition));
    let not_set = not_set.map(Partition::number).collect();
    // What could not be listed could not be set either.
    Ok((if unset.is_empty() { unlisted.complain() } else { unset.complain() }, not_set))
}

/// Whether jobs were sent to a queue that no worker has opened yet, or may have been where that cannot be read: it may be
/// paused before one comes.
async fn is_sent_to(tollgate: &Tollgate, name: &QueueName) -> anyhow::Result<bool> {
    let has_stream = async |_, keys: &Keys, link: &mut Link| Ok(queue::has_stream(link, keys, name).await?);
    let (read, failed) = in_each(tollgate, has_stream).await?;
    Ok(read.into_iter().any(|(_, has_stream)| has_stream) || !failed.is_empty())
}
