//! `tollgate-chaos`: faults on purpose, and the sandbox bank that witnesses from outside what was paid.

use clap::{Parser, Subcommand};

mod bank;

/// Faults on purpose, and an outside witness.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// A payout gateway with a ledger of its own, which can be told to misbehave.
    Bank(bank::Args),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_target(false).init();
    match Cli::parse().command {
        Command::Bank(args) => bank::run(args).await,
    }
}
