//! `reserve`, `commit`, `release` and `extend`: a cart, or a seat held while somebody pays.

use tollgate::ids::{CustomerId, InventoryId, ItemId, ReservationId};
use tollgate::input::InputError;
use tollgate::kinds::{Commit, Extend, Release, Reserve};
use tollgate::lines::Lines;
use tollgate::quantity::Quantity;
use tollgate::span_ms::SpanMs;

use super::purchase::order_line;
use super::send::{self, SendArgs};
use crate::arguments;
use crate::context::Context;
use crate::exit::Exit;

/// What was typed.
#[derive(Debug, clap::Args)]
pub(crate) struct ReserveArgs {
    /// The inventory
    #[arg(long, value_name = "ID")]
    inventory: InventoryId,
    /// For whom
    #[arg(long, value_name = "ID")]
    customer: CustomerId,
    /// What, and how many of it; once for each item
    #[arg(long, value_name = "ITEM[=N]", required = true, value_parser = order_line)]
    item: Vec<(ItemId, Quantity)>,
    /// For how long at least; it may end any time after that, and a commit wins until it has
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = arguments::hold_for)]
    hold_for: SpanMs,
    #[command(flatten)]
    send: SendArgs,
}

/// Runs `reserve`.
pub(crate) async fn reserve(context: &Context, args: ReserveArgs) -> anyhow::Result<Exit> {
    let ReserveArgs { inventory, customer, item, hold_for: hold_for_ms, send } = args;
    send::run(context, send, Reserve { inventory, customer, lines: Lines::new(item)?, hold_for_ms }.into())
        .await
}

/// What was typed.
#[derive(Debug, clap::Args)]
pub(crate) struct EndArgs {
    /// The inventory
    #[arg(long, value_name = "ID")]
    inventory: InventoryId,
    /// The id of the reserve
    #[arg(long, value_name = "KEY")]
    reservation: ReservationId,
    /// Only so many of this item; once for each item [default: all that is reserved]
    #[arg(long, value_name = "ITEM[=N]", value_parser = order_line)]
    item: Vec<(ItemId, Quantity)>,
    #[command(flatten)]
    send: SendArgs,
}

pub(super) fn some_lines(items: Vec<(ItemId, Quantity)>) -> Result<Option<Lines>, InputError> {
    if items.is_empty() { Ok(None) } else { Lines::new(items).map(Some) }
}

/// Runs `commit`.
pub(crate) async fn commit(context: &Context, args: EndArgs) -> anyhow::Result<Exit> {
    let EndArgs { inventory, reservation, item, send } = args;
    send::run(context, send, Commit { inventory, reservation, lines: some_lines(item)? }.into()).await
}

/// Runs `release`.
pub(crate) async fn release(context: &Context, args: EndArgs) -> anyhow::Result<Exit> {
    let EndArgs { inventory, reservation, item, send } = args;
    send::run(context, send, Release { inventory, reservation, lines: some_lines(item)? }.into()).await
}

/// What was typed.
#[derive(Debug, clap::Args)]
pub(crate) struct ExtendArgs {
    /// The inventory
    #[arg(long, value_name = "ID")]
    inventory: InventoryId,
    /// The id of the reserve
    #[arg(long, value_name = "KEY")]
    reservation: ReservationId,
    /// For how long from now at least; never less than before
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = arguments::hold_for)]
    hold_for: SpanMs,
    #[command(flatten)]
    send: SendArgs,
}

/// Runs `extend`.
pub(crate) async fn extend(context: &Context, args: ExtendArgs) -> anyhow::Result<Exit> {
    let ExtendArgs { inventory, reservation, hold_for: hold_for_ms, send } = args;
    send::run(context, send, Extend { inventory, reservation, hold_for_ms }.into()).await
}
