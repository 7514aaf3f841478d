//! `burst redeem|withdraw|purchase`: generates load. The same seed and numbers are the same load, resources included.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde::Serialize;
use tollgate::Tollgate;
use tollgate::amount::{Amount, Currency};
use tollgate::ids::{JobId, QueueName};
use tollgate::input::InputError;
use tollgate::lines::LINES_MAX;
use tollgate::quantity::Limit;
use tollgate::resource::Resource;
use tollgate::stock::ITEMS_MAX;

use crate::arguments;
use crate::context::Context;
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::load::{Generator, Kind, Load, WHOLE};
use crate::output::{complain, hint, say};
use crate::progress::Progress;
use crate::sender::{Chunk, NamedOperation, Route, Sender, Tally};
use crate::served;
use crate::table;

/// Jobs in one pipeline.
const CHUNK: u64 = 1_000;
/// With a rate, a chunk is what this time allows, so that jobs arrive evenly.
const CHUNKS_PER_SECOND: u64 = 200;

/// What was typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    kind: BurstKind,
}

#[derive(Debug, clap::Subcommand)]
enum BurstKind {
    /// Redemptions
    Redeem {
        #[command(flatten)]
        load: LoadArgs,
        /// What each campaign may issue [default: half of what is asked of it]
        #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = arguments::limit)]
        limit: Option<Limit>,
    },
    /// Purchases
    Purchase {
        #[command(flatten)]
        load: LoadArgs,
        /// How many items each inventory has
        #[arg(long, value_name = "N", default_value = "10000", allow_hyphen_values = true, value_parser = items)]
        items: u64,
        /// How many units there are of each item at first [default: half of what is asked of it]
        #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = arguments::limit)]
        each: Option<Limit>,
        /// How many items each order names
        #[arg(long, value_name = "N", default_value = "1", allow_hyphen_values = true, value_parser = lines)]
        lines: u64,
    },
    /// Withdrawals
    Withdraw {
        #[command(flatten)]
        load: LoadArgs,
        /// What is on each account at first, in USD [default: half of what is asked of it]
        #[arg(long, value_name = "AMOUNT", allow_hyphen_values = true, value_parser = dollars)]
        balance: Option<Amount>,
    },
}

#[derive(Debug, clap::Args)]
struct LoadArgs {
    /// How many distinct jobs
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = arguments::count)]
    jobs: u64,
    /// Over how many campaigns, accounts or inventories, which are created
    #[arg(long, value_name = "M", allow_hyphen_values = true, default_value = "1", value_parser = arguments::count)]
    resources: u64,
    /// By how many customers; withdrawals have none
    #[arg(long, value_name = "K", allow_hyphen_values = true, default_value = "1000", value_parser = arguments::count)]
    customers: u64,
    /// How many of the jobs are followed by a repetition of an earlier one
    #[arg(long, value_name = "PERCENT", allow_hyphen_values = true, default_value = "0%", value_parser = parts)]
    duplicates: u64,
    /// At most so many jobs a second [default: as fast as possible]
    #[arg(long, value_name = "R/s", allow_hyphen_values = true, value_parser = rate)]
    rate: Option<u64>,
    /// The same seed makes the same load [default: a fresh one, which is printed]
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// The queue
    #[arg(long, value_name = "NAME", default_value = tollgate::ids::DEFAULT_QUEUE)]
    queue: QueueName,
    /// How long to wait for a full, failing or absent Redis, at the start too, before what is left is reported
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, default_value = "30s", value_parser = arguments::duration)]
    overload_wait: Duration,
    /// Most jobs that may wait in the queue [default: no bound]
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = arguments::count)]
    queue_max: Option<u64>,
}

fn dollars(text: &str) -> Result<Amount, InputError> {
    Amount::parse_decimal("balance", text, Currency::default())
}

/// How many items an inventory may have.
fn items(text: &str) -> Result<u64, String> {
    up_to(text, ITEMS_MAX)
}

/// How many lines an order may have.
fn lines(text: &str) -> Result<u64, String> {
    up_to(text, LINES_MAX)
}

fn up_to(text: &str, most: usize) -> Result<u64, String> {
    arguments::count(text)
        .ok()
        .filter(|count| *count <= most as u64)
        .ok_or_else(|| format!("must be a whole number from 1 to {most}"))
}

/// `5%` or `0.25%` as parts of 10,000.
fn parts(text: &str) -> Result<u64, String> {
    // A percentage has two decimals, like an amount of dollars.
    let percent = text.strip_suffix('%').unwrap_or(text);
    Amount::parse_decimal("percent", percent, Currency::default())
        .ok()
        .map(Amount::minor)
        .filter(|parts| *parts <= WHOLE)
        .ok_or_else(|| "must be from 0% to 100%, with up to two decimals".to_owned())
}

/// `500/s` or `500`.
fn rate(text: &str) -> Result<u64, String> {
    let number = text.strip_suffix("/s").unwrap_or(text);
    arguments::count(number).map_err(|_| "must be a number of jobs a second, for example 500/s".to_owned())
}

/// The end of a burst, as `--json` tells it.
#[derive(Serialize)]
struct Summary<'a> {
    /// What every name of the load begins with.
    name: &'a str,
    seed: u64,
    jobs: u64,
    resources: u64,
    /// How many repetitions were sent.
    duplicates: u64,
    #[serde(flatten)]
    tally: &'a Tally,
    stopped: Option<&'static str>,
    elapsed_ms: u64,
}

/// Runs the command.
pub(crate) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let (args, load) = load_of(args.kind);
    let tollgate = context.open_or_init_within(args.overload_wait).await?;
    let progress = Progress::of(Some(load.jobs));
    served::warn(&tollgate, &args.queue).await;
    let route = Route { queue: args.queue, queue_max: args.queue_max, wait_max: args.overload_wait };
    let mut sender = Sender::new(&tollgate, route, Interrupt::listen()?, progress.clone()).await?;
    let generator = Generator::new(load);
    let name = load.name();
    say(format_args!("seed {}: everything of this load is named {name}-…", load.seed));

    create(&generator, &load, &mut sender).await?;
    fill(&tollgate, &generator, &load, &mut sender).await?;
    let created = sender.tally().accepted;
    let begun = Instant::now();
    let duplicates = send(&generator, &load, args.rate, &mut sender).await?;
    let elapsed = begun.elapsed();
    progress.end();

    let tally = sender.tally();
    let summary = Summary {
        name: &name,
        seed: load.seed,
        jobs: load.jobs,
        resources: load.resources,
        duplicates,
        tally,
        stopped: tally.stopped().map(|why| why.code()),
        elapsed_ms: u64::try_from(elapsed.as_millis())?,
    };
    let (jobs, resources) = (table::count(load.jobs), table::count(load.resources));
    // What has arrived, not what was to be sent: an interrupted burst is not a fast one.
    let rate = table::rate(tally.accepted - created, elapsed);
    let text = format!(
        "{name}: {jobs} jobs and {} repetitions over {resources} resources\n  {tally}\n  in {:.1} s, {} a second",
        table::count(duplicates),
        elapsed.as_secs_f64(),
        rate,
    );
    let told = context.output().answer(&summary, text);
    if let Some(why) = tally.stopped() {
        complain(format_args!("stopped: {why}"));
        why.hint().into_iter().for_each(hint);
        hint(format_args!("the same command with `--seed {}` sends the same jobs again", load.seed));
    }
    Ok(tally.exit().combine(told))
}

fn load_of(kind: BurstKind) -> (LoadArgs, Load) {
    let in_range = |what: &str| -> ! { unreachable!("half of it all is a {what}") };
    let (args, kind) = match kind {
        BurstKind::Redeem { load, limit } => {
            let half = Load::half_each(load.jobs, load.resources, 1);
            let limit = limit.unwrap_or_else(|| Limit::new(half).unwrap_or_else(|| in_range("limit")));
            (load, Kind::Redeem { limit })
        }
        BurstKind::Withdraw { load, balance } => {
            let half = Load::half_each(load.jobs, load.resources, Load::AMOUNT_MEAN);
            let balance =
                balance.unwrap_or_else(|| Amount::from_minor(half).unwrap_or_else(|| in_range("balance")));
            (load, Kind::Withdraw { balance })
        }
        BurstKind::Purchase { load, items, each, lines } => {
            let half =
                Load::half_each(load.jobs.saturating_mul(lines), load.resources.saturating_mul(items), 1);
            let each = each.unwrap_or_else(|| Limit::new(half).unwrap_or_else(|| in_range("limit")));
            (load, Kind::Purchase { items, each, lines: lines.min(items) })
        }
    };
    let seed = args.seed.unwrap_or_else(|| rand::random::<u32>().into());
    let LoadArgs { jobs, resources, customers, duplicates, .. } = args;
    (args, Load { kind, seed, jobs, resources, customers, duplicates })
}

async fn create(generator: &Generator, load: &Load, sender: &mut Sender<'_>) -> Result<(), InputError> {
    for first in (0..load.resources).step_by(CHUNK as usize) {
        let numbers = first..load.resources.min(first + CHUNK);
        let operations =
            numbers.map(|n| Ok((n + 1, generator.resource(n)?))).collect::<Result<_, InputError>>()?;
        sender.send(Chunk::Operations(operations)).await;
        if sender.tally().stopped().is_some() {
            break;
        }
    }
    Ok(())
}

/// Uploads what the inventories begin with, and loads them; does nothing where there are none.
async fn fill(
    tollgate: &Tollgate,
    generator: &Generator,
    load: &Load,
    sender: &mut Sender<'_>,
) -> anyhow::Result<()> {
    let mut link = None;
    for n in 0..load.resources {
        let Some((inventory, stock)) = generator.stock(n)? else { return Ok(()) };
        if sender.tally().stopped().is_some() {
            return Ok(());
        }
        let link = match &mut link {
            Some(link) => link,
            empty => empty.insert(tollgate.server().link().await?),
        };
        let keys = tollgate.keys(tollgate.partition_of(Resource::Inventory(&inventory)));
        // Of a load that was begun before, the list is there.
        stock.upload(link, keys, &inventory, |_| ()).await.context("uploading the items")?;
        let id = JobId::load_inventory(&inventory);
        let request = stock.request(inventory).into();
        sender.send(Chunk::Operations(vec![(n + 1, NamedOperation { id, request })])).await;
    }
    Ok(())
}

/// Sends the jobs; answers how many repetitions were among them.
async fn send(
    generator: &Generator,
    load: &Load,
    rate: Option<u64>,
    sender: &mut Sender<'_>,
) -> Result<u64, InputError> {
    let chunk = rate.map_or(CHUNK, |rate| (rate / CHUNKS_PER_SECOND).clamp(1, CHUNK));
    let begun = Instant::now();
    let mut duplicates = 0;
    let mut first = 0;
    while first < load.jobs && sender.tally().stopped().is_none() {
        let end = load.jobs.min(first + chunk);
        let mut jobs = Vec::with_capacity(2 * chunk as usize);
        for n in first..end {
            jobs.push((n + 1, sender.pack(&generator.job(n)?)));
            if let Some(earlier) = generator.duplicate_after(n) {
                duplicates += 1;
                jobs.push((n + 1, sender.pack(&generator.job(earlier)?)));
            }
        }
        sender.send(Chunk::Jobs(jobs)).await;
        first = end;
        if let Some(rate) = rate {
            let due = Duration::from_secs_f64((first + duplicates) as f64 / rate as f64);
            sender.pause(due.saturating_sub(begun.elapsed())).await;
        }
    }
    Ok(duplicates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_and_rates_are_plain() {
        assert_eq!((parts("5%"), parts("0.25"), parts("100%")), (Ok(500), Ok(25), Ok(10_000)));
        for bad in ["", "%", "-1%", "101%", "0.001%", "5 %", "five"] {
            assert!(parts(bad).is_err(), "{bad}");
        }
        assert_eq!((rate("500/s"), rate("1")), (Ok(500), Ok(1)));
        for bad in ["0", "-5/s", "1.5/s", "5/m", ""] {
            assert!(rate(bad).is_err(), "{bad}");
        }
    }
}
