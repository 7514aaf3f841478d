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
mod drawing;
mod ground;
mod judge;
mod process;
mod scenario;
mod search;
mod step;
mod world;

use std::process::ExitCode;
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
use self::ground::Ground;
use self::scenario::Scenario;
use self::search::{Failing, Figures, Search, written};
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
    /// How much may go wrong in one order, of all kinds together
    #[arg(long, value_name = "N", default_value_t = scenario::TOGETHER, value_parser = clap::value_parser!(u8).range(0..=6))]
    together: u8,
    /// Walk this one order and draw it: steps as a verdict prints them
    #[arg(long, value_name = "STEPS", value_delimiter = ',', requires = "fleets")]
    order: Vec<Step>,
    /// Plant a bug in settle, which must be found
    #[arg(long, value_name = "NAME")]
    sabotage: Option<String>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Args) -> ExitCode {
    // Runtimes of its own, on a thread of its own.
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

/// What came of one fleet.
struct Explored {
    name: &'static str,
    about: &'static str,
    bound: Bound,
    figures: Figures,
    found: Option<Failing>,
    /// Whether what was found, and nothing else, is known to go wrong.
    is_as_known: bool,
}

fn explore(args: &Args) -> anyhow::Result<u8> {
    let sabotage = args.sabotage.as_deref().map(sabotage).transpose()?;
    let fleets = fleets(&args.fleets)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut ground, mut persistent) = (Ground::start(false)?, Ground::start(true)?);
    let mut all = Vec::new();
    for scenario in &fleets {
        let tollgate = begin(&mut ground, &runtime, scenario)?;
        let persistent_tollgate = begin(&mut persistent, &runtime, scenario)?;
        let mut search = Search {
            ground: &mut ground,
            persistent: Some((&mut persistent, &persistent_tollgate)),
            runtime: &runtime,
            tollgate: &tollgate,
            scenario,
            sabotage,
            bound: Bound { all: args.together, ..scenario.bound },
            until: None,
        };
        if !args.order.is_empty() {
            let walked = search.walk(&args.order)?;
            let Failing { wrong, drawing, .. } = walked.end;
            print(format_args!("{drawing}\n{}\ntrace {:016x}", verdict_on(&wrong), walked.trace));
            return Ok(if wrong.is_empty() { 0 } else { EXIT_FOUND });
        }
        search.for_at_most(args.time);
        let (figures, found) = search.run()?;
        let found = found.map(|found| smallest(&mut search, found)).transpose()?;
        let is_known = |what: &String| scenario.known.is_some_and(|known| what.contains(known));
        let is_as_known = match (&found, scenario.known) {
            (None, None) => true,
            (Some(found), Some(_)) => found.wrong.iter().all(is_known),
            _ => false,
        };
        let explored = Explored {
            name: scenario.name,
            about: scenario.about,
            bound: Bound { all: args.together, ..scenario.bound },
            figures,
            found,
            is_as_known,
        };
        if !args.json {
            tell(&explored, args.sabotage.as_deref());
        }
        all.push(explored);
    }
    if args.json {
        print(document(&all));
    }
    Ok(match () {
        () if all.iter().any(|explored| explored.found.is_some() && !explored.is_as_known) => EXIT_FOUND,
        () if all.iter().any(|explored| !explored.is_as_known) => EXIT_UNDECIDED,
        () if args.time.is_none()
            && all.iter().any(|explored| !explored.figures.is_whole && explored.found.is_none()) =>
        {
            EXIT_UNDECIDED
        }
        () => 0,
    })
}

/// The start state of a fleet.
fn begin(
    ground: &mut Ground,
    runtime: &tokio::runtime::Runtime,
    scenario: &Scenario,
) -> anyhow::Result<Tollgate> {
    Sabotage::plant_in_thread(None);
    ground.clock.reset()?;
    ground.ask(&[vec![b"FLUSHALL".to_vec()]])?;
    let endpoint = Endpoint::parse(&RedisOptions { url: Some(ground.url()), ..RedisOptions::default() })?;
    let server = Server::open(endpoint);
    server.inspect(Safety::Warn);
    let namespace = Namespace::parse("explore")?;
    // The same identity and nonces each time.
    let tollgate = Seeded::new(1).during(|| {
        runtime.block_on(async {
            let tollgate = Tollgate::init(server, namespace, Partitions::ONE, RETENTION_DEFAULT).await?;
            scenario.set_up(&tollgate).await?;
            anyhow::Ok(tollgate)
        })
    })?;
    ground.begin_here(tollgate.keys(Partition::of("c", Partitions::ONE)))?;
    Ok(tollgate)
}

/// The failing order with the least that goes wrong in it.
fn smallest(search: &mut Search<'_>, found: Failing) -> anyhow::Result<Failing> {
    let whole = search.bound;
    for all in 0..=whole.all {
        search.bound = Bound { all, ..whole };
        let (_, smaller) = search.run()?;
        if let Some(smaller) = smaller {
            return Ok(smaller);
        }
    }
    search.bound = whole;
    Ok(found)
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

fn verdict_on(wrong: &[String]) -> String {
    if wrong.is_empty() { "all is well".to_owned() } else { wrong.join("\n") }
}

fn tell(explored: &Explored, sabotage: Option<&str>) {
    let Explored { name, about, bound, figures, found, is_as_known } = explored;
    let Figures { orders, cut, cut_walked, states, ends, restarts, steps_most, seconds, is_whole } = figures;
    let verdict = match (found, is_as_known) {
        (Some(_), true) => "FOUND what is known to be wrong",
        (Some(_), false) => "FAIL",
        (None, true) if *is_whole => "PASS",
        (None, true) => "NOT WHOLE, nothing found",
        (None, false) => "FAIL: what is known to be wrong was not found",
    };
    print(format_args!("{name}: {verdict}"));
    print(format_args!("  {about}; {bound}"));
    print(format_args!(
        "  {orders} orders of up to {steps_most} steps, {cut} branches cut ({cut_walked} walked all the same), {states} states, \
         {ends} different ends, {restarts} restarts of Redis, {seconds:.1} s"
    ));
    if let Some(Failing { steps, wrong, drawing }) = found {
        let planted = sabotage.map(|name| format!(" --sabotage {name}")).unwrap_or_default();
        print(format_args!("\n{drawing}\n  {}", wrong.join("\n  ")));
        print(format_args!(
            "  again: tollgate-chaos explore --fleet {name}{planted} --order '{}'\n",
            written(steps)
        ));
    }
}

fn document(all: &[Explored]) -> String {
    let rows = all.iter().map(|explored| {
        let found = explored.found.as_ref().map(|found| {
            serde_json::json!({
                "order": written(&found.steps),
                "wrong": found.wrong,
                "drawing": found.drawing.to_string(),
            })
        });
        serde_json::json!({
            "fleet": explored.name,
            "bound": explored.bound.to_string(),
            "figures": explored.figures,
            "found": found,
            "as_known": explored.is_as_known,
        })
    });
    serde_json::json!({ "fleets": rows.collect::<Vec<_>>() }).to_string()
}
