//! `transfer`: enqueues one transfer.

use tollgate::amount::{Amount, Currency};
use tollgate::ids::AccountId;
use tollgate::kinds::{Fields, Transfer};

use super::send::{self, SendArgs};
use crate::arguments;
use crate::context::Context;
use crate::exit::Exit;

/// What was typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The account that pays
    #[arg(long, value_name = "ID")]
    from: AccountId,
    /// The account that is paid
    #[arg(long, value_name = "ID")]
    to: AccountId,
    /// How much, in decimals of the currency
    #[arg(long, value_name = "AMOUNT", allow_hyphen_values = true, value_parser = arguments::decimals)]
    amount: String,
    /// ISO 4217
    #[arg(long, value_name = "CODE", default_value = "USD")]
    currency: Currency,
    #[command(flatten)]
    send: SendArgs,
}

/// Runs the command.
pub(crate) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let Args { from, to, amount, currency, send } = args;
    let amount = Amount::parse_positive("--amount", &amount, currency)?;
    let request = Transfer { from, to, amount, currency };
    request.check()?;
    send::run(context, send, request.into()).await
}
