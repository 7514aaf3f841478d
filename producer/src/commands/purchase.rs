//! `purchase`: enqueues one purchase.

use tollgate::ids::{CustomerId, InventoryId, ItemId};
use tollgate::input::InputError;
use tollgate::kinds::Purchase;
use tollgate::lines::Lines;
use tollgate::quantity::Quantity;

use super::send::{self, SendArgs};
use crate::context::Context;
use crate::exit::Exit;

/// What was typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The inventory
    #[arg(long, value_name = "ID")]
    inventory: InventoryId,
    /// Who buys
    #[arg(long, value_name = "ID")]
    customer: CustomerId,
    /// What, and how many of it; once for each item
    #[arg(long, value_name = "ITEM[=N]", required = true, value_parser = order_line)]
    item: Vec<(ItemId, Quantity)>,
    #[command(flatten)]
    send: SendArgs,
}

/// Runs the command.
pub(crate) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let Args { inventory, customer, item, send } = args;
    send::run(context, send, Purchase { inventory, customer, lines: Lines::new(item)? }.into()).await
}

/// `A-12`, or `A-12=2`. An item whose own name ends in `=` and something is typed with its quantity.
pub(crate) fn order_line(text: &str) -> Result<(ItemId, Quantity), InputError> {
    match text.rsplit_once('=') {
        Some((item, quantity)) => Ok((ItemId::parse(item)?, Quantity::parse("quantity", quantity)?)),
        None => Ok((ItemId::parse(text)?, Quantity::ONE)),
    }
}
