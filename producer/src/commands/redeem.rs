//! `redeem`: enqueues one redemption.

use crate::context::Context;
use crate::exit::Exit;
use tollgate::ids::{CampaignId, CustomerId};
use tollgate::kinds::Redeem;
use tollgate::quantity::Quantity;

use super::send::{self, SendArgs};
use crate::arguments;

/// What was typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The campaign
    #[arg(long, value_name = "ID")]
    campaign: CampaignId,
    /// Who redeems
    #[arg(long, value_name = "ID")]
    customer: CustomerId,
    /// How many
    #[arg(long, value_name = "N", default_value = "1", allow_hyphen_values = true, value_parser = arguments::quantity)]
    quantity: Quantity,
    #[command(flatten)]
    send: SendArgs,
}

/// Runs the command.
pub(crate) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let Args { campaign, customer, quantity, send } = args;
    send::run(context, send, Redeem { campaign, customer, quantity }.into()).await
}
