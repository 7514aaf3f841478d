//! The repair of an inventory: its four keys, its place in the index, and what `reservations` has of it.
//!
//! In rounds, since a large key is filled aside and one is moved into its place at a time. Each round proves all of it anew:
//! what is not written yet is as damaged as it was, and a process that dies in between leaves the rest to the same command.

use std::collections::BTreeMap;

use tollgate::failure::Failure;
use tollgate::ids::InventoryId;
use tollgate::link::Link;
use tollgate::scripts::repair::Write;

use super::found::{FIELDS, Found, parsed};
use super::plan::Plan;
use crate::proof::InventoryProof;

pub(super) async fn plan(
    plan: &mut Plan<'_>,
    link: &mut Link,
    id: &InventoryId,
    proved: Option<InventoryProof>,
) -> Result<(), Failure> {
    let (name, key) = (format!("inventory:{id}"), plan.keys.inventory(id));
    let fields = proved.as_ref().map(|proved| proved.fields.clone());
    let found = Found::read(link, &key).await?;
    if plan.compare(&name, &found, fields.as_ref()) {
        plan.writes.push(Write::Hash(key, fields.clone().unwrap_or_default()));
    }
    let nothing = BTreeMap::new();
    let (keys, of) = (plan.keys, proved.as_ref());
    for (key, of_what, hash) in [
        (keys.items(id), "items", of.map(|proved| &proved.items)),
        (keys.buyers(id), "buyers", of.map(|proved| &proved.buyers)),
        (keys.orders(id), "orders", of.map(|proved| &proved.orders)),
    ] {
        plan.whole(link, (key, &format!("{of_what}:{id}")), hash.unwrap_or(&nothing)).await?;
    }
    plan.member(link, keys.resources(), "resources", name, fields.map(|_| 0)).await?;
    members(plan, link, id, proved.map(|proved| proved.members).unwrap_or_default()).await
}

/// Compares the members of an inventory in the index of open reservations, and their scores.
async fn members(
    plan: &mut Plan<'_>,
    link: &mut Link,
    id: &InventoryId,
    proved: BTreeMap<String, u64>,
) -> Result<(), Failure> {
    let key = plan.keys.reservations();
    let prefix = format!("{id}\t");
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    let mut cursor = "0".to_owned();
    loop {
        let mut scan = redis::cmd("ZSCAN");
        scan.arg(&key).arg(&cursor).arg("COUNT").arg(FIELDS);
        let page = match link.run(&scan).await {
            Err(Failure::Server { code, .. }) if code == "WRONGTYPE" => {
                // Nothing of it can be kept, and what belongs to others their own repair puts back.
                plan.differ("reservations", "type", Some(&"another type".to_owned()), None);
                plan.writes.push(Write::Hash(key.clone(), Vec::new()));
                break;
            }
            page => page?,
        };
        let (next, page): (String, Vec<Vec<u8>>) = parsed(page)?;
        let mut words = page.into_iter().map(|word| String::from_utf8_lossy(&word).into_owned());
        while let (Some(member), Some(score)) = (words.next(), words.next()) {
            if member.starts_with(&prefix) {
                found.insert(member, score);
            }
        }
        if next == "0" {
            break;
        }
        cursor = next;
    }
    for (member, score) in &proved {
        let must_be = score.to_string();
        if found.get(member) != Some(&must_be) {
            plan.differ("reservations", member, found.get(member), Some(&must_be));
            let (key, member) = (key.clone(), member.clone());
            plan.writes.push(Write::Add { key, score: *score, member });
        }
    }
    for (member, score) in found.into_iter().filter(|(member, _)| !proved.contains_key(member)) {
        plan.differ("reservations", &member, Some(&score), None);
        plan.writes.push(Write::Remove { key: key.clone(), member });
    }
    Ok(())
}
