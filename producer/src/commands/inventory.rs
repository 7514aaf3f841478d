//! `inventory create|load|show|items|holders|ls|restock|set-quantity|close|cancel|archive`.

mod holders;
mod items;
mod items_file;

use std::path::PathBuf;

use serde::Serialize;
use tollgate::code::Code;
use tollgate::ids::{InventoryId, ItemId, JobId};
use tollgate::instant::Instant;
use tollgate::inventory::{InventoryState, SaleStatus};
use tollgate::kinds::{
    Fields, InventoryArchive, InventoryCancel, InventoryClose, InventoryCreate, InventoryRestock,
    InventorySetQuantity,
};
use tollgate::quantity::{Limit, Quantity};
use tollgate::resource::Resource;
use tollgate::scripts::reservation::{self, HeldBack};
use tollgate::scripts::stats;
use tollgate::stock::Uploaded;

use super::{codes_file, listing};
use crate::context::Context;
use crate::exit::Exit;
use crate::output::warn;
use crate::overview::HELD_BACK_AFTER;
use crate::progress::Progress;
use crate::repeat::ChangeId;
use crate::resource_view::{Shown, window};
use crate::table::age;
use crate::{arguments, operation};

/// What was typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Create an inventory, which sells from when it is loaded; the same again is a replay
    Create {
        /// The inventory
        id: InventoryId,
        /// How many units one customer may have [default: no bound]
        #[arg(long, value_name = "K", allow_hyphen_values = true, value_parser = arguments::quantity)]
        per_customer: Option<Quantity>,
        /// When it begins to sell (RFC 3339)
        #[arg(long, value_name = "TIME", value_parser = arguments::time)]
        opens_at: Option<Instant>,
        /// When it no longer sells (RFC 3339)
        #[arg(long, value_name = "TIME", value_parser = arguments::time)]
        closes_at: Option<Instant>,
        /// A file of codes, one a line: each unit that is sold hands out one, its ticket
        #[arg(long, value_name = "FILE")]
        codes_file: Option<PathBuf>,
        /// Hand out codes that something else hands out too
        #[arg(long, requires = "codes_file")]
        share_codes: bool,
    },
    /// Give an inventory its items, once: all of a file, or none; the same again goes on where it stopped
    Load {
        /// The inventory
        id: InventoryId,
        /// One item a line: {"item":"A-12","quantity":1}, or CSV under the header item,quantity; per_customer as a third
        /// limits what one customer may have of the item
        #[arg(long, value_name = "FILE")]
        items_file: PathBuf,
    },
    /// Show one inventory
    Show {
        /// The inventory
        id: InventoryId,
    },
    /// Show items of an inventory
    Items {
        /// The inventory
        id: InventoryId,
        /// Only these items
        items: Vec<ItemId>,
    },
    /// Show who has what of an inventory, with the id of each order
    Holders {
        /// The inventory
        id: InventoryId,
        #[command(flatten)]
        wanted: holders::Wanted,
    },
    /// List all inventories
    Ls,
    /// Add units of an item
    Restock {
        /// The inventory
        id: InventoryId,
        /// The item
        item: ItemId,
        /// How many more
        #[arg(value_name = "N", allow_hyphen_values = true, value_parser = arguments::quantity)]
        quantity: Quantity,
        /// Makes it repeatable: the same key adds once [default: a fresh UUIDv7]
        #[arg(long = "id", value_name = "KEY")]
        key: Option<JobId>,
    },
    /// Change how many units of an item are on hand
    SetQuantity {
        /// The inventory
        id: InventoryId,
        /// The item
        item: ItemId,
        /// How many are on hand, reserved ones included
        #[arg(value_name = "N", allow_hyphen_values = true, value_parser = arguments::limit)]
        quantity: Limit,
        /// Only if so many are now
        #[arg(long, value_name = "OLD", allow_hyphen_values = true, value_parser = arguments::limit)]
        expect: Option<Limit>,
        /// Makes it repeatable: the same key sets it once [default: a fresh UUIDv7]
        #[arg(long = "id", value_name = "KEY")]
        key: Option<JobId>,
    },
    /// End an inventory's sales for good
    Close {
        /// The inventory
        id: InventoryId,
        /// Makes it repeatable: the same key closes once [default: a fresh UUIDv7]
        #[arg(long = "id", value_name = "KEY")]
        key: Option<JobId>,
    },
    /// End an inventory's sales for good, and what is reserved with them: it does not take place
    Cancel {
        /// The inventory
        id: InventoryId,
        /// Makes it repeatable: the same key cancels once [default: a fresh UUIDv7]
        #[arg(long = "id", value_name = "KEY")]
        key: Option<JobId>,
    },
    /// Delete the orders and buyers of an inventory that is closed or cancelled
    Archive {
        /// The inventory
        id: InventoryId,
        /// Makes it repeatable: the same key archives once [default: a fresh UUIDv7]
        #[arg(long = "id", value_name = "KEY")]
        key: Option<JobId>,
    },
}

/// Runs the command.
pub(crate) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let (change, request) = match args.verb {
        Verb::Load { id, items_file } => return load(context, id, items_file).await,
        Verb::Show { id } => return show(context, &id).await,
        Verb::Items { id, items } => return items::run(context, &id, &items).await,
        Verb::Holders { id, wanted } => return holders::run(context, &id, &wanted).await,
        Verb::Ls => return listing::ls::<InventoryState>(context).await,
        Verb::Create { id, per_customer, opens_at, closes_at, codes_file, share_codes } => {
            let terms = InventoryCreate { per_customer, opens_at, closes_at, ..InventoryCreate::new(id) };
            return create(context, terms, codes_file, share_codes).await;
        }
        Verb::Restock { id: inventory, item, quantity, key } => {
            (ChangeId::given_or_fresh(key), InventoryRestock { inventory, item, quantity }.into())
        }
        Verb::SetQuantity { id: inventory, item, quantity, expect: expected, key } => (
            ChangeId::given_or_fresh(key),
            InventorySetQuantity { inventory, item, quantity, expected }.into(),
        ),
        Verb::Close { id: inventory, key } => {
            (ChangeId::given_or_fresh(key), InventoryClose { inventory }.into())
        }
        Verb::Cancel { id: inventory, key } => {
            (ChangeId::given_or_fresh(key), InventoryCancel { inventory }.into())
        }
        Verb::Archive { id: inventory, key } => {
            (ChangeId::given_or_fresh(key), InventoryArchive { inventory }.into())
        }
    };
    operation::run(context, &context.open_or_init().await?, &change, &request).await
}

/// Codes first, as for a campaign: settle refuses an inventory whose codes are not all there.
async fn create(
    context: &Context,
    terms: InventoryCreate,
    codes_file: Option<PathBuf>,
    share_codes: bool,
) -> anyhow::Result<Exit> {
    let codes = codes_file.as_deref().map(codes_file::read).transpose()?;
    let change = ChangeId::of_name(JobId::create_inventory(&terms.inventory));
    terms.check()?;
    let tollgate = context.open_or_init().await?;
    let Some(codes) = codes else {
        return operation::run(context, &tollgate, &change, &terms.into()).await;
    };
    let owner = (change.id(), Resource::Inventory(&terms.inventory));
    if let Some(exit) = codes_file::upload(context, &tollgate, &codes, owner, share_codes).await? {
        return Ok(exit);
    }
    let codes_count = Quantity::new(codes.limit().get());
    let terms = InventoryCreate { codes: Some(codes.name().clone()), codes_count, ..terms };
    operation::run(context, &tollgate, &change, &terms.into()).await
}

/// Shows one, and says what keeps its reservations from ending.
async fn show(context: &Context, id: &InventoryId) -> anyhow::Result<Exit> {
    let exit = listing::show::<InventoryState>(context, Resource::Inventory(id), id).await?;
    let tollgate = context.open().await?;
    let keys = tollgate.keys(tollgate.partition_of(Resource::Inventory(id)));
    let mut link = tollgate.server().link().await?;
    let stats = stats::read(&mut link, keys).await?;
    if let Some(HeldBack { over_ms, by }) =
        reservation::held_back(&mut link, keys, &stats, HELD_BACK_AFTER).await?
    {
        let over = age(Some(over_ms));
        warn(format_args!(
            "reservations of its partition have been over for {over} and do not end: an older entry of queue {by} is not settled"
        ));
    }
    Ok(exit)
}

/// Items first: settle refuses to load a list that is not all there. A process that dies midway leaves part of a list that
/// the same command completes; another file begins anew.
async fn load(context: &Context, inventory: InventoryId, file: PathBuf) -> anyhow::Result<Exit> {
    let stock = items_file::read(&file)?;
    let change = ChangeId::of_name(JobId::load_inventory(&inventory));
    let tollgate = context.open_or_init().await?;
    let mut link = tollgate.server().link().await?;
    let keys = tollgate.keys(tollgate.partition_of(Resource::Inventory(&inventory)));
    let progress = Progress::of(Some(stock.count() as u64));
    let mut there = 0;
    let uploaded = stock.upload(&mut link, keys, &inventory, |items| {
        progress.add(items.saturating_sub(there));
        there = items;
    });
    let uploaded = uploaded.await;
    progress.end();
    // What is there already, or is not, settle says, under the id of this load.
    match uploaded? {
        Uploaded::Whole | Uploaded::NotLoading | Uploaded::NotFound => {}
    }
    drop(link);
    operation::run(context, &tollgate, &change, &stock.request(inventory).into()).await
}

/// An inventory as `--json` shows it; what cannot be read is null.
#[derive(Serialize)]
pub(crate) struct InventoryView<'a> {
    inventory: &'a str,
    items: Option<u64>,
    available: Option<u64>,
    reserved: Option<u64>,
    sold: Option<u64>,
    buyers: Option<u64>,
    orders: Option<u64>,
    open: Option<u64>,
    per_customer: Option<u64>,
    limits_by_item: Option<bool>,
    codes: Option<&'a str>,
    codes_count: Option<u64>,
    tickets: Option<u64>,
    void: Option<u64>,
    opens_at: Option<String>,
    closes_at: Option<String>,
    status: &'a str,
}

/// One that hands out codes.
fn with_codes(state: Option<&InventoryState>) -> Option<&InventoryState> {
    state.filter(|state| state.codes.is_some())
}

impl Shown for InventoryState {
    type View<'a> = InventoryView<'a>;
    const NOT_FOUND: Code = Code::InventoryNotFound;

    fn view<'a>(id: &'a str, state: Option<&'a Self>, status: &'a str) -> InventoryView<'a> {
        InventoryView {
            inventory: id,
            items: state.map(|state| state.items),
            available: state.map(|state| state.available),
            reserved: state.map(|state| state.reserved),
            sold: state.map(|state| state.sold),
            buyers: state.map(|state| state.buyers),
            orders: state.map(|state| state.orders),
            open: state.map(|state| state.open),
            per_customer: state.and_then(|state| state.per_customer).map(Quantity::get),
            limits_by_item: state.map(|state| state.limits_by_item),
            codes: state.and_then(|state| state.codes.as_ref()).map(|codes| codes.as_str()),
            codes_count: state.and_then(|state| state.codes_count).map(Quantity::get),
            tickets: with_codes(state).map(|state| state.tickets),
            void: with_codes(state).map(InventoryState::void),
            opens_at: state.and_then(|state| state.opens_at).map(|at| at.to_string()),
            closes_at: state.and_then(|state| state.closes_at).map(|at| at.to_string()),
            status,
        }
    }

    fn status(&self) -> &'static str {
        self.status.name()
    }

    fn text(&self) -> String {
        let Self { available, reserved, sold, items, .. } = self;
        let mut text = format!("{available} available, {reserved} reserved, {sold} sold, of {items} items");
        let mut add = |words: String| text.push_str(&words);
        let end = if self.status == SaleStatus::Cancelled { " still to end" } else { "" };
        (self.open > 0).then(|| add(format!(", {} open reservations{end}", self.open)));
        self.per_customer.iter().for_each(|most| add(format!(", {} per customer", most.get())));
        self.limits_by_item.then(|| add(", limits by item".to_owned()));
        if let (Some(_), Some(count)) = (&self.codes, self.codes_count) {
            let void = match self.void() {
                0 => String::new(),
                void => format!(" ({void} void)"),
            };
            add(format!(", {} of {} tickets handed out{void}", self.tickets, count.get()));
        }
        add(window(self.opens_at, self.closes_at));
        text
    }
}
