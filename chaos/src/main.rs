//! `tollgate-chaos`: the real programs under faults, the race lab, and the sandbox bank that witnesses from outside
//! what was paid.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod bank;
#[cfg(feature = "cluster")]
mod cluster;
#[cfg(feature = "run")]
mod compose;
mod demo;
#[cfg(feature = "explore")]
mod explore;
#[cfg(any(feature = "run", feature = "race"))]
mod page;
mod payouts;
#[cfg(any(feature = "run", feature = "race"))]
mod port;
#[cfg(feature = "race")]
mod race;
#[cfg(feature = "run")]
mod run;
mod sandbox;
mod span;
mod stage;
mod watched_dir;

/// The real programs under faults, and an outside witness.
#[derive(Parser)]
#[command(name = "tollgate-chaos", version, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// 40,000 jobs on three workers, one of which is killed: coupons, withdrawals, a concert
    Demo(demo::Args),
    /// Payouts through a bank that misbehaves, while workers are killed and stopped
    Payouts(payouts::Args),
    #[cfg(feature = "run")]
    /// A fleet under random faults from a seed, and a verdict from its history, the journal and the bank
    Run(run::Args),
    #[cfg(feature = "run")]
    /// The verdict on a run that was played before
    Check(run::CheckArgs),
    #[cfg(feature = "explore")]
    /// Every order of the calls of a small fleet, and what can happen to each call
    Explore(explore::Args),
    #[cfg(feature = "race")]
    /// Well-known races with every well-known cure, on real stores, and the damage counted
    Race(race::Args),
    #[cfg(feature = "race")]
    /// The holder of a lock that `race` stops
    #[command(hide = true)]
    RaceHolder,
    /// The fleet of docker-compose.yml, in containers
    #[cfg(feature = "run")]
    Compose(compose::Args),
    /// A Redis Cluster on this machine, to try things with, until Ctrl-C
    #[cfg(feature = "cluster")]
    Cluster(cluster::Args),
    /// A payout gateway with a ledger of its own, which can be told to misbehave
    Bank(bank::Args),
}

#[tokio::main]
async fn main() -> ExitCode {
    let code = run().await;
    if stage::is_printed() {
        return code;
    }
    stage::complain("error: stdout could not be written");
    ExitCode::FAILURE
}

async fn run() -> ExitCode {
    match tollgate_cli::parse::<Cli>().command {
        Command::Demo(args) => demo::run(args).await,
        Command::Payouts(args) => payouts::run(args).await,
        #[cfg(feature = "run")]
        Command::Run(args) => run::run(args).await,
        #[cfg(feature = "run")]
        Command::Check(args) => run::check(&args),
        #[cfg(feature = "explore")]
        Command::Explore(args) => explore::run(args).await,
        #[cfg(feature = "race")]
        Command::Race(args) => race::run(args).await,
        #[cfg(feature = "race")]
        Command::RaceHolder => match race::hold().await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                stage::complain(format_args!("error: {error:#}"));
                ExitCode::FAILURE
            }
        },
        #[cfg(feature = "run")]
        Command::Compose(args) => compose::run(args).await,
        #[cfg(feature = "cluster")]
        Command::Cluster(args) => cluster::run(args).await,
        Command::Bank(args) => bank::run(args).await,
    }
}
