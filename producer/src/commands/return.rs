//! `return` and `exchange`: what an order gives back.

use tollgate::ids::{InventoryId, ItemId, OrderId};
use tollgate::kinds::{Exchange, Fields, Return};
use tollgate::quantity::Quantity;

use super::purchase::order_line;
use super::reserve::some_lines;
use super::send::{self, SendArgs};
use crate::context::Context;
use crate::exit::Exit;

/// What was typed.
#[derive(Debug, clap::Args)]
pub(crate) struct ReturnArgs {
    /// The inventory
    #[arg(long, value_name = "ID")]
    inventory: InventoryId,
    /// The id of the purchase or of the reserve
    #[arg(long, value_name = "KEY")]
    order: OrderId,
    /// Only so many of this item; once for each item [default: all that is sold]
    #[arg(long, value_name = "ITEM[=N]", value_parser = order_line)]
    item: Vec<(ItemId, Quantity)>,
    #[command(flatten)]
    send: SendArgs,
}

/// Runs `return`.
pub(crate) async fn run(context: &Context, args: ReturnArgs) -> anyhow::Result<Exit> {
    let ReturnArgs { inventory, order, item, send } = args;
    send::run(context, send, Return { inventory, order, lines: some_lines(item)? }.into()).await
}

/// What was typed.
#[derive(Debug, clap::Args)]
pub(crate) struct ExchangeArgs {
    /// The inventory
    #[arg(long, value_name = "ID")]
    inventory: InventoryId,
    /// The id of the purchase or of the reserve
    #[arg(long, value_name = "KEY")]
    order: OrderId,
    /// The item that is on sale again, one unit of it
    #[arg(long, value_name = "ITEM")]
    from: ItemId,
    /// The item that the order has instead
    #[arg(long, value_name = "ITEM")]
    to: ItemId,
    #[command(flatten)]
    send: SendArgs,
}

/// Runs `exchange`.
pub(crate) async fn exchange(context: &Context, args: ExchangeArgs) -> anyhow::Result<Exit> {
    let ExchangeArgs { inventory, order, from, to, send } = args;
    let request = Exchange { inventory, order, from, to };
    request.check()?;
    send::run(context, send, request.into()).await
}
