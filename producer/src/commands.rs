//! The commands, one file per noun. Each has its `Args` and a `run` that says how it ended.

pub(crate) mod account;
pub(crate) mod audit;
pub(crate) mod burst;
pub(crate) mod campaign;
pub(crate) mod dead;
pub(crate) mod enqueue;
pub(crate) mod init;
pub(crate) mod job;
pub(crate) mod journal;
pub(crate) mod listing;
pub(crate) mod lookup;
pub(crate) mod payout;
pub(crate) mod queue;
pub(crate) mod receipts;
pub(crate) mod redeem;
pub(crate) mod redis;
pub(crate) mod repair;
mod send;
pub(crate) mod stats;
#[cfg(feature = "watch")]
pub(crate) mod watch;
pub(crate) mod withdraw;
pub(crate) mod worker;

use std::io::Write;
use std::path::Path;

use anyhow::Context as _;
use clap::CommandFactory;

use crate::cli::{Cli, Command};
use crate::context::Context;
use crate::exit::Exit;

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
        Command::Redeem(args) => redeem::run(context, args).await,
        Command::Withdraw(args) => withdraw::run(context, args).await,
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
