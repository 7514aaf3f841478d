//! The items that an inventory begins with: named by their content, uploaded before its first sale.
//!
//! `inventory_load` compares what the upload counted with what it is told, and reads no item. An upload that was cut off is
//! finished by repeating it; another list begins anew. Once it is loaded the list never changes: what is sold from is kept
//! beside it, bucket by bucket.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::connection::failure::{Failure, Refusal};
use crate::connection::link::Link;
use crate::protocol::amount::NUMBER_MAX;
use crate::protocol::code::Code;
use crate::protocol::ids::{InventoryId, ItemId};
use crate::protocol::input::InputError;
use crate::protocol::json_object::read_object;
use crate::protocol::json_text::json_text;
use crate::protocol::keys::Keys;
use crate::protocol::kinds::InventoryLoad;
use crate::protocol::lines::hash_of;
use crate::protocol::quantity::{Limit, Quantity};
use crate::protocol::stock_name::StockName;
use crate::scripts::ScriptError;
use crate::scripts::stock_load::{Taken, stock_load};

/// Most items of an inventory.
pub const ITEMS_MAX: usize = 1_000_000;
/// Items of a bucket, in the mean: a sale reads and writes the bucket of each of its items, so few; and a field of a hash
/// costs some 60 bytes of memory, so not fewer.
const ITEMS_PER_BUCKET: usize = 8;
/// Buckets of one call, a millisecond of Redis's time.
const BUCKETS_PER_CALL: usize = 256;

/// A list of items, each once, and how many there are of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stock {
    name: StockName,
    items: BTreeMap<ItemId, StockItem>,
    units: Limit,
}

/// What there is of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StockItem {
    /// How many units.
    pub quantity: Limit,
    /// How many of them one customer may have; beside what the inventory says of all items.
    pub per_customer: Option<Quantity>,
}

impl From<Limit> for StockItem {
    /// As many as a customer likes.
    fn from(quantity: Limit) -> Self {
        Self { quantity, per_customer: None }
    }
}

impl StockItem {
    /// Reads `{"item":"A-12","quantity":1}`, perhaps with `"per_customer":2` in it.
    ///
    /// # Errors
    /// Names the field, or `line` where this is no object.
    pub fn from_json(text: &str) -> Result<(ItemId, Self), InputError> {
        let shape =
            r#"one object a line, {"item":"A-12","quantity":1}, and perhaps with "per_customer":2 in it"#;
        let fields = read_object(text, ["item", "quantity", "per_customer"], shape);
        let [item, quantity, per_customer] = fields.map_err(|error| match error.field.as_str() {
            "" => InputError { field: "line".to_owned(), ..error },
            _ => error,
        })?;
        let given = |value: Option<_>, name| value.ok_or_else(|| InputError::missing(name));
        let item = ItemId::parse(json_text("item", given(item, "item")?)?)?;
        let quantity = Limit::parse("quantity", given(quantity, "quantity")?)?;
        let per_customer = per_customer.map(|most| Quantity::parse("per_customer", most)).transpose()?;
        Ok((item, Self { quantity, per_customer }))
    }
}

/// What became of an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Uploaded {
    /// All of it is there.
    Whole,
    /// The inventory has its items already, or is closed.
    NotLoading,
    /// There is no such inventory.
    NotFound,
}

impl Stock {
    /// A list of these items.
    ///
    /// # Errors
    /// There is none, or there are too many, or one is named twice, or the sum is too large.
    pub fn new(items: impl IntoIterator<Item = (ItemId, impl Into<StockItem>)>) -> Result<Self, InputError> {
        let mut sorted = BTreeMap::new();
        let mut units = 0u64;
        for (item, there) in items {
            let there: StockItem = there.into();
            units = units.saturating_add(there.quantity.get());
            if sorted.len() == ITEMS_MAX {
                return Err(count_error("more"));
            }
            if sorted.contains_key(&item) {
                let allowed = "named once: one line an item";
                return Err(InputError::new(Code::RepeatedField, "item", item.as_str(), allowed));
            }
            sorted.insert(item, there);
        }
        if sorted.is_empty() {
            return Err(count_error("0"));
        }
        let sum = Limit::new(units).ok_or_else(|| {
            let allowed = format!("at most {NUMBER_MAX} units of all items");
            InputError::new(Code::LimitOutOfRange, "quantity", &units.to_string(), &allowed)
        })?;
        let mut digest = Sha256::new();
        for (item, StockItem { quantity, per_customer }) in &sorted {
            digest.update(format!("{item}\t{}{}\n", quantity.get(), limit_text(*per_customer)));
        }
        let hex: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        let name = StockName::parse(&hex).unwrap_or_else(|| unreachable!("a SHA-256 has 64 digits"));
        Ok(Self { name, items: sorted, units: sum })
    }

    /// The list's name: the SHA-256 over `<item> TAB <quantity> LF` in the order of the items' bytes; of an item that has a
    /// limit of its own, `<item> TAB <quantity> TAB <per_customer> LF`.
    pub fn name(&self) -> &StockName {
        &self.name
    }

    /// How many items.
    pub fn count(&self) -> usize {
        self.items.len()
    }

    /// How many units of all of them.
    pub fn units(&self) -> Limit {
        self.units
    }

    /// What loads the inventory once the list is uploaded.
    pub fn request(&self, inventory: InventoryId) -> InventoryLoad {
        let items = Quantity::new(self.count() as u64)
            .unwrap_or_else(|| unreachable!("a list has between 1 and ITEMS_MAX items"));
        InventoryLoad { inventory, stock: self.name.clone(), items, units: self.units }
    }

    /// How many buckets.
    pub fn buckets(&self) -> usize {
        self.count().div_ceil(ITEMS_PER_BUCKET)
    }

    /// The texts of all buckets, in their order.
    fn texts(&self) -> Vec<String> {
        let mut texts = vec!["\n".to_owned(); self.buckets()];
        for (item, StockItem { quantity, per_customer }) in &self.items {
            let text = &mut texts[bucket_of(item, self.buckets())];
            text.push_str(&format!("{item}\t{}\t0{}\n", quantity.get(), limit_text(*per_customer)));
        }
        texts
    }

    /// Uploads the list in steps; `progress` is told how many items are there.
    ///
    /// # Errors
    /// Redis's. Some of the list may have been taken: calling again takes the rest.
    ///
    /// # Cancel safety
    /// As after an error.
    pub async fn upload(
        &self,
        link: &mut Link,
        keys: &Keys,
        inventory: &InventoryId,
        mut progress: impl FnMut(u64),
    ) -> Result<Uploaded, ScriptError> {
        let buckets: Vec<(usize, String)> = self.texts().into_iter().enumerate().collect();
        for chunk in buckets.chunks(BUCKETS_PER_CALL) {
            match stock_load(link, keys, inventory, (&self.name, self.buckets()), chunk).await? {
                Taken::So { items, .. } => progress(items),
                Taken::NotLoading => return Ok(Uploaded::NotLoading),
                Taken::NotFound => return Ok(Uploaded::NotFound),
                Taken::Wrong(bucket) => {
                    let what = format!("bucket {bucket} of the list is none that Redis takes");
                    return Err(Failure::not_applied(Refusal::Client, what).into());
                }
            }
        }
        Ok(Uploaded::Whole)
    }
}

/// How a limit stands behind an item's numbers.
fn limit_text(per_customer: Option<Quantity>) -> String {
    per_customer.map(|most| format!("\t{}", most.get())).unwrap_or_default()
}

fn count_error(count: &str) -> InputError {
    let allowed = format!("1 to {ITEMS_MAX} items, one a line");
    InputError::new(Code::LimitOutOfRange, "items", count, &allowed)
}

/// Where an item lies.
pub(crate) fn bucket_of(item: &ItemId, buckets: usize) -> usize {
    (hash_of(item) % buckets.max(1) as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stock(items: &[(&str, u64)]) -> Result<Stock, InputError> {
        Stock::new(
            items.iter().map(|(item, count)| (ItemId::parse(*item).unwrap(), Limit::new(*count).unwrap())),
        )
    }

    #[test]
    fn a_list_is_named_by_its_content_whatever_its_order() {
        let list = stock(&[("A-1", 1), ("A-2", 5)]).unwrap();
        assert_eq!(stock(&[("A-2", 5), ("A-1", 1)]).unwrap(), list);
        assert_ne!(stock(&[("A-1", 5), ("A-2", 1)]).unwrap().name(), list.name());
        assert_eq!((list.count(), list.units().get(), list.buckets()), (2, 6, 1));
        assert_eq!(list.texts(), ["\nA-1\t1\t0\nA-2\t5\t0\n"]);
        let one = Limit::new(1).unwrap();
        let limited = StockItem { per_customer: Quantity::new(2), quantity: one };
        let items = [(ItemId::parse("A-1").unwrap(), limited), (ItemId::parse("B").unwrap(), one.into())];
        let limited = Stock::new(items).unwrap();
        assert_eq!(limited.texts(), ["\nA-1\t1\t0\t2\nB\t1\t0\n"]);
        assert_ne!(limited.name(), stock(&[("A-1", 1), ("B", 1)]).unwrap().name());
        assert_eq!(stock(&[]).unwrap_err().code, Code::LimitOutOfRange);
        assert_eq!(stock(&[("a", 1), ("b", 1), ("a", 1)]).unwrap_err().code, Code::RepeatedField);
        assert_eq!(stock(&[("a", NUMBER_MAX), ("b", 1)]).unwrap_err().code, Code::LimitOutOfRange);
    }

    #[test]
    fn no_bucket_is_much_fuller_than_another() {
        type Name = fn(u64) -> String;
        let row_and_seat: Name = |n| format!("{}-{}", char::from(b'A' + (n / 25) as u8), n % 25);
        let names: [(u64, Name); 5] = [
            (500, row_and_seat),
            (10_000, |n| format!("seat {n}")),
            (31 * 32, |n| format!("{n:08}")),
            (100_000, |n| format!("sku-{:x}", n * 7919)),
            (65_536, |n| n.to_string()),
        ];
        for (count, name) in names {
            let items: Vec<(String, u64)> = (0..count).map(|n| (name(n), 1)).collect();
            let list = Stock::new(
                items
                    .iter()
                    .map(|(item, n)| (ItemId::parse(item.as_str()).unwrap(), Limit::new(*n).unwrap())),
            );
            let fullest = list.unwrap().texts().iter().map(|text| text.lines().count() - 1).max().unwrap();
            assert!(fullest <= 3 * ITEMS_PER_BUCKET, "{count}: {fullest}");
        }
    }
}
