//! `withdraw`: enqueues one withdrawal.

use crate::context::Context;
use crate::exit::Exit;
use tollgate::amount::{Amount, Currency};
use tollgate::ids::{AccountId, Destination};
use tollgate::kinds::{Payout, Withdraw};

use super::send::{self, SendArgs};
use crate::arguments;

/// What was typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The account
    #[arg(long, value_name = "ID")]
    account: AccountId,
    /// How much, in decimals of the currency
    #[arg(long, value_name = "AMOUNT", allow_hyphen_values = true, value_parser = arguments::decimals)]
    amount: String,
    /// ISO 4217
    #[arg(long, value_name = "CODE", default_value = "USD")]
    currency: Currency,
    /// Where a gateway pays it to; without it the money is withdrawn at once
    #[arg(long, value_name = "TEXT")]
    destination: Option<Destination>,
    #[command(flatten)]
    send: SendArgs,
}

/// Runs the command.
pub(crate) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let Args { account, amount, currency, destination, send } = args;
    let amount = Amount::parse_positive("--amount", &amount, currency)?;
    let request = match destination {
        None => Withdraw { account, amount, currency }.into(),
        Some(destination) => Payout { account, amount, currency, destination }.into(),
    };
    send::run(context, send, request).await
}
