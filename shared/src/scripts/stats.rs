//! `stats`: the counters of one partition and its queues, all of one instant.

use std::collections::{BTreeMap, HashMap};

use crate::connection::failure::Failure;
use crate::connection::link::Link;
use crate::protocol::ids::QueueName;
use crate::protocol::keys::Keys;
use crate::scripts::script::{Call, Reply, Script, keywords, parts, script};

use super::error::{ScriptError, status};
use super::init::FORMAT;
use super::queue::{self, QueueStatus};
pub use super::queue_problem::QueueProblem;

script!(
    STATS, "stats",
    [
        parts::NUMBERS, parts::CLOCK, parts::FORMAT, parts::CHECKS, parts::QUEUE_FIELDS, parts::GROUP,
        parts::IN_FLIGHT, parts::ROWS, parts::ENTRIES, parts::QUEUE_STATE, parts::QUEUE_STREAMS,
        parts::PARTITION_STATS,
    ],
    keys [head queues registered scheduled dead parked; queue in_flight],
    args [nonce; name],
    status Status,
    refusals [uninitialised stale_keys corrupt_partition]
);

keywords!(
    pub(super) enum Status {
        Stats = "stats",
    }
);

/// One partition at one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionStats {
    /// Server time, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The partition's head.
    pub head: Head,
    /// How many ids are scheduled.
    pub scheduled: u64,
    /// How many ids are dead.
    pub dead: u64,
    /// How many rows are parked (scheduled, dead, or back in a stream).
    pub parked: u64,
    /// Each queue, in the order asked.
    pub queues: Vec<QueueStats>,
}

/// The head of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // the counters are explained in ARCHITECTURE.md, "Conservation"
pub struct Head {
    pub seq: u64,
    pub hash: String,
    pub identity: String,
    pub receipts_floor_hour: u64,
    pub floor_highest_hour: u64,
    pub dropped_hour_highest: u64,
    pub retention_ms: u64,
    pub frozen: bool,
    pub acked: u64,
    pub to_scheduled: u64,
    pub to_dead: u64,
    pub requeued: u64,
    pub discarded: u64,
    pub overtaken: u64,
    pub dead_by_reason: BTreeMap<String, u64>,
    pub dead_refused: u64,
    pub dead_stripped: u64,
    pub added_before: u64,
    pub lost: u64,
    pub vanished: u64,
    pub replayed: u64,
    pub mismatched: u64,
    pub expired: u64,
}

/// One queue of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueStats {
    /// Its name.
    pub name: QueueName,
    /// Whether workers fetch from it.
    pub status: QueueStatus,
    /// What of it had been there and is gone, if anything.
    pub problem: Option<QueueProblem>,
    /// How many entries are known to have gone with it: what was added before someone last looked, and never settled.
    pub lost: u64,
    /// Entries in the stream, settled ones that are not trimmed yet among them.
    pub length: u64,
    /// Entries ever added, as far as is known: also those of an earlier stream that was lost.
    pub entries_added: u64,
    /// Entries no worker has taken yet.
    pub waiting: u64,
    /// Entries that were taken and are not settled.
    pub in_flight: u64,
    /// Whether there is an entry behind the last one that was taken, as the stream itself says.
    pub has_waiting: bool,
    /// When its oldest unsettled entry was added, in milliseconds since the Unix epoch.
    pub oldest_at_ms: Option<u64>,
    /// Whether that is the time in the entry's id. If not, the id is ahead of the clock, and the time is the one at
    /// which the entry was first seen to be the oldest.
    pub is_dated: bool,
    /// Whether the stream's ids follow the clock.
    pub ids: StreamIds,
}

/// Whether a stream's ids follow the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StreamIds {
    /// They do.
    OfTheClock,
    /// They are ahead: the clock went back, or a sender chose an id. Ages are those of the survey.
    Ahead,
    /// The last id is the highest there is: nothing can be added any more.
    Full,
}

impl PartitionStats {
    /// Entries that were accepted: added, less those that were put back.
    pub fn accepted(&self) -> u64 {
        let added: u64 = self.queues.iter().map(|queue| queue.entries_added).sum();
        (added + self.head.added_before).saturating_sub(self.head.requeued)
    }

    /// Entries that are settled: gone from their rows, less those that only moved, or vanished.
    pub fn settled(&self) -> u64 {
        self.head.acked.saturating_sub(self.head.to_scheduled + self.head.to_dead + self.head.vanished)
    }

    /// The two sides of the conservation law: accepted, and the sum of all places where an accepted entry can be.
    pub fn conservation(&self) -> (u64, u64) {
        let in_queues: u64 = self.queues.iter().map(|queue| queue.waiting + queue.in_flight).sum();
        let gone = self.head.discarded + self.head.overtaken + self.head.lost + self.head.vanished;
        (self.accepted(), self.settled() + in_queues + self.scheduled + self.dead + gone)
    }

    /// The queue whose counted entries and whose stream disagree on whether anything waits there, if there is one:
    /// entries were taken out of its stream or out of someone's hands past the scripts.
    pub fn contradicted_queue(&self) -> Option<&QueueStats> {
        let sound = self.queues.iter().filter(|queue| queue.problem.is_none());
        sound.into_iter().find(|queue| (queue.waiting > 0) != queue.has_waiting)
    }

    /// Whether every accepted entry is somewhere, and once.
    pub fn is_conserved(&self) -> bool {
        let (accepted, found) = self.conservation();
        accepted == found && self.contradicted_queue().is_none()
    }
}

/// Reads one partition; `queues` must be all its queues.
///
/// # Errors
/// [`ScriptError::StaleKeys`] if `queues` is out of date; else as [`settle`](super::settle::settle); it only reads.
pub async fn stats(
    link: &mut Link,
    keys: &Keys,
    queues: &[QueueName],
) -> Result<PartitionStats, ScriptError> {
    ask(STATS.call(), None, link, keys, queues).await
}

/// Asks a script that answers stats.
pub(super) async fn ask(
    call: Call,
    last_key: Option<String>,
    link: &mut Link,
    keys: &Keys,
    queues: &[QueueName],
) -> Result<PartitionStats, ScriptError> {
    let mut call = call
        .key(keys.head())
        .key(keys.queues())
        .key(keys.registered())
        .key(keys.scheduled())
        .key(keys.dead())
        .key(keys.parked());
    last_key.into_iter().for_each(|key| _ = call.push_key(key));
    let mut reply = call.queues(keys, queues).run(link).await?;
    let Status::Stats = status(&mut reply)?;
    let at_ms = reply.number("at_ms")?;
    let mut fields = HashMap::new();
    let mut list = reply.list("head")?;
    while !list.is_empty() {
        fields.insert(list.text("name")?, list.text("value")?);
    }
    let head = read_head(&fields)?;
    let (scheduled, dead, parked) =
        (reply.number("scheduled")?, reply.number("dead")?, reply.number("parked")?);
    let mut rows = Vec::with_capacity(queues.len());
    while !reply.is_empty() {
        rows.push(read_queue(reply.list("queue")?)?);
    }
    Ok(PartitionStats { at_ms, head, scheduled, dead, parked, queues: rows })
}

fn read_queue(mut row: Reply) -> Result<QueueStats, ScriptError> {
    let name = row.text("name")?;
    let name = QueueName::parse(name).map_err(|error| ScriptError::CorruptPartition(error.to_string()))?;
    let status = row.text("status")?;
    let status = QueueStatus::from_name(&status)
        .ok_or_else(|| ScriptError::CorruptPartition(format!("queue {name} is {status:?}")))?;
    let problem = row.text("problem")?;
    let problem = match QueueProblem::from_name(&problem) {
        None if !problem.is_empty() => {
            return Err(
                Failure::unknown(format!("a problem that this release does not know: {problem}")).into()
            );
        }
        problem => problem,
    };
    Ok(QueueStats {
        name,
        status,
        problem,
        length: row.number("length")?,
        entries_added: row.number("entries added")?,
        waiting: row.number("waiting")?,
        in_flight: row.number("in flight")?,
        oldest_at_ms: row.text("oldest")?.parse().ok(),
        is_dated: row.number("is dated")? == 1,
        has_waiting: row.number("has waiting")? == 1,
        lost: row.number("lost")?,
        ids: match row.text("ids")?.as_str() {
            "ahead" => StreamIds::Ahead,
            "full" => StreamIds::Full,
            _ => StreamIds::OfTheClock,
        },
    })
}

fn read_head(fields: &HashMap<String, String>) -> Result<Head, ScriptError> {
    let corrupt =
        |name: &str| ScriptError::CorruptPartition(format!("head: {name} is {:?}", fields.get(name)));
    let number =
        |name: &str| fields.get(name).and_then(|text| text.parse().ok()).ok_or_else(|| corrupt(name));
    // Written by the first repair of a queue.
    let by_reason = fields.keys().filter_map(|name| {
        let reason = name.strip_prefix("dead:")?.to_owned();
        Some(number(name).map(|count| (reason, count)))
    });
    let later = |name: &str| if fields.contains_key(name) { number(name) } else { Ok(0) };
    let format = fields.get("format").map_or("none", String::as_str);
    if format != FORMAT {
        let what = format!("head: format {format}, and this release reads format {FORMAT} only");
        return Err(ScriptError::CorruptPartition(what));
    }
    Ok(Head {
        seq: number("seq")?,
        hash: fields.get("hash").cloned().ok_or_else(|| corrupt("hash"))?,
        identity: fields.get("identity").cloned().ok_or_else(|| corrupt("identity"))?,
        receipts_floor_hour: number("receipts_floor")?,
        floor_highest_hour: number("floor_highest")?,
        dropped_hour_highest: number("dropped_hour_highest")?,
        retention_ms: number("retention_ms")?,
        frozen: fields.get("frozen").is_some_and(|frozen| frozen != "0"),
        acked: number("acked")?,
        to_scheduled: number("to_scheduled")?,
        to_dead: number("to_dead")?,
        requeued: number("requeued")?,
        discarded: number("discarded")?,
        overtaken: number("overtaken")?,
        dead_by_reason: by_reason.collect::<Result<_, _>>()?,
        dead_refused: later("dead_refused")?,
        dead_stripped: later("dead_stripped")?,
        added_before: later("added_before")?,
        lost: later("lost")?,
        vanished: later("vanished")?,
        replayed: number("replayed")?,
        mismatched: number("mismatched")?,
        expired: number("expired")?,
    })
}

/// The queues of a partition, then its stats: again if a queue was added in between.
///
/// # Errors
/// As [`stats`].
pub async fn read(link: &mut Link, keys: &Keys) -> Result<PartitionStats, ScriptError> {
    read_by(&STATS, None, link, keys).await
}

/// The queues of a partition, then what the script answers of them: again if a queue was added in between.
pub(super) async fn read_by(
    script: &'static Script,
    last_key: Option<String>,
    link: &mut Link,
    keys: &Keys,
) -> Result<PartitionStats, ScriptError> {
    /// A queue is added rarely; this many in a row is damage.
    const TRIES_MAX: usize = 5;
    for _ in 0..TRIES_MAX {
        let queues = queue::known(link, keys).await?;
        match ask(script.call(), last_key.clone(), link, keys, &queues).await {
            Err(ScriptError::StaleKeys) => {}
            other => return other,
        }
    }
    Err(Failure::unknown("the list of queues changed at each attempt; try again").into())
}
