//! `redeem`: enqueues one redemption.

use crate::context::Context;
use crate::exit::Exit;
use tollgate::ids::{CampaignId, CustomerId};
use tollgate::job::Quantity;

use super::send::SendArgs;
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
    #[arg(long, value_name = "N", default_value = "1", value_parser = arguments::quantity)]
    quantity: Quantity,
    #[command(flatten)]
    send: SendArgs,
}

/// Runs the command.
pub(crate) async fn run(_context: &Context, _args: Args) -> anyhow::Result<Exit> {
    anyhow::bail!("not built yet")
}
