//! `tollgate-chaos compose run`: sets the project up, hands it to the run, and takes it down whatever came of it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use super::project::Layout;
use super::set_up::{Common, EXIT_INVALID, set_up};
use crate::run::containers::{self, plan::Plan};
use crate::stage::{complain, interrupted, print};

/// The bank misbehaves in each of its ways so often.
const BANK: [&str; 7] = ["refuse", "fail-before", "fail-after", "hang", "drop", "accept", "lock-out"];
const MISCHIEF: &str = "3%";
/// Short times, so that what takes half a minute in production is seen many times.
const WORKERS: &str = "--claim-idle 1s --drain-timeout 10s -c 20 --payout-timeout 300ms --payout-backoff 100ms --payout-pause 200ms";
/// A run that is this long has seen each fault.
const DURATION: &str = "2m";

/// A run in containers.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    common: Common,
    /// The seed of everything that is drawn [default: a fresh one]
    #[arg(long)]
    seed: Option<u64>,
    /// How long faults go on
    #[arg(long, value_name = "TIME", default_value = DURATION, value_parser = humantime::parse_duration)]
    duration: Duration,
    /// Workers
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u64).range(2..=16))]
    workers: u64,
    /// Where the history, the logs and the report go, in a directory of their own
    #[arg(long, value_name = "DIR", default_value = "chaos-report")]
    report: PathBuf,
    /// Print one JSON document instead
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &Args) -> ExitCode {
    let seed = args.seed.unwrap_or_else(|| rand::random_range(0..1_000_000));
    let programs = match containers::programs() {
        Ok(programs) => programs,
        Err(error) => {
            complain(format_args!("error: {error:#}"));
            return ExitCode::FAILURE;
        }
    };
    let mischief: Vec<String> = BANK.iter().map(|way| format!("--{way} {MISCHIEF}")).collect();
    let settings = [
        ("COMPOSE_PROFILES", "payouts,producer".to_owned()),
        ("WORKER_FLAGS", WORKERS.to_owned()),
        (
            "BANK_FLAGS",
            format!("--seed {seed} --latency 1ms..20ms --lock-out-for 100ms {}", mischief.join(" ")),
        ),
        ("CHAOS_FILES", programs.dir().display().to_string()),
    ];
    let (project, engine) = match set_up(&args.common, "chaos", Layout::Chaos, &settings).await {
        Ok(both) => both,
        Err(code) => return code,
    };
    let project = Arc::new(project);
    let time = humantime::format_duration(args.duration).to_string().replace(' ', "");
    let plan = Plan {
        seed,
        duration: args.duration,
        workers: args.workers as usize,
        report: args.report.clone(),
        json: args.json,
        engine,
        repeat: format!(
            "tollgate-chaos compose run --seed {seed} --duration {time} --workers {}",
            args.workers
        ),
    };
    if !args.json {
        print(format_args!(
            "seed {seed}, {time} with faults, {} workers, three lock nodes, a bank that misbehaves\n",
            args.workers
        ));
    }
    let code = tokio::select! {
        played = containers::run(&plan, &project, programs) => played.unwrap_or_else(|error| {
            complain(format_args!("INVALID: the run could not be played to its end: {error:#}"));
            ExitCode::from(EXIT_INVALID)
        }),
        () = interrupted() => {
            complain("\ninterrupted; nothing is left running");
            ExitCode::FAILURE
        }
    };
    project.clear();
    code
}
