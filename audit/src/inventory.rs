//! The model of an inventory: its items as the journal makes them, and in sum who bought and what was ordered.
//!
//! Pure. Memory is that of the items. Of buyers and orders there is a sum over what each of their fields must hold, as for
//! the holders of a campaign (see [`holders`](super::holders)).

use std::collections::BTreeMap;

use tollgate::code::Code;
use tollgate::codes_name::CodesName;
use tollgate::journal::Line;
use tollgate::lines::Lines;
use tollgate::stock_name::StockName;

use crate::by_item::{ByItem, ItemCount};
use crate::weight::Weight;

/// The fields of an inventory's key, in the order of [`Inventory::fields`].
pub(super) const INVENTORY_FIELDS: [&str; 19] = [
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
    "copied",
    "buyers",
    "orders",
    "open",
    "item_counts",
    "codes",
    "codes_count",
    "tickets",
    "seq",
];

/// An inventory after the lines so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Inventory {
    pub(super) available: u64,
    pub(super) reserved: u64,
    pub(super) sold: u64,
    pub(super) per_customer: Option<u64>,
    pub(super) opens_at_ms: Option<u64>,
    pub(super) closes_at_ms: Option<u64>,
    /// Why it does not sell any more, if it was closed or cancelled.
    pub(super) ended: Option<Code>,
    /// The list that it was loaded with.
    pub(super) stock: Option<StockName>,
    pub(super) items_count: u64,
    /// `None` before it is loaded, and where its list cannot be read: then nothing can be said of its items.
    pub(super) items: Option<Items>,
    /// How many customers have something of it, and orders lie under it.
    pub(super) buyers: u64,
    pub(super) orders: u64,
    /// How many of these are open reservations.
    pub(super) open: u64,
    /// How many times a customer has something of an item that has a limit of its own; `None` where no item has one.
    pub(super) item_counts: Option<u64>,
    /// The list of codes of which each unit that is sold gets one.
    pub(super) codes: Option<CodesName>,
    pub(super) codes_count: u64,
    /// How many of them were handed out, void ones included.
    pub(super) tickets: u64,
    /// What its keys of buyers and of orders must add up to.
    pub(super) buyers_sum: u128,
    pub(super) orders_sum: u128,
    /// Of its last change.
    pub(super) seq: u64,
    /// Its creation is not in the journal: nothing more can be said of it.
    pub(super) unknown: bool,
    /// All buyers and orders, of one that is to be repaired.
    pub(super) kept: Option<Box<Kept>>,
}

/// What its keys of buyers and of orders must hold, field by field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) buyers: BTreeMap<String, String>,
    pub(super) orders: BTreeMap<String, String>,
}

/// What a line left a customer with, and with what before.
pub(super) struct Count<'a> {
    pub(super) customer: &'a str,
    pub(super) before: u64,
    pub(super) after: u64,
}

impl Inventory {
    /// What its key must hold, in the order of [`INVENTORY_FIELDS`].
    pub(super) fn fields(&self) -> [String; 19] {
        let digits = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
        let status = match (self.ended, &self.stock) {
            (Some(Code::InventoryCancelled), _) => "cancelled",
            (Some(Code::InventoryArchived), _) => "archived",
            (Some(_), _) => "closed",
            (None, None) => "loading",
            (None, Some(_)) => "open",
        };
        let (buckets, copied) =
            self.items.as_ref().map_or((0, 0), |items| (items.buckets.len(), items.copied()));
        [
            self.available.to_string(),
            self.reserved.to_string(),
            self.sold.to_string(),
            digits(self.per_customer),
            digits(self.opens_at_ms),
            digits(self.closes_at_ms),
            status.to_owned(),
            self.stock.as_ref().map(|name| name.as_str().to_owned()).unwrap_or_default(),
            self.items_count.to_string(),
            buckets.to_string(),
            copied.to_string(),
            self.buyers.to_string(),
            self.orders.to_string(),
            self.open.to_string(),
            digits(self.item_counts),
            self.codes.as_ref().map(|name| name.as_str().to_owned()).unwrap_or_default(),
            digits(self.codes.as_ref().map(|_| self.codes_count)),
            digits(self.codes.as_ref().map(|_| self.tickets)),
            self.seq.to_string(),
        ]
    }

    /// Whether it was cancelled: its reservations end, whatever the time.
    pub(super) fn is_cancelled(&self) -> bool {
        self.ended == Some(Code::InventoryCancelled)
    }

    /// Takes over that it is archived: what it was sold from, its buyers and its orders are gone.
    pub(super) fn archive(&mut self) {
        self.ended = Some(Code::InventoryArchived);
        (self.buyers, self.orders, self.buyers_sum, self.orders_sum) = (0, 0, 0, 0);
        self.item_counts = self.item_counts.and(Some(0));
        self.items.iter_mut().for_each(Items::forget);
        self.kept.iter_mut().for_each(|kept| **kept = Kept::default());
    }

    /// Whether its items are known, if it has any.
    pub(super) fn is_readable(&self) -> bool {
        self.stock.is_none() || self.items.is_some()
    }

    /// Why it does not sell at this time.
    pub(super) fn out_of_time(&self, at_ms: u64) -> Option<Code> {
        if self.ended.is_some() {
            self.ended
        } else if self.closes_at_ms.is_some_and(|closes| at_ms >= closes) {
            Some(Code::Ended)
        } else if self.stock.is_none() || self.opens_at_ms.is_some_and(|opens| at_ms < opens) {
            Some(Code::NotStarted)
        } else {
            None
        }
    }

    /// Whether fewer units than so many can still get a code: what is reserved has none yet, and will.
    pub(super) fn lacks_codes(&self, units: u64) -> bool {
        let taken = self.tickets.saturating_add(self.reserved);
        self.codes.is_some() && units > self.codes_count.saturating_sub(taken)
    }

    /// The tickets that so many units get next, in order; none where no codes are handed out.
    pub(super) fn next_tickets(&self, units: u64) -> Option<(u64, u64)> {
        self.codes.as_ref().map(|_| (self.tickets + 1, self.tickets.saturating_add(units)))
    }

    /// Why a customer who has `had` units, and so many of some items, may not have these lines as well, in the order of the codes.
    pub(super) fn refusal(
        &self,
        lines: &Lines,
        (had, by_item): (u64, &ByItem<'_>),
        at_ms: u64,
    ) -> Option<Code> {
        let Some(items) = &self.items else { return self.out_of_time(at_ms) };
        let found: Vec<_> =
            lines.iter().map(|(item, quantity)| (items.get(item.as_str()), quantity)).collect();
        if found.iter().any(|(item, _)| item.is_none()) {
            return Some(Code::ItemNotFound);
        }
        let has_too_few = |(item, quantity): &(Option<&Item>, tollgate::quantity::Quantity)| {
            item.is_none_or(|item| item.on_hand.saturating_sub(item.reserved) < quantity.get())
        };
        if let Some(code) = self.out_of_time(at_ms) {
            Some(code)
        } else if found.iter().any(has_too_few) || self.lacks_codes(lines.units()) {
            Some(Code::SoldOut)
        } else if self.per_customer.is_some_and(|most| had.saturating_add(lines.units()) > most)
            || by_item.passes_limit()
        {
            Some(Code::CustomerLimitReached)
        } else {
            None
        }
    }

    /// What a line says that its customer has of those of these items that have a limit of their own, each with how many
    /// more they get.
    pub(super) fn by_item<'a>(
        &self,
        changes: impl IntoIterator<Item = (&'a str, i128)>,
        line: &Line,
        is_done: bool,
    ) -> ByItem<'a> {
        let limit = |item: &str| self.items.as_ref()?.get(item)?.per_customer;
        let limited = changes.into_iter().filter_map(|(item, more)| Some((item, limit(item)?, more)));
        ByItem::of_line(limited, self.sold.saturating_add(self.reserved), line, is_done)
    }

    /// The same of units that an order gives back.
    pub(super) fn by_item_given_back<'a>(
        &self,
        lines: impl IntoIterator<Item = (&'a str, u64)>,
        line: &Line,
        is_done: bool,
    ) -> ByItem<'a> {
        self.by_item(lines.into_iter().map(|(item, quantity)| (item, -i128::from(quantity))), line, is_done)
    }

    /// Takes over what a customer has after a line.
    pub(super) fn count(&mut self, count: &Count<'_>, weight: Weight<'_>) {
        let Count { customer, before, after } = *count;
        self.buyers = moved(self.buyers, before, after);
        self.count_field(customer, before, after, weight);
    }

    /// Takes over what a customer has of items that have a limit of their own, after a line.
    pub(super) fn count_items(&mut self, customer: &str, by_item: &ByItem<'_>, weight: Weight<'_>) {
        for ItemCount { item, before, after, .. } in by_item.iter().copied() {
            self.item_counts = self.item_counts.map(|count| moved(count, before, after));
            self.count_field(&format!("{customer}\t{item}"), before, after, weight);
        }
    }

    fn count_field(&mut self, name: &str, before: u64, after: u64, weight: Weight<'_>) {
        self.buyers_sum =
            self.buyers_sum.wrapping_add(weight(name, after)).wrapping_sub(weight(name, before));
        if let Some(kept) = &mut self.kept {
            match after {
                0 => _ = kept.buyers.remove(name),
                after => _ = kept.buyers.insert(name.to_owned(), after.to_string()),
            }
        }
    }

    /// Takes over what a line made of an order.
    pub(super) fn change_order(&mut self, id: &str, before: &str, after: &str, weight: Weight<'_>) {
        self.orders_sum = self
            .orders_sum
            .wrapping_add(weight_of_field(id, after, weight))
            .wrapping_sub(weight_of_field(id, before, weight));
        self.keep_order(id, after);
    }

    fn keep_order(&mut self, id: &str, row: &str) {
        if let Some(kept) = &mut self.kept {
            kept.orders.insert(id.to_owned(), row.to_owned());
        }
    }

    /// Takes over a new order.
    pub(super) fn order(&mut self, id: &str, row: &str, weight: Weight<'_>) {
        self.orders += 1;
        self.orders_sum = self.orders_sum.wrapping_add(weight_of_field(id, row, weight));
        self.keep_order(id, row);
    }
}

/// How many fields there are, once one of them holds another count: one of 0 is gone.
fn moved(fields: u64, before: u64, after: u64) -> u64 {
    (fields + u64::from(before == 0 && after > 0)).saturating_sub(u64::from(before > 0 && after == 0))
}

/// What a field of a hash adds to a sum. Names hold no control characters, so no two pairs are one text.
pub(super) fn weight_of_field(name: &str, text: &str, weight: Weight<'_>) -> u128 {
    weight(&format!("{name}\n{text}"), 1)
}

/// An item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) name: Box<str>,
    pub(super) on_hand: u64,
    pub(super) reserved: u64,
    /// How many of it one customer may have, where it has a limit of its own.
    pub(super) per_customer: Option<u64>,
}

/// The items of an inventory, in the buckets in which its keys have them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Items {
    buckets: Vec<Bucket>,
    /// What its key of items must add up to.
    pub(super) sum: u128,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Bucket {
    items: Vec<Item>,
    /// It lies in the key of items, not only in the list that was uploaded.
    is_copied: bool,
}

impl Items {
    /// Of these buckets, none of them changed yet.
    pub(super) fn new(buckets: Vec<Vec<Item>>) -> Self {
        let buckets = buckets.into_iter().map(|items| Bucket { items, is_copied: false }).collect();
        Self { buckets, sum: 0 }
    }

    /// Where an item lies, of so many buckets: its bytes are the digits of a number to the base 1,664,525, of which the
    /// remainder by the largest prime of 32 bits counts.
    pub(super) fn bucket_of(item: &str, buckets: usize) -> usize {
        const PRIME: u128 = 4_294_967_291;
        let mut number: u128 = 0;
        for byte in item.bytes() {
            number = (number * 1_664_525 + u128::from(byte)) % PRIME;
        }
        (number % buckets.max(1) as u128) as usize
    }

    /// As if nothing had ever been sold from them.
    fn forget(&mut self) {
        self.sum = 0;
        self.buckets.iter_mut().for_each(|bucket| bucket.is_copied = false);
    }

    /// What the key of items must hold.
    pub(super) fn texts(&self) -> BTreeMap<String, String> {
        let copied = self.buckets.iter().enumerate().filter(|(_, bucket)| bucket.is_copied);
        copied.map(|(number, bucket)| (number.to_string(), bucket.text())).collect()
    }

    /// Whether one of them has a limit of its own.
    pub(super) fn have_limits(&self) -> bool {
        self.buckets.iter().flat_map(|bucket| &bucket.items).any(|item| item.per_customer.is_some())
    }

    fn copied(&self) -> u64 {
        self.buckets.iter().filter(|bucket| bucket.is_copied).count() as u64
    }

    pub(super) fn get(&self, item: &str) -> Option<&Item> {
        let bucket = self.buckets.get(Self::bucket_of(item, self.buckets.len()))?;
        bucket.items.iter().find(|known| &*known.name == item)
    }

    /// Takes over a change of an item; none of one that is not there.
    pub(super) fn change(&mut self, item: &str, weight: Weight<'_>, change: impl FnOnce(&mut Item)) {
        let number = Self::bucket_of(item, self.buckets.len());
        let Some(bucket) = self.buckets.get_mut(number) else { return };
        if bucket.is_copied {
            self.sum = self.sum.wrapping_sub(weight_of_field(&number.to_string(), &bucket.text(), weight));
        }
        if let Some(item) = bucket.items.iter_mut().find(|known| &*known.name == item) {
            change(item);
        }
        bucket.is_copied = true;
        self.sum = self.sum.wrapping_add(weight_of_field(&number.to_string(), &bucket.text(), weight));
    }
}

impl Bucket {
    fn text(&self) -> String {
        let mut text = "\n".to_owned();
        for Item { name, on_hand, reserved, per_customer } in &self.items {
            let most = per_customer.map(|most| format!("\t{most}")).unwrap_or_default();
            text.push_str(&format!("{name}\t{on_hand}\t{reserved}{most}\n"));
        }
        text
    }
}
