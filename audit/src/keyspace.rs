//! The namespace's keys, all of them: none may belong to a campaign, an account, an inventory, a case or a bucket of receipts
//! that no journal knows, or to a partition that does not exist.
//!
//! One SCAN over the whole database, after the replays: a key that is newer is known by a line after them.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use tollgate::failure::Failure;
use tollgate::ids::{Bucket, QueueName};

use super::read::{damage, scanned};
use super::replay::Replay;
use super::report::{Check, Findings, Unread};
use super::{AuditContext, Progress, index, receipts};
use tollgate::Tollgate;
use tollgate::keys::Keys;
use tollgate::link::Link;
use tollgate::partition::Partition;
use tollgate::scripts::queue;
use tollgate::tag::Tag;

/// Keys of one SCAN.
const COUNT: usize = 1_000;

/// A cluster's node that does not let itself be scanned is no reason not to scan the others: its partitions are unread.
pub(super) async fn check(
    tollgate: &Tollgate,
    link: &mut Link,
    replays: &[Option<Replay>],
    findings: &mut Findings,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<(), Failure> {
    let mut scan = Scan {
        tollgate,
        replays,
        findings,
        progress,
        told: HashSet::new(),
        unknown: BTreeMap::new(),
        queues: BTreeMap::new(),
    };
    // Each node of a cluster by itself: a cursor is of the node that gave it.
    for server in tollgate.server().masters().await? {
        let scanned = match server.link().await {
            Ok(mut scanning) => scan.server(link, &mut scanning).await,
            Err(failure) => Err(failure),
        };
        scanned.or_else(|failure| scan.unread(failure))?;
    }
    let judged = scan.streams(link).await;
    judged.or_else(|failure| scan.unread(failure))
}

struct Scan<'a> {
    tollgate: &'a Tollgate,
    replays: &'a [Option<Replay>],
    findings: &'a mut Findings,
    progress: &'a (dyn Fn(Progress) + Sync),
    /// Keys and subjects that need no second look: SCAN may name a key twice.
    told: HashSet<String>,
    /// Of a page, by partition.
    unknown: BTreeMap<u16, Vec<String>>,
    queues: BTreeMap<u16, BTreeSet<String>>,
}

impl<'a> Scan<'a> {
    /// All keys of one server.
    async fn server(&mut self, link: &mut Link, scanning: &mut Link) -> Result<(), Failure> {
        let tag = format!("{{{}.", self.tollgate.namespace());
        let mut cursor = b"0".to_vec();
        loop {
            let mut command = redis::cmd("SCAN");
            command.arg(&cursor).arg("MATCH").arg(format!("{tag}*}}:*")).arg("COUNT").arg(COUNT);
            let (next, keys) = scanned(scanning.run(&command).await?);
            for key in keys {
                if let Ok(key) = String::from_utf8(key) {
                    self.key(link, key).await?;
                }
            }
            self.judge_unknown(link).await?;
            if next == b"0" {
                return Ok(());
            }
            cursor = next;
        }
    }

    async fn key(&mut self, link: &mut Link, key: String) -> Result<(), Failure> {
        let Some((tag, name)) = key.split_once(':') else { return Ok(()) };
        // Another namespace's, whose name begins like ours.
        let Some(number) = Tag::number_of(tag, self.tollgate.namespace()) else { return Ok(()) };
        self.findings.enter(number);
        let Some((partition, replay)) = self.partition(number).filter(|(partition, _)| {
            let head = self.tollgate.keys(*partition).head();
            head.split_once(':').is_some_and(|(ours, _)| ours == tag)
        }) else {
            self.of_no_partition(name, &key);
            return Ok(());
        };
        // It was not read: what it holds is not judged.
        let Some(replay) = replay else { return Ok(()) };
        if self.told.contains(&key) {
            return Ok(());
        }
        if let Some(queue) = name.strip_prefix("queue:") {
            self.queues.entry(number).or_default().insert(queue.to_owned());
            self.told.insert(key);
        } else if let Some(hour) = name.strip_prefix("receipts:") {
            let Self { tollgate, progress, .. } = *self;
            let (keys, findings) = (tollgate.keys(partition), &mut *self.findings);
            let mut context = AuditContext { tollgate, partition, keys, link, findings, progress };
            if is_stray_bucket(&mut context, replay, hour).await? {
                self.told.insert(key);
            }
        } else if let Some(subject) = subject(name) {
            self.unknown.entry(number).or_default().push(subject);
        }
        Ok(())
    }

    /// The partition of this number, and what was replayed of it: nothing if it was not read.
    fn partition(&self, number: u16) -> Option<(Partition, Option<&'a Replay>)> {
        let partition = self.tollgate.partitions().get(number)?;
        Some((partition, self.replays.get(usize::from(number))?.as_ref()))
    }

    fn of_no_partition(&mut self, name: &str, key: &str) {
        let (check, what) = if holds_state(name) {
            (Check::G9, "a key of a partition that the namespace does not have")
        } else if name.starts_with("queue:") {
            let what = "jobs were sent to a partition that the namespace does not have: nobody serves them";
            (Check::G10, what)
        } else {
            return;
        };
        if self.told.insert(key.to_owned()) {
            self.findings.violation(check, name, &[], "nothing", key, what);
        }
    }

    /// What the journal does not know of the page that was read.
    async fn judge_unknown(&mut self, link: &mut Link) -> Result<(), Failure> {
        for (number, names) in std::mem::take(&mut self.unknown) {
            let Some((partition, Some(replay))) = self.partition(number) else { continue };
            self.findings.enter(number);
            let keys = self.tollgate.keys(partition);
            for name in index::unexplained(link, keys, (&replay.model, replay.seq), names).await? {
                if self.told.insert(format!("{number}:{name}")) {
                    let check = if name.starts_with("hold:") { Check::G14 } else { Check::G9 };
                    let what = "its keys are there, but the journal does not know it";
                    self.findings.violation(check, name, &[], "nothing", "a key", what);
                }
            }
        }
        Ok(())
    }

    async fn streams(&mut self, link: &mut Link) -> Result<(), Failure> {
        for (number, names) in std::mem::take(&mut self.queues) {
            let Some((partition, _)) = self.partition(number) else { continue };
            self.findings.enter(number);
            streams(link, self.tollgate.keys(partition), names, self.findings).await?;
        }
        Ok(())
    }

    /// Takes note that the partitions of the node that this is about are unread.
    ///
    /// # Errors
    /// The failure, if it is about no node, or about one of which nobody knows what it has.
    fn unread(&mut self, failure: Failure) -> Result<(), Failure> {
        // Of a page that was given up.
        self.unknown.clear();
        let Some(node) = failure.node() else { return Err(failure) };
        let error = failure.to_string();
        for partition in self.tollgate.partitions().iter() {
            let (number, head) = (partition.number(), self.tollgate.keys(partition).head());
            let is_known = self.findings.unread.iter().any(|unread| unread.partition == number);
            if !is_known && self.tollgate.server().node_of(&head).as_deref() == Some(node) {
                self.findings.unread.push(Unread { partition: number, error: error.clone() });
            }
        }
        if self.findings.unread.is_empty() { Err(failure) } else { Ok(()) }
    }
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
