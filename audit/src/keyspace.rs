//! The namespace's keys, all of them: none may belong to a campaign, an account, an inventory, a case or a bucket of receipts
//! that no journal knows, or to a partition that does not exist.
//!
//! One SCAN over the whole database, after the replays: a key that is newer is known by a line after them.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use tollgate::failure::Failure;
use tollgate::ids::{Bucket, QueueName};

use super::read::{damage, scanned};
use super::replay::Replay;
use super::report::{Check, Findings};
use super::{AuditContext, Progress, index, receipts};
use tollgate::Tollgate;
use tollgate::keys::Keys;
use tollgate::link::Link;
use tollgate::scripts::queue;
use tollgate::tag::Tag;

/// Keys of one SCAN.
const COUNT: usize = 1_000;

pub(super) async fn check(
    tollgate: &Tollgate,
    link: &mut Link,
    replays: &[Option<Replay>],
    findings: &mut Findings,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<(), Failure> {
    let tag = format!("{{{}.", tollgate.namespace());
    let mut told = HashSet::new();
    let mut unknown: BTreeMap<u16, Vec<String>> = BTreeMap::new();
    let mut queues: BTreeMap<u16, BTreeSet<String>> = BTreeMap::new();
    // Each node of a cluster by itself: a cursor is of the node that gave it.
    for server in tollgate.server().masters().await? {
        let mut scanning = match server.link().await {
            // What it holds was not read either.
            Err(failure) if failure.node().is_some() && !findings.unread.is_empty() => continue,
            link => link?,
        };
        let mut cursor = b"0".to_vec();
        loop {
            let mut command = redis::cmd("SCAN");
            command.arg(&cursor).arg("MATCH").arg(format!("{tag}*}}:*")).arg("COUNT").arg(COUNT);
            let (next, keys) = scanned(scanning.run(&command).await?);
            for key in keys {
                let Ok(key) = String::from_utf8(key) else { continue };
                let Some((tag, name)) = key.split_once(':') else { continue };
                // Another namespace's, whose name begins like ours.
                let Some(number) = Tag::number_of(tag, tollgate.namespace()) else { continue };
                findings.enter(number);
                let replay = tollgate.partitions().get(number).zip(replays.get(usize::from(number)));
                // It was not read: what it holds is not judged.
                if replay.is_some_and(|(_, replay)| replay.is_none()) {
                    continue;
                }
                let replay = replay.and_then(|(partition, replay)| Some((partition, replay.as_ref()?)));
                let is_ours = |partition| {
                    tollgate.keys(partition).head().split_once(':').is_some_and(|(ours, _)| ours == tag)
                };
                let Some((partition, replay)) = replay.filter(|(partition, _)| is_ours(*partition)) else {
                    if holds_state(name) && told.insert(key.clone()) {
                        let what = "a key of a partition that the namespace does not have";
                        findings.violation(Check::G9, name, &[], "nothing", &key, what);
                    } else if name.starts_with("queue:") && told.insert(key.clone()) {
                        let what = "jobs were sent to a partition that the namespace does not have: nobody serves them";
                        findings.violation(Check::G10, name, &[], "nothing", &key, what);
                    }
                    continue;
                };
                if told.contains(&key) {
                    continue;
                }
                if let Some(queue) = name.strip_prefix("queue:") {
                    told.insert(key.clone());
                    queues.entry(number).or_default().insert(queue.to_owned());
                } else if let Some(hour) = name.strip_prefix("receipts:") {
                    let keys = tollgate.keys(partition);
                    let mut context = AuditContext { tollgate, partition, keys, link, findings, progress };
                    if is_stray_bucket(&mut context, replay, hour).await? {
                        told.insert(key);
                    }
                } else if let Some(subject) = subject(name) {
                    unknown.entry(number).or_default().push(subject);
                }
            }
            for (number, names) in std::mem::take(&mut unknown) {
                let Some(partition) = tollgate.partitions().get(number) else { continue };
                let Some(replay) = replays.get(usize::from(number)).and_then(Option::as_ref) else {
                    continue;
                };
                let keys = tollgate.keys(partition);
                findings.enter(number);
                for name in index::unexplained(link, keys, (&replay.model, replay.seq), names).await? {
                    if told.insert(format!("{number}:{name}")) {
                        let check = if name.starts_with("hold:") { Check::G14 } else { Check::G9 };
                        let what = "its keys are there, but the journal does not know it";
                        findings.violation(check, name, &[], "nothing", "a key", what);
                    }
                }
            }
            if next == b"0" {
                break;
            }
            cursor = next;
        }
    }
    for (number, names) in queues {
        let Some(partition) = tollgate.partitions().get(number) else { continue };
        findings.enter(number);
        streams(link, tollgate.keys(partition), names, findings).await?;
    }
    Ok(())
}

/// Streams that are in no list: jobs were sent to them by a plain XADD, and nobody found them yet; or nobody can.
async fn streams(
    link: &mut Link,
    keys: &Keys,
    names: BTreeSet<String>,
    findings: &mut Findings,
) -> Result<(), Failure> {
    let known = match queue::known(link, keys).await {
        Ok(known) => known,
        // Told with the conservation law.
        Err(failure) => return damage(failure).map(drop),
    };
    for name in names {
        match QueueName::parse(name.as_str()) {
            Ok(name) => findings.checked.streams_unlisted += u64::from(!known.contains(&name)),
            Err(error) => {
                let what = "jobs were sent to a stream whose name is not a queue name: no worker serves it";
                findings.violation(Check::G10, format!("queue:{name}"), &[], "nothing", error, what);
            }
        }
    }
    Ok(())
}

/// Streams may be written by anyone who knows the name of a queue; the rest is ours.
fn holds_state(name: &str) -> bool {
    ["head", "journal", "resources"].contains(&name)
        || [
            "campaign:",
            "account:",
            "inventory:",
            "case:",
            "hold:",
            "holders:",
            "items:",
            "buyers:",
            "orders:",
            "receipts:",
        ]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

/// Whose key it is: `campaign:<id>`, `account:<id>`, `inventory:<id>`, `case:<id>` or `hold:<id>`.
fn subject(name: &str) -> Option<String> {
    match name.split_once(':')? {
        ("holders", id) => Some(format!("campaign:{id}")),
        ("items" | "stock" | "buyers" | "orders", id) => Some(format!("inventory:{id}")),
        ("campaign" | "account" | "inventory" | "case" | "hold", _) => Some(name.to_owned()),
        _ => None,
    }
}

/// Tells receipts of an hour that the journal does not name; answers whether there are any.
async fn is_stray_bucket(
    context: &mut AuditContext<'_>,
    replay: &Replay,
    hour: &str,
) -> Result<bool, Failure> {
    let Some(hour) = hour.parse().ok().filter(|hour| replay.receipts.is_current(*hour)) else {
        return Ok(false);
    };
    // Those that the journal names were counted.
    let is_unknown = replay.receipts.count(Bucket::Hour(hour)) == 0;
    Ok(is_unknown && receipts::name_surplus(context, Bucket::Hour(hour)).await?)
}
