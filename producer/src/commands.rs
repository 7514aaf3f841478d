//! What can be typed: the commands, one file per noun. Each has its `Args` and a `run` that says how it ended.

mod account;
mod audit;
mod burst;
mod campaign;
mod case;
mod codes_file;
mod dead;
mod enqueue;
mod init;
mod inventory;
mod job;
mod journal;
mod listing;
mod lookup;
mod payout;
mod purchase;
mod queue;
mod receipts;
mod redeem;
mod redis;
mod repair;
mod reserve;
mod r#return;
mod send;
mod stats;
mod transfer;
#[cfg(feature = "watch")]
mod watch;
mod withdraw;
mod worker;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{CommandFactory, Parser, Subcommand};

use crate::cli::Global;
use crate::context::Context;
use crate::exit::Exit;

/// Coupons, tickets and money, each spent exactly once: the command line of Tollgate
#[derive(Debug, Parser)]
#[command(name = "tollgate-producer", version, max_term_width = 100, subcommand_required = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands, in the order of a user's need.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Initialise the namespace, or change its retention
    Init(init::Args),
    /// Create, show, change, close and list campaigns
    Campaign(campaign::Args),
    /// Open, show, close and list accounts, and deposit money
    Account(account::Args),
    /// Create, load, show, restock, close and list inventories
    Inventory(inventory::Args),
    /// Open, show, amend, decide and list cases
    Case(case::Args),
    /// Enqueue one redemption
    Redeem(redeem::Args),
    /// Enqueue one withdrawal
    Withdraw(withdraw::Args),
    /// Enqueue one transfer from an account to another
    Transfer(transfer::Args),
    /// Enqueue one purchase
    Purchase(purchase::Args),
    /// Enqueue one reservation: items set aside for a while
    Reserve(reserve::ReserveArgs),
    /// Enqueue one commit: what was reserved is sold
    Commit(reserve::EndArgs),
    /// Enqueue one release: what was reserved is on sale again
    Release(reserve::EndArgs),
    /// Enqueue one extension: a reservation ends later
    Extend(reserve::ExtendArgs),
    /// Enqueue one return: what an order bought is on sale again
    Return(r#return::ReturnArgs),
    /// Enqueue one exchange: an order gives one item for another
    Exchange(r#return::ExchangeArgs),
    /// Enqueue a file of jobs, one JSON object a line
    Enqueue(enqueue::Args),
    /// Generate load: seeded, repeatable, with duplicates
    Burst(burst::Args),
    /// What became of jobs
    Lookup(lookup::Args),
    /// One job's history, and jobs that wait for their time
    Job(job::Args),
    /// Counters of the namespace, its queues and partitions
    Stats(stats::Args),
    /// Jobs that nobody could decide
    Dead(dead::Args),
    /// Open payouts: list, show, and decide those that need a person
    Payout(payout::Args),
    /// Queues: list, pause, resume
    Queue(queue::Args),
    /// Worker processes
    Worker(worker::Args),
    /// The journal of every decision
    Journal(journal::Args),
    /// Replay the journal and compare everything with it
    Audit(audit::Args),
    /// Live view in the terminal
    #[cfg(feature = "watch")]
    Watch(watch::Args),
    /// Receipts of old ids
    Receipts(receipts::Args),
    /// Restore from the journal what was changed by other means than Tollgate's
    Repair(repair::Args),
    /// The private redis-server that is used where no URL is given
    Redis(redis::Args),
    /// Print the completion script of a shell, for example: source <(tollgate-producer completions bash)
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages of this program and its commands
    Man {
        /// The directory to write them into
        dir: PathBuf,
    },
}

/// Prints what a shell completes by: made from the declaration, so it is never behind.
fn completions(shell: clap_complete::Shell) -> anyhow::Result<Exit> {
    let mut command = Cli::command();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "tollgate-producer", &mut script);
    std::io::stdout().write_all(&script).context("cannot write to stdout")?;
    Ok(Exit::Done)
}

fn manual(dir: &Path) -> anyhow::Result<Exit> {
    tollgate_cli::write_manual::<Cli>(dir).with_context(|| format!("cannot write into {}", dir.display()))?;
    Ok(Exit::Done)
}

/// Runs one command.
pub(crate) async fn run(context: &Context, command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Init(args) => init::run(context, args).await,
        Command::Campaign(args) => campaign::run(context, args).await,
        Command::Account(args) => account::run(context, args).await,
        Command::Inventory(args) => inventory::run(context, args).await,
        Command::Case(args) => case::run(context, args).await,
        Command::Redeem(args) => redeem::run(context, args).await,
        Command::Withdraw(args) => withdraw::run(context, args).await,
        Command::Transfer(args) => transfer::run(context, args).await,
        Command::Purchase(args) => purchase::run(context, args).await,
        Command::Reserve(args) => reserve::reserve(context, args).await,
        Command::Commit(args) => reserve::commit(context, args).await,
        Command::Release(args) => reserve::release(context, args).await,
        Command::Extend(args) => reserve::extend(context, args).await,
        Command::Return(args) => r#return::run(context, args).await,
        Command::Exchange(args) => r#return::exchange(context, args).await,
        Command::Enqueue(args) => enqueue::run(context, args).await,
        Command::Burst(args) => burst::run(context, args).await,
        Command::Job(args) => job::run(context, args).await,
        Command::Lookup(args) => lookup::run(context, args).await,
        Command::Stats(args) => stats::run(context, args).await,
        Command::Dead(args) => dead::run(context, args).await,
        Command::Payout(args) => payout::run(context, args).await,
        Command::Queue(args) => queue::run(context, args).await,
        Command::Worker(args) => worker::run(context, args).await,
        Command::Journal(args) => journal::run(context, args).await,
        Command::Audit(args) => audit::run(context, args).await,
        #[cfg(feature = "watch")]
        Command::Watch(args) => watch::run(context, args).await,
        Command::Receipts(args) => receipts::run(context, args).await,
        Command::Repair(args) => repair::run(context, args).await,
        Command::Redis(args) => redis::run(context, args).await,
        Command::Completions { shell } => completions(shell),
        Command::Man { dir } => manual(&dir),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_declaration_is_sound() {
        super::Cli::command().debug_assert();
    }
}
