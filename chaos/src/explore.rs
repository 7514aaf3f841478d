//! `tollgate-chaos explore`: every order of the calls of a small fleet within a bound, and at each call what a network
//! and a crash can do to it.
//!
//! The calls are those that the worker's own code makes, in the order in which it makes them, through the real scripts
//! on a real Redis. Whole workers live in this process, each on a runtime of its own whose time stands still; every
//! call waits at a gate (`tollgate::gate`), and this program decides which runs next, whether its reply arrives, and who
//! dies. One thread, one order at a time: the same order again is the same calls.

mod bank;
mod bound;
mod call;
mod clock;
mod databases;
mod ground;
mod judge;
mod members;
mod memo;
mod numbered;
mod process;
mod report;
mod scenario;
mod script;
mod search;
mod state;
mod step;
mod timeline;
mod world;

use std::collections::VecDeque;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::Duration;

use anyhow::Context;
use tollgate::connect::{Endpoint, RedisOptions, Safety, Server};
use tollgate::ids::Namespace;
use tollgate::partition::{Partition, Partitions};
use tollgate::random::Seeded;
use tollgate::sabotage::Sabotage;
use tollgate::{RETENTION_DEFAULT, Tollgate};
use tollgate_testkit::clock::NotMade;

use self::bound::Bound;
use self::databases::Databases;
use self::ground::Ground;
use self::memo::Memo;
use self::report::{Explored, Failing};
use self::scenario::Scenario;
use self::search::Search;
use self::step::Step;
use crate::stage::{complain, print};

/// A wrong order was found.
const EXIT_FOUND: u8 = 5;
/// Nothing could be explored, or not all of it.
const EXIT_UNDECIDED: u8 = 4;

/// The exploration.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// Only this fleet; repeatable
    #[arg(long = "fleet", value_name = "NAME")]
    fleets: Vec<String>,
    /// Stop each fleet after this time, whole or not
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    time: Option<Duration>,
    /// Stop each fleet after so many orders, whole or not: the same work on every machine
    #[arg(long, value_name = "N")]
    orders: Option<std::num::NonZeroU64>,
    /// How many faults one order may have, of all kinds together; by default as many as each fleet is walked whole with
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=8))]
    together: Option<u8>,
    /// Walk this one order and draw it: steps as a verdict prints them
    #[arg(long, value_name = "STEPS", value_delimiter = ',', requires = "fleets")]
    order: Vec<Step>,
    /// Plant a bug in settle, which must be found
    #[arg(long, value_name = "NAME")]
    sabotage: Option<String>,
    /// Fleets that are explored at the same time; by default one for each processor
    #[arg(long, value_name = "N")]
    threads: Option<std::num::NonZeroUsize>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// Plant a bug in the explorer, which its own checks must find
    #[arg(long, hide = true)]
    forget: Option<Forget>,
}

/// What the explorer does not see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Forget {
    /// What Redis holds, where states are compared.
    Database,
    /// That Redis has forgotten its scripts, where answers are looked up.
    Scripts,
}

pub(crate) async fn run(args: Args) -> ExitCode {
    // Runtimes of its own, on threads of its own.
    let explored = tokio::task::spawn_blocking(move || explore(&args)).await;
    match explored {
        Ok(Ok(code)) => ExitCode::from(code),
        Ok(Err(error)) => {
            complain(format_args!("error: {error:#}"));
            let is_undecided = matches!(error.downcast_ref(), Some(NotMade::NoCompiler(_)));
            ExitCode::from(if is_undecided { EXIT_UNDECIDED } else { 1 })
        }
        Err(panic) => {
            complain(format_args!("error: {panic}"));
            ExitCode::FAILURE
        }
    }
}

fn explore(args: &Args) -> anyhow::Result<u8> {
    let sabotage = args.sabotage.as_deref().map(sabotage).transpose()?;
    let fleets = fleets(&args.fleets)?;
    if !args.order.is_empty() {
        return with_search(&fleets[0], args, sabotage, |search| {
            let walked = search.walk(&args.order)?;
            let Failing { wrong, timeline, .. } = walked.end;
            print(format_args!("{timeline}\n{}\ntrace {:016x}", report::verdict_on(&wrong), walked.trace));
            Ok(if wrong.is_empty() { 0 } else { EXIT_FOUND })
        });
    }
    let all = explore_all(&fleets, args, sabotage)?;
    if args.json {
        print(report::document(&all));
    } else {
        print(report::table(&all));
    }
    let is_undecided = |explored: &Explored| {
        !explored.is_as_known
            || (args.time.is_none()
                && args.orders.is_none()
                && !explored.figures.is_whole
                && explored.found.is_none())
    };
    Ok(match () {
        () if all.iter().any(|explored| explored.found.is_some() && !explored.is_as_known) => EXIT_FOUND,
        () if all.iter().any(is_undecided) => EXIT_UNDECIDED,
        () => 0,
    })
}

/// All of them, on as many threads as there are processors; told as each ends.
fn explore_all(
    fleets: &[Scenario],
    args: &Args,
    sabotage: Option<Sabotage>,
) -> anyhow::Result<Vec<Explored>> {
    let processors = args.threads.map_or_else(std::thread::available_parallelism, Ok)?.get();
    let waiting: Mutex<VecDeque<&Scenario>> = Mutex::new(fleets.iter().collect());
    let (ended, all_ended) = mpsc::channel();
    let mut all = std::thread::scope(|scope| {
        for _ in 0..processors.min(fleets.len()) {
            let (ended, waiting) = (ended.clone(), &waiting);
            scope.spawn(move || {
                loop {
                    let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let Some(scenario) = next else { break };
                    let explored = explore_one(scenario, args, sabotage);
                    let is_over = explored.is_err();
                    if ended.send(explored).is_err() || is_over {
                        break;
                    }
                }
            });
        }
        drop(ended);
        let mut all = Vec::new();
        for explored in all_ended {
            let explored = explored?;
            if !args.json {
                report::tell(&explored, args.sabotage.as_deref());
            }
            all.push(explored);
        }
        anyhow::Ok(all)
    })?;
    all.sort_by_key(|explored| fleets.iter().position(|scenario| scenario.name == explored.name));
    Ok(all)
}

fn explore_one(scenario: &Scenario, args: &Args, sabotage: Option<Sabotage>) -> anyhow::Result<Explored> {
    with_search(scenario, args, sabotage, |search| {
        search.for_at_most(args.time);
        search.orders_max = args.orders;
        search.tells_progress = !args.json;
        let (figures, found) = search.run()?;
        let is_known = |what: &String| scenario.known.is_some_and(|known| what.contains(known));
        let is_as_known = match (&found, scenario.known) {
            (None, None) => true,
            (Some(found), Some(_)) => found.wrong.iter().all(is_known),
            _ => false,
        };
        let (name, about, bound) = (scenario.name, scenario.about, search.bound);
        Ok(Explored { name, about, bound, figures, found, is_as_known })
    })
}

/// A fleet at its beginning, on servers of its own.
fn with_search<T>(
    scenario: &Scenario,
    args: &Args,
    sabotage: Option<Sabotage>,
    work: impl FnOnce(&mut Search<'_, '_>) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut databases = Databases::start()?;
    let real_tollgate = begin(&mut databases.real, &runtime, scenario)?;
    let tollgate = begin(&mut databases.knowing, &runtime, scenario)?;
    databases.forgets_scripts = args.forget == Some(Forget::Scripts);
    let start = databases.begin(tollgate.keys(Partition::of("c", Partitions::ONE)))?;
    let mut search = Search {
        memo: Memo::new(scenario, &tollgate, &mut databases, start),
        runtime: &runtime,
        tollgate: &tollgate,
        real_tollgate: &real_tollgate,
        sabotage,
        bound: Bound { all: args.together.unwrap_or(scenario.bound.all), ..scenario.bound },
        until: None,
        orders_max: None,
        tells_progress: false,
        forgets_database: args.forget == Some(Forget::Database),
    };
    work(&mut search)
}

/// The start state of a fleet.
fn begin(
    ground: &mut Ground,
    runtime: &tokio::runtime::Runtime,
    scenario: &Scenario,
) -> anyhow::Result<Tollgate> {
    Sabotage::plant_in_thread(None);
    ground.empty()?;
    let endpoint = Endpoint::parse(&RedisOptions { url: Some(ground.url()), ..RedisOptions::default() })?;
    let server = Server::open(endpoint);
    server.inspect(Safety::Warn);
    let namespace = Namespace::parse("explore")?;
    // The same identity and nonces each time.
    Seeded::new(1).during(|| {
        runtime.block_on(async {
            let tollgate = Tollgate::init(server, namespace, Partitions::ONE, RETENTION_DEFAULT).await?;
            scenario.set_up(&tollgate).await?;
            anyhow::Ok(tollgate)
        })
    })
}

fn fleets(names: &[String]) -> anyhow::Result<Vec<Scenario>> {
    let all = Scenario::all();
    let known: Vec<&str> = all.iter().map(|scenario| scenario.name).collect();
    if let Some(other) = names.iter().find(|name| !known.contains(&name.as_str())) {
        anyhow::bail!("--fleet {other}: must be one of {}", known.join(", "));
    }
    Ok(all
        .into_iter()
        .filter(|scenario| names.is_empty() || names.iter().any(|name| name == scenario.name))
        .collect())
}

fn sabotage(name: &str) -> anyhow::Result<Sabotage> {
    let names = || Sabotage::ALL.map(Sabotage::name).join(", ");
    let found = Sabotage::ALL.into_iter().find(|sabotage| sabotage.name() == name);
    found.with_context(|| format!("--sabotage {name}: must be one of {}", names()))
}
