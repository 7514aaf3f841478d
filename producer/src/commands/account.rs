//! `account open|deposit|show|close|ls`.

use crate::context::Context;
use crate::exit::Exit;
use tollgate::amount::Currency;
use tollgate::ids::{AccountId, JobId};

/// What was typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Open an account; the same again is a replay
    Open {
        /// The account
        id: AccountId,
        /// What is on it at first, in decimals of its currency
        #[arg(long, value_name = "AMOUNT", allow_hyphen_values = true)]
        balance: String,
        /// ISO 4217
        #[arg(long, value_name = "CODE", default_value = "USD")]
        currency: Currency,
    },
    /// Put money on an account
    Deposit {
        /// The account
        id: AccountId,
        /// How much, in decimals of its currency
        #[arg(value_name = "AMOUNT", allow_hyphen_values = true)]
        amount: String,
        /// Makes the deposit repeatable: the same key deposits once
        #[arg(long = "id", value_name = "KEY")]
        key: Option<JobId>,
        /// ISO 4217 [default: the currency of the account]
        #[arg(long, value_name = "CODE")]
        currency: Option<Currency>,
    },
    /// Show one account
    Show {
        /// The account
        id: AccountId,
    },
    /// Close an empty account for good
    Close {
        /// The account
        id: AccountId,
    },
    /// List all accounts
    Ls,
}

/// Runs the command.
pub(crate) async fn run(_context: &Context, _args: Args) -> anyhow::Result<Exit> {
    anyhow::bail!("not built yet")
}
