//! `inventory items`: what there is of each item, of all or of some.

use serde::Serialize;
use tollgate::code::Code;
use tollgate::ids::{InventoryId, ItemId};
use tollgate::inventory::{self, InventoryState, ItemState};
use tollgate::quantity::Quantity;
use tollgate::resource::Resource;

use crate::commands::listing;
use crate::context::Context;
use crate::exit::Exit;
use crate::output::complain;

#[derive(Debug, Serialize)]
struct ItemView<'a> {
    item: &'a str,
    on_hand: u64,
    reserved: u64,
    available: u64,
    per_customer: Option<u64>,
}

/// How many items one read asks for, where some are named.
const CHUNK: usize = 500;

pub(super) async fn run(context: &Context, id: &InventoryId, items: &[ItemId]) -> anyhow::Result<Exit> {
    let tollgate = context.open().await?;
    let keys = tollgate.keys(tollgate.partition_of(Resource::Inventory(id)));
    let mut link = tollgate.server().link().await?;
    let Some((held, _, exit)) = listing::read::<InventoryState>(&tollgate, &mut link, keys, id).await? else {
        return Ok(Exit::Refused);
    };
    let Some(state) = held.state() else { return Ok(exit) };
    let mut list = context.output().list();
    let mut exit = Exit::Done;
    let mut show = |item: &str, found: ItemState| {
        let ItemState { on_hand, reserved, per_customer } = found;
        let per_customer = per_customer.map(Quantity::get);
        let view = ItemView { item, on_hand, reserved, available: found.available(), per_customer };
        list.item(&view, || {
            let most = per_customer.map(|most| format!(", {most} per customer")).unwrap_or_default();
            format!("{item}  {on_hand} on hand, {reserved} reserved{most}")
        })
    };
    for names in items.chunks(CHUNK) {
        let found = inventory::items(&mut link, keys, (id, state), names).await?;
        for (name, found) in names.iter().zip(found) {
            if let Some(found) = found {
                show(name.as_str(), found)?;
            } else {
                let code = Code::ItemNotFound;
                complain(format_args!("{code}: {}: {name}", code.meaning()));
                exit = Exit::Refused;
            }
        }
    }
    let mut next = items.is_empty().then_some(0);
    while let Some(from) = next {
        let (then, page) = inventory::items_page(&mut link, keys, (id, state), from).await?;
        for (name, found) in page {
            show(&name, found)?;
        }
        next = then;
    }
    list.end()?;
    Ok(exit)
}
