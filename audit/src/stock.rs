//! The lists of items that inventories were loaded with: read when the replay comes to the line that loads one, and
//! compared with the name that the line gives, which is the hash of the content.
//!
//! Nothing ever changes a list that is loaded, so it may be read at any time after.

use redis::Value;
use sha2::{Digest, Sha256};

use tollgate::code::Code;
use tollgate::failure::Failure;
use tollgate::ids::InventoryId;
use tollgate::journal::Entry;
use tollgate::keys::Keys;
use tollgate::kinds::{Event, InventoryLoad, Operation};
use tollgate::link::Link;

use super::inventory::{Item, Items};
use super::model::Model;
use super::read::{judge, number, pairs, scanned};

/// Buckets that are read at once.
const AT_ONCE: usize = 200;
/// What every list has beside its buckets.
const ABOUT: [&str; 6] = ["name", "buckets", "items", "units", "taken", "limited"];

/// A list that is not what the line says.
pub(super) struct Damage {
    pub(super) inventory: InventoryId,
    pub(super) seq: u64,
    pub(super) what: String,
}

/// Reads the lists that lines of this entry load, so that the model has them when it takes the lines over; answers those
/// that are not what their lines say.
pub(super) async fn read_loaded(
    link: &mut Link,
    keys: &Keys,
    model: &mut Model,
    entry: &Entry,
) -> Result<Vec<Damage>, Failure> {
    let mut damaged = Vec::new();
    // Cheaper than reading every line twice.
    if !entry.text.contains("\tinventory_loaded\t") {
        return Ok(damaged);
    }
    for line in entry.each_line().flatten() {
        if let (Event::Operation(Operation::InventoryLoad(load)), Code::InventoryLoaded) =
            (&line.event, line.code)
        {
            match read(link, keys, load).await? {
                Ok(items) => _ = model.stocks.insert(load.inventory.clone(), items),
                Err(what) => damaged.push(Damage { inventory: load.inventory.clone(), seq: line.seq, what }),
            }
        }
    }
    Ok(damaged)
}

/// The inner error says what is wrong with the list.
async fn read(link: &mut Link, keys: &Keys, load: &InventoryLoad) -> Result<Result<Items, String>, Failure> {
    let key = keys.stock(&load.inventory);
    let mut buckets: Vec<Vec<Item>> = Vec::new();
    let mut found = 0u64;
    let mut cursor = b"0".to_vec();
    loop {
        let mut command = redis::cmd("HSCAN");
        command.arg(&key).arg(&cursor).arg("COUNT").arg(AT_ONCE);
        let page: Value = match judge(link.run(&command).await)? {
            Ok(page) => page,
            Err(what) => return Ok(Err(what)),
        };
        let (next, fields) = scanned(page);
        for (name, text) in pairs(fields) {
            if ABOUT.iter().any(|about| about.as_bytes() == name) {
                continue;
            }
            let Some(bucket) = number(&Some(name)).filter(|bucket| *bucket < load.items.get()) else {
                return Ok(Err("a bucket that is no number".to_owned()));
            };
            let Some(items) = read_bucket(&text) else {
                return Ok(Err(format!("bucket {bucket} cannot be read")));
            };
            let bucket = bucket as usize;
            if buckets.len() <= bucket {
                buckets.resize(bucket + 1, Vec::new());
            }
            // HSCAN may serve a bucket twice.
            if buckets[bucket].is_empty() {
                found += items.len() as u64;
                buckets[bucket] = items;
            }
        }
        if next == b"0" {
            break;
        }
        cursor = next;
    }
    Ok(judge_list(load, buckets, found))
}

fn read_bucket(text: &[u8]) -> Option<Vec<Item>> {
    let text = std::str::from_utf8(text).ok()?.strip_prefix('\n')?;
    let mut items = Vec::new();
    for line in text.split_terminator('\n') {
        let mut words = line.split('\t');
        let (name, on_hand, reserved) = (words.next()?, words.next()?, words.next()?);
        let on_hand = number(&Some(on_hand.as_bytes().to_vec()))?;
        let per_customer = match words.next() {
            None => None,
            Some(most) => Some(number(&Some(most.as_bytes().to_vec())).filter(|most| *most > 0)?),
        };
        if reserved != "0" || words.next().is_some() || name.is_empty() {
            return None;
        }
        items.push(Item { name: name.into(), on_hand, reserved: 0, per_customer });
    }
    Some(items)
}

fn judge_list(load: &InventoryLoad, buckets: Vec<Vec<Item>>, found: u64) -> Result<Items, String> {
    if found != load.items.get() {
        return Err(format!("it has {found} items, not {}", load.items.get()));
    }
    let count = buckets.len();
    let mut sorted: Vec<&Item> = Vec::with_capacity(found as usize);
    for (number, items) in buckets.iter().enumerate() {
        if let Some(item) = items.iter().find(|item| Items::bucket_of(&item.name, count) != number) {
            return Err(format!("item {} lies in bucket {number}, where nobody looks for it", item.name));
        }
        sorted.extend(items);
    }
    sorted.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let mut digest = Sha256::new();
    for item in &sorted {
        let most = item.per_customer.map(|most| format!("\t{most}")).unwrap_or_default();
        digest.update(format!("{}\t{}{most}\n", item.name, item.on_hand));
    }
    let name: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let units: u64 = sorted.iter().map(|item| item.on_hand).fold(0, u64::saturating_add);
    if name != load.stock.as_str() || units != load.units.get() {
        return Err("its items do not hash to its name: one was changed".to_owned());
    }
    Ok(Items::new(buckets))
}
