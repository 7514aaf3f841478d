//! What was sold from, who bought, and what was ordered: the three keys beside each inventory, against the journal.
//!
//! Each is compared as a sum over its fields, as the holders of a campaign are (see [`holders`](super::holders)): so it
//! does not matter that they move while they are read, as long as the inventory's seq does not.

use redis::Pipeline;

use tollgate::failure::Failure;
use tollgate::ids::InventoryId;
use tollgate::resource::Resource;

use super::context::AuditContext;
use super::holders::MultisetHash;
use super::model::Model;
use super::read::{field, judge, number, pairs, scanned};
use super::report::Check;
use super::state::Observed;
use super::sums::{NAMES, Sums};

/// Fields that are read at once, and so at one instant.
const AT_ONCE: usize = 500;
/// How often an inventory is read whose seq moves meanwhile.
const TRIES: usize = 8;

/// Reads the keys of every inventory that the model has.
pub(super) async fn read_all(
    context: &mut AuditContext<'_>,
    model: &Model,
    multiset: &MultisetHash,
    observed: &mut Observed,
) -> Result<(), Failure> {
    for id in model.inventories.keys() {
        let mut last = None;
        let mut is_settled = false;
        for _ in 0..TRIES {
            let Some(reading) = read(context, multiset, id).await? else { continue };
            // HSCAN may serve a field twice while Redis resizes the key: what took several steps is read twice, too.
            if reading.is_long && last != Some(reading) {
                last = Some(reading);
                continue;
            }
            context.findings.checked.orders += reading.orders;
            observed.sales(context.findings, model, id, reading.seq, reading.sums);
            is_settled = true;
            break;
        }
        context.findings.checked.in_progress += u64::from(!is_settled);
    }
    Ok(())
}

/// The keys of one inventory, all of them at one seq.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Reading {
    seq: Option<u64>,
    sums: Sums,
    orders: u64,
    /// It took several steps.
    is_long: bool,
}

/// `None` if the inventory moved meanwhile.
async fn read(
    context: &mut AuditContext<'_>,
    multiset: &MultisetHash,
    id: &InventoryId,
) -> Result<Option<Reading>, Failure> {
    let keys = [context.keys.items(id), context.keys.buyers(id), context.keys.orders(id)];
    let inventory = context.keys.inventory(id);
    let mut cursors: [Option<Vec<u8>>; 3] = [Some(b"0".to_vec()), Some(b"0".to_vec()), Some(b"0".to_vec())];
    let mut reading = Reading { seq: None, sums: Sums::default(), orders: 0, is_long: false };
    let mut is_first = true;
    while cursors.iter().any(Option::is_some) {
        let mut pipeline = Pipeline::with_capacity(5);
        pipeline.cmd("HGET").arg(&inventory).arg("seq");
        for (key, cursor) in keys.iter().zip(&cursors) {
            if let Some(cursor) = cursor {
                pipeline.cmd("HSCAN").arg(key).arg(cursor).arg("COUNT").arg(AT_ONCE);
            }
        }
        pipeline.cmd("HGET").arg(&inventory).arg("seq");
        let mut replies = context.link.run_pipeline(&pipeline).await?.into_iter();
        let mut next =
            || judge(replies.next().unwrap_or_else(|| Err(Failure::unknown("a reply is missing"))));
        let before = next()?.ok().and_then(|value| number(&field(value)));
        for (at, cursor) in cursors.iter_mut().enumerate() {
            if cursor.take().is_none() {
                continue;
            }
            let page = match next()? {
                Ok(page) => page,
                Err(found) => {
                    let what = format!("its {} cannot be read", NAMES[at]);
                    let name = Resource::Inventory(id).to_string();
                    context.findings.violation(Check::G1, name, &[], "a hash", found, what);
                    continue;
                }
            };
            let (then, fields) = scanned(page);
            for (name, text) in pairs(fields) {
                let sum = &mut reading.sums.0[at];
                *sum = sum.wrapping_add(weight(multiset, at, &name, &text));
                reading.orders += u64::from(at == 2);
            }
            if then != b"0" {
                (*cursor, reading.is_long) = (Some(then), true);
            }
        }
        let after = next()?.ok().and_then(|value| number(&field(value)));
        if before != after || (!is_first && reading.seq != before) {
            return Ok(None);
        }
        (reading.seq, is_first) = (before, false);
    }
    Ok(Some(reading))
}

/// What a field adds: a buyer as a holder does, anything else by name and text.
fn weight(multiset: &MultisetHash, key: usize, name: &[u8], text: &[u8]) -> u128 {
    match key {
        1 => match number(&Some(text.to_vec())) {
            Some(count) if count > 0 => multiset.of_holder(name, count),
            // No count at all: it adds what nothing else does.
            _ => multiset.weight_of(&[name, b"\0", text].concat()),
        },
        _ => multiset.of_holder(&[name, b"\n", text].concat(), 1),
    }
}
