//! Inventories as they are in Redis now, judged as `settle` judges them; and their items, buyers and orders.
//!
//! Reading only. Items are read as `settle` finds them: what was sold from in `items`, everything else in `stock`.

use std::collections::{BTreeSet, HashMap};

use redis::Pipeline;

use super::resources::{Listed, instant, number, optional};
use crate::connection::failure::Failure;
use crate::connection::link::Link;
use crate::procedures::stock::bucket_of;
use crate::protocol::codes_name::CodesName;
use crate::protocol::ids::{CustomerId, InventoryId, ItemId};
use crate::protocol::instant::Instant;
use crate::protocol::keys::Keys;
use crate::protocol::quantity::Quantity;
use crate::protocol::stock_name::StockName;

/// Whether an inventory sells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaleStatus {
    /// It has no items yet.
    Loading,
    /// It does, within its window.
    Open,
    /// It was closed, for good.
    Closed,
    /// It was cancelled: its reservations end.
    Cancelled,
    /// It is archived: its orders are gone.
    Archived,
}

impl SaleStatus {
    const ALL: [Self; 5] = [Self::Loading, Self::Open, Self::Closed, Self::Cancelled, Self::Archived];

    /// The name in Redis and in `--json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Loading => "loading",
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Cancelled => "cancelled",
            Self::Archived => "archived",
        }
    }
}

/// An inventory. Its numbers are of units, over all items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InventoryState {
    /// What can be sold.
    pub available: u64,
    /// What is on hand and set aside.
    pub reserved: u64,
    /// What is sold, less what came back.
    pub sold: u64,
    /// How many units one customer may have.
    pub per_customer: Option<Quantity>,
    /// Whether some of its items have a limit per customer of their own.
    pub limits_by_item: bool,
    /// The list of codes of which each unit that is sold gets one; `None` if it hands out none.
    pub codes: Option<CodesName>,
    /// How many these are.
    pub codes_count: Option<Quantity>,
    /// How many of them were handed out, void ones included.
    pub tickets: u64,
    /// When it begins to sell.
    pub opens_at: Option<Instant>,
    /// When it no longer sells.
    pub closes_at: Option<Instant>,
    /// Whether it sells.
    pub status: SaleStatus,
    /// The list of items that it began with; `None` before it is loaded.
    pub stock: Option<StockName>,
    /// How many items.
    pub items: u64,
    /// In how many buckets they lie.
    pub buckets: u64,
    /// How many customers have something of it.
    pub buyers: u64,
    /// How many orders lie under it.
    pub orders: u64,
    /// How many of these are open reservations.
    pub open: u64,
    /// The journal line of its last change.
    pub seq: u64,
}

impl Listed for InventoryState {
    type Id = InventoryId;
    const PREFIX: &'static str = "inventory:";
    const FIELDS: &'static [&'static str] = &[
        "available",
        "reserved",
        "sold",
        "per_customer",
        "opens_at_ms",
        "closes_at_ms",
        "status",
        "stock",
        "items",
        "buckets",
        "buyers",
        "orders",
        "open",
        "item_counts",
        "codes",
        "codes_count",
        "tickets",
        "seq",
    ];
    const IS_TEXT: bool = false;

    fn key(keys: &Keys, id: &InventoryId) -> String {
        keys.inventory(id)
    }

    fn text(id: &InventoryId) -> &str {
        id.as_str()
    }

    fn id(text: &str) -> Option<InventoryId> {
        InventoryId::parse(text).ok()
    }

    fn read(fields: &[Option<&str>]) -> Result<Self, &'static str> {
        let field = |i: usize| fields.get(i).copied().flatten();
        let count = |i: usize| number(field(i)).ok_or(Self::FIELDS[i]);
        let status = |text: &str| SaleStatus::ALL.into_iter().find(|status| status.name() == text);
        Ok(Self {
            available: count(0)?,
            reserved: count(1)?,
            sold: count(2)?,
            per_customer: optional(field(3), |text| Quantity::new(number(Some(text))?))
                .ok_or("per_customer")?,
            opens_at: optional(field(4), instant).ok_or("opens_at_ms")?,
            closes_at: optional(field(5), instant).ok_or("closes_at_ms")?,
            status: field(6).and_then(status).ok_or("status")?,
            stock: optional(field(7), StockName::parse).ok_or("stock")?,
            items: count(8)?,
            buckets: count(9)?,
            buyers: count(10)?,
            orders: count(11)?,
            open: count(12)?,
            limits_by_item: optional(field(13), |text| number(Some(text))).ok_or("item_counts")?.is_some(),
            codes: optional(field(14), CodesName::parse).ok_or("codes")?,
            codes_count: optional(field(15), |text| Quantity::new(number(Some(text))?))
                .ok_or("codes_count")?,
            tickets: optional(field(16), |text| number(Some(text))).ok_or("tickets")?.unwrap_or_default(),
            seq: count(17)?,
        })
    }
}

impl InventoryState {
    /// How many tickets are void: their units came back.
    pub fn void(&self) -> u64 {
        self.codes.as_ref().map_or(0, |_| self.tickets.saturating_sub(self.sold))
    }
}

/// An item of an inventory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ItemState {
    /// How many units are there, reserved ones included.
    pub on_hand: u64,
    /// How many of them are set aside.
    pub reserved: u64,
    /// How many units of it one customer may have, where it has a limit of its own.
    pub per_customer: Option<Quantity>,
}

impl ItemState {
    /// What can be sold.
    pub fn available(self) -> u64 {
        self.on_hand.saturating_sub(self.reserved)
    }
}

/// The items of a bucket: `LF <item> TAB <on hand> TAB <reserved> LF …`, and before an LF `TAB <per_customer>` where the item
/// has a limit of its own. What cannot be read is left out.
fn items_of(text: &str) -> impl Iterator<Item = (&str, ItemState)> {
    text.split('\n').filter_map(|line| {
        let mut words = line.split('\t');
        let (item, on_hand, reserved) = (words.next()?, number(words.next())?, number(words.next())?);
        let per_customer = words
            .next()
            .map(|text| number(Some(text)).and_then(Quantity::new))
            .map_or(Some(None), |most| most.map(Some))?;
        Some((item, ItemState { on_hand, reserved, per_customer }))
    })
}

/// Reads these items, in order; `None` for one that the inventory does not have, or that cannot be read.
///
/// # Errors
/// Redis's.
pub async fn items(
    link: &mut Link,
    keys: &Keys,
    (id, state): (&InventoryId, &InventoryState),
    items: &[ItemId],
) -> Result<Vec<Option<ItemState>>, Failure> {
    let place = |item: &ItemId| bucket_of(item, state.buckets as usize);
    let buckets: Vec<usize> = items.iter().map(place).collect::<BTreeSet<usize>>().into_iter().collect();
    let texts: HashMap<usize, String> = buckets_of(link, keys, id, &buckets).await?.into_iter().collect();
    Ok(items
        .iter()
        .map(|item| {
            let text = texts.get(&place(item))?;
            items_of(text).find(|(name, _)| *name == item.as_str()).map(|(_, state)| state)
        })
        .collect())
}

/// Buckets of one reading of all items.
const PAGE: u64 = 64;

/// Reads the items of up to 64 buckets from bucket `from` on, and where to read on; `None` at the end.
///
/// # Errors
/// As any read: [`Failure`].
pub async fn items_page(
    link: &mut Link,
    keys: &Keys,
    (id, state): (&InventoryId, &InventoryState),
    from: u64,
) -> Result<(Option<u64>, Vec<(String, ItemState)>), Failure> {
    let last = state.buckets.min(from.saturating_add(PAGE));
    let buckets: Vec<usize> = (from..last).map(|bucket| bucket as usize).collect();
    let texts = buckets_of(link, keys, id, &buckets).await?;
    let items =
        texts.iter().flat_map(|(_, text)| items_of(text)).map(|(item, state)| (item.to_owned(), state));
    Ok(((last < state.buckets).then_some(last), items.collect()))
}

async fn buckets_of(
    link: &mut Link,
    keys: &Keys,
    id: &InventoryId,
    buckets: &[usize],
) -> Result<Vec<(usize, String)>, Failure> {
    if buckets.is_empty() {
        return Ok(Vec::new());
    }
    let mut pipeline = Pipeline::with_capacity(2);
    for key in [keys.items(id), keys.stock(id)] {
        pipeline.cmd("HMGET").arg(key).arg(buckets);
    }
    let mut texts = Vec::with_capacity(2);
    for reply in link.run_pipeline(&pipeline).await? {
        let read: Vec<Option<String>> = redis::from_redis_value(reply?)
            .map_err(|error| Failure::unknown(format!("a bucket that cannot be read: {error}")))?;
        texts.push(read);
    }
    let (Some(stock), Some(sold_from)) = (texts.pop(), texts.pop()) else { return Ok(Vec::new()) };
    let found = sold_from.into_iter().zip(stock).map(|(sold_from, stock)| sold_from.or(stock));
    Ok(buckets.iter().copied().zip(found).filter_map(|(bucket, text)| Some((bucket, text?))).collect())
}

/// How many units a customer has of an inventory.
///
/// # Errors
/// As any read: [`Failure`].
pub async fn bought_by(
    link: &mut Link,
    keys: &Keys,
    id: &InventoryId,
    customer: &CustomerId,
) -> Result<u64, Failure> {
    counts(link, keys, id, &[customer.as_str()])
        .await
        .map(|counts| counts.first().copied().unwrap_or_default())
}

/// How many units a customer has of each of these items; 0 of an item that has no limit of its own.
///
/// # Errors
/// As any read: [`Failure`].
pub async fn bought_of_items(
    link: &mut Link,
    keys: &Keys,
    id: &InventoryId,
    customer: &CustomerId,
    items: &[ItemId],
) -> Result<Vec<u64>, Failure> {
    let names: Vec<String> = items.iter().map(|item| format!("{customer}\t{item}")).collect();
    counts(link, keys, id, &names).await
}

async fn counts(
    link: &mut Link,
    keys: &Keys,
    id: &InventoryId,
    names: &[impl AsRef<str>],
) -> Result<Vec<u64>, Failure> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let mut command = redis::cmd("HMGET");
    command.arg(keys.buyers(id));
    names.iter().for_each(|name| _ = command.arg(name.as_ref()));
    let counts: Vec<Option<u64>> = link.query(&command).await?;
    Ok(counts.into_iter().map(Option::unwrap_or_default).collect())
}
