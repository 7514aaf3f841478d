//! `inventory holders`: who has what of an inventory, order by order; of one item, or of one customer.
//!
//! Orders lie under their ids alone, so all of them are read, page by page: no index is paid for by every sale. Memory is
//! that of a page.

use std::collections::HashSet;
use std::io::IsTerminal as _;

use serde::Serialize;
use tollgate::code::Code;
use tollgate::ids::{CustomerId, InventoryId, ItemId};
use tollgate::inventory::{self, InventoryState, SaleStatus};
use tollgate::orders::{self, Order, OrderLine};
use tollgate::resource::Resource;
use tollgate::tickets::{self, Ticket};

use crate::commands::listing;
use crate::context::Context;
use crate::exit::Exit;
use crate::output::{complain, warn};
use crate::progress::Progress;

/// How many orders one read asks for: half a millisecond of Redis's time.
const PAGE: usize = 500;

#[derive(Debug, Serialize)]
struct Holder<'a> {
    order: &'a str,
    customer: &'a str,
    item: &'a str,
    sold: u64,
    reserved: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    hold_until_ms: Option<u64>,
    /// Of what is sold, where codes are handed out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tickets: Vec<Ticket>,
}

impl Holder<'_> {
    fn text(&self) -> String {
        let Self { order, customer, item, sold, reserved, .. } = self;
        let what = match (sold, reserved) {
            (sold, 0) => format!("{sold} sold"),
            (0, reserved) => format!("{reserved} reserved"),
            (sold, reserved) => format!("{sold} sold, {reserved} reserved"),
        };
        let codes: Vec<&str> = self.tickets.iter().filter_map(|ticket| ticket.code.as_deref()).collect();
        let tickets = if codes.is_empty() { String::new() } else { format!("  {}", codes.join(", ")) };
        format!("{customer}  {item}  {what}  {order}{tickets}")
    }
}

/// Of whom and of what.
#[derive(Debug, clap::Args)]
pub(super) struct Wanted {
    /// Only of this item
    #[arg(long, value_name = "ITEM")]
    item: Option<ItemId>,
    /// Only of this customer
    #[arg(long, value_name = "ID")]
    customer: Option<CustomerId>,
}

pub(super) async fn run(context: &Context, id: &InventoryId, wanted: &Wanted) -> anyhow::Result<Exit> {
    let tollgate = context.open().await?;
    let keys = tollgate.keys(tollgate.partition_of(Resource::Inventory(id)));
    let mut link = tollgate.server().link().await?;
    let Some((held, _, mut exit)) = listing::read::<InventoryState>(&tollgate, &mut link, keys, id).await?
    else {
        return Ok(Exit::Refused);
    };
    let Some(state) = held.state() else { return Ok(exit) };
    if let Some(item) = &wanted.item
        && inventory::items(&mut link, keys, (id, state), std::slice::from_ref(item)).await? == [None]
    {
        complain(format_args!("{}: {}: {item}", Code::ItemNotFound, Code::ItemNotFound.meaning()));
        return Ok(Exit::Refused);
    }
    if state.status == SaleStatus::Archived {
        warn("the inventory is archived: its orders are in the journal alone (journal export)");
    }
    // How many units are still to be found, of a customer; the orders in which some were, since a page may repeat one.
    let mut left = match &wanted.customer {
        Some(customer) => Some(inventory::bought_by(&mut link, keys, id, customer).await?),
        None => None,
    };
    let mut seen = HashSet::new();
    let is_long = wanted.item.is_none() && left.is_none();
    // Lines and a bar in one terminal would tear each other.
    let progress = match is_long && std::io::stdout().is_terminal() {
        true => Progress::of_nothing(),
        false => Progress::of(Some(state.orders)),
    };
    let mut list = context.output().list();
    let mut cursor = Some(0);
    while let (Some(from), true) = (cursor, left != Some(0)) {
        let (next, rows) = orders::page(&mut link, keys, id, from, PAGE).await?;
        progress.add(rows.len() as u64);
        for (order_id, row) in &rows {
            let Some(order) = Order::parse(row) else {
                progress.complain_of(format_args!("{}: order {order_id}", Code::CorruptState));
                exit = exit.combine(Exit::Refused);
                continue;
            };
            let is_of_another = |customer: &CustomerId| customer.as_str() != order.customer;
            if wanted.customer.as_ref().is_some_and(is_of_another)
                || (left.is_some() && !seen.insert(order_id.clone()))
            {
                continue;
            }
            for line in order.lines.iter().filter(|line| line.sold + line.reserved > 0) {
                left = left.map(|left| left.saturating_sub(line.sold + line.reserved));
                if wanted.item.as_ref().is_some_and(|item| item.as_str() != line.item) {
                    continue;
                }
                let tickets = match &state.codes {
                    Some(codes) => {
                        let held = OrderLine { void: "", ..*line };
                        tickets::of_lines(&mut link, keys, codes, &[held]).await?
                    }
                    None => Vec::new(),
                };
                let holder = Holder {
                    order: order_id,
                    customer: order.customer,
                    item: line.item,
                    sold: line.sold,
                    reserved: line.reserved,
                    hold_until_ms: order.hold_until_ms.filter(|_| line.reserved > 0),
                    tickets,
                };
                list.item(&holder, || holder.text())?;
            }
        }
        cursor = next;
    }
    progress.end();
    list.end()?;
    Ok(exit)
}
