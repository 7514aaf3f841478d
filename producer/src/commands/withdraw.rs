//! `withdraw`: enqueues one withdrawal.

use crate::context::Context;
use crate::exit::Exit;
use tollgate::amount::{Amount, Currency};
use tollgate::ids::AccountId;
use tollgate::job::Request;

use super::send::{self, SendArgs};

/// What was typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The account
    #[arg(long, value_name = "ID")]
    account: AccountId,
    /// How much, in decimals of the currency
    #[arg(long, value_name = "AMOUNT", allow_hyphen_values = true)]
    amount: String,
    /// ISO 4217
    #[arg(long, value_name = "CODE", default_value = "USD")]
    currency: Currency,
    #[command(flatten)]
    send: SendArgs,
}

/// Runs the command.
pub(crate) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let Args { account, amount, currency, send } = args;
    let amount = Amount::parse_decimal("--amount", &amount, currency)?.positive("--amount")?;
    send::run(context, send, Request::Withdraw { account, amount, currency }).await
}
