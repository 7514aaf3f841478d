//! `burst redeem|withdraw`: generates load, seeded and repeatable.

use crate::context::Context;
use crate::exit::Exit;
use tollgate::ids::QueueName;

use crate::arguments;

/// What was typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    kind: BurstKind,
}

#[derive(Debug, clap::Subcommand)]
enum BurstKind {
    /// Redemptions
    Redeem(Load),
    /// Withdrawals
    Withdraw(Load),
}

#[derive(Debug, clap::Args)]
struct Load {
    /// How many distinct jobs
    #[arg(long, value_name = "N", value_parser = arguments::count)]
    jobs: u64,
    /// Over how many campaigns or accounts
    #[arg(long, value_name = "M", default_value = "1", value_parser = arguments::count)]
    resources: u64,
    /// By how many customers
    #[arg(long, value_name = "K", default_value = "1000", value_parser = arguments::count)]
    customers: u64,
    /// How many jobs are sent twice
    #[arg(long, value_name = "PERCENT", default_value = "0%")]
    duplicates: String,
    /// Jobs a second [default: as fast as possible]
    #[arg(long, value_name = "R/s")]
    rate: Option<String>,
    /// The same seed makes the same jobs
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// The queue
    #[arg(long, value_name = "NAME", default_value = tollgate::ids::DEFAULT_QUEUE)]
    queue: QueueName,
}

/// Runs the command.
pub(crate) async fn run(_context: &Context, _args: Args) -> anyhow::Result<Exit> {
    anyhow::bail!("not built yet")
}
