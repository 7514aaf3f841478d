//! The namespace's keys, all of them: none may belong to a campaign, an account or a bucket of receipts that no
//! journal knows, or to a partition that does not exist.
//!
//! One SCAN over the whole database, after the replays: a key that is newer is known by a line after them.

use std::collections::HashSet;

use crate::failure::Failure;
use crate::ids::Bucket;

use super::read::scanned;
use super::replay::Replay;
use super::report::{Check, Findings};
use super::{Progress, Room, receipts, state};
use crate::link::Link;
use crate::tollgate::Tollgate;

/// Keys of one SCAN.
const COUNT: usize = 1_000;

pub(super) async fn check(
    tollgate: &Tollgate,
    link: &mut Link,
    replays: &[Replay],
    findings: &mut Findings,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<(), Failure> {
    let tag = format!("{{{}.", tollgate.namespace());
    let mut told = HashSet::new();
    let mut cursor = b"0".to_vec();
    loop {
        let mut command = redis::cmd("SCAN");
        command.arg(&cursor).arg("MATCH").arg(format!("{tag}*}}:*")).arg("COUNT").arg(COUNT);
        let (next, keys) = scanned(link.run(&command).await?);
        for key in keys {
            let Ok(key) = String::from_utf8(key) else { continue };
            let Some((number, name)) = key.strip_prefix(&tag).and_then(|rest| rest.split_once("}:")) else {
                continue;
            };
            // Another namespace's, whose name begins like ours.
            let Some(number) = number.parse::<u16>().ok().filter(|parsed| parsed.to_string() == number)
            else {
                continue;
            };
            findings.enter(number);
            let replay = tollgate.partitions().get(number).zip(replays.get(usize::from(number)));
            let Some((partition, replay)) = replay else {
                if holds_state(name) && told.insert(key.clone()) {
                    let what = "a key of a partition that the namespace does not have";
                    findings.violation(Check::G9, name, &[], "nothing", &key, what);
                }
                continue;
            };
            let keys = tollgate.keys(partition);
            let mut room = Room { tollgate, partition, keys, link, findings, progress };
            if !told.contains(&key) && is_stray(&mut room, replay, name).await? {
                told.insert(key);
            }
        }
        if next == b"0" {
            return Ok(());
        }
        cursor = next;
    }
}

/// Streams may be written by anyone who knows the name of a queue; the rest is ours.
fn holds_state(name: &str) -> bool {
    ["head", "journal", "resources"].contains(&name)
        || ["campaign:", "account:", "hold:", "holders:", "receipts:"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
}

/// Tells a key that nothing accounts for; answers whether it did.
async fn is_stray(room: &mut Room<'_>, replay: &Replay, name: &str) -> Result<bool, Failure> {
    if let Some(hour) = name.strip_prefix("receipts:") {
        let Some(hour) = hour.parse().ok().filter(|hour| replay.receipts.is_current(*hour)) else {
            return Ok(false);
        };
        // Those that the journal names were counted.
        let is_unknown = replay.receipts.count(Bucket::Hour(hour)) == 0;
        return Ok(is_unknown && receipts::name_surplus(room, Bucket::Hour(hour)).await?);
    }
    if let Some(id) = name.strip_prefix("hold:") {
        let is_stray = state::is_stray_hold(room, replay, id).await?;
        if is_stray {
            let what = "a hold that the journal does not know as open";
            room.findings.violation(Check::G14, name, &[], "nothing", format!("a key {name}"), what);
        }
        return Ok(is_stray);
    }
    let (check, resource, what) = if let Some(id) = name.strip_prefix("holders:") {
        (Check::G1, format!("campaign:{id}"), "holders of a campaign that the journal does not know")
    } else if name.starts_with("campaign:") || name.starts_with("account:") {
        (Check::G9, name.to_owned(), "its key is there, but the journal does not know it")
    } else {
        return Ok(false);
    };
    let is_ours = state::is_known(&replay.model, &resource)
        || state::is_newer(room.link, room.keys, replay, &resource).await?;
    if !is_ours {
        room.findings.violation(check, resource, &[], "nothing", format!("a key {name}"), what);
    }
    Ok(!is_ours)
}
