//! `queue`: makes sure that a queue and its group exist, and sets whether it is paused.

use std::collections::BTreeSet;

use crate::connection::failure::Failure;
use crate::connection::link::Link;
use crate::protocol::ids::QueueName;
use crate::protocol::keys::Keys;
use crate::scripts::script::{keywords, parts, script};

use super::error::{ScriptError, queue_lost, status as status_of};

script!(
    QUEUE, "queue", [
        parts::NUMBERS, parts::CLOCK, parts::FORMAT, parts::CHECKS, parts::QUEUE_FIELDS, parts::GROUP,
        parts::IN_FLIGHT, parts::ROWS, parts::ENTRIES, parts::QUEUE_STATE,
    ],
    keys [head queues queue in_flight],
    args [nonce name status],
    status Opened,
    refusals [uninitialised corrupt_partition]
);

keywords! {
    enum Opened {
        Active = "active",
        Paused = "paused",
        Lost = "queue_lost",
    }
}

script!(
    QUEUE_REPAIR, "queue_repair",
    [
        parts::NUMBERS, parts::CLOCK, parts::FORMAT, parts::HEAD_COUNTERS, parts::CHECKS, parts::QUEUE_FIELDS,
        parts::GROUP, parts::IN_FLIGHT, parts::ROWS, parts::ENTRIES, parts::QUEUE_STATE,
    ],
    keys [head queues queue in_flight],
    args [nonce name apply],
    status RepairStatus,
    refusals [uninitialised partition_frozen corrupt_partition]
);

keywords! {
    enum RepairStatus {
        Repaired = "repaired",
        Intact = "intact",
        ForeignKey = "foreign_key",
        TooMany = "too_many",
    }
}

/// Whether workers fetch from a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueStatus {
    /// They do.
    Active,
    /// They leave it alone; jobs wait.
    Paused,
    /// Somebody sends to it, and no worker has opened it yet: they do not know of it.
    Unopened,
}

impl QueueStatus {
    /// The name in Redis and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Unopened => "unopened",
        }
    }

    /// The status of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Active, Self::Paused, Self::Unopened].into_iter().find(|status| status.name() == name)
    }
}

/// Opens `queue`, and sets its status if one is given; answers the status in force.
///
/// # Errors
/// [`ScriptError::QueueLost`] if something of it had been there and is gone: it is not made again, for that would hide
/// the loss ([`repair`] does it). Else as [`settle`](super::settle::settle).
pub async fn queue(
    link: &mut Link,
    keys: &Keys,
    queue: &QueueName,
    status: Option<QueueStatus>,
) -> Result<QueueStatus, ScriptError> {
    let mut reply = QUEUE
        .call()
        .key(keys.head())
        .key(keys.queues())
        .key(keys.queue(queue))
        .key(keys.in_flight(queue))
        .arg(queue.as_str())
        .arg(status.map_or("", QueueStatus::name))
        .run(link)
        .await?;
    match status_of(&mut reply)? {
        Opened::Active => Ok(QueueStatus::Active),
        Opened::Paused => Ok(QueueStatus::Paused),
        Opened::Lost => Err(queue_lost(queue, &mut reply)),
    }
}

/// Whether a repair is done, or only told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Apply {
    /// Nothing is written.
    DryRun,
    /// It is done.
    Yes,
}

/// What a repair did, or would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repair {
    /// Nothing is wrong with the queue.
    Intact,
    /// It is whole again.
    Repaired {
        /// What was wrong: a [`QueueProblem`](super::stats::QueueProblem)'s name, `contradicted`, `ids_ahead` or `ids_full`.
        wrong: String,
        /// Entries that wait again, from the beginning of what is left.
        waiting: u64,
        /// Entries that are gone, counted as lost by this repair.
        lost: u64,
    },
    /// The stream is a key of another type: whoever knows what it is removes it first.
    ForeignKey,
    /// Its ids are ahead of the clock and too many entries are unsettled to be moved in one call.
    TooMany(u64),
}

/// Makes a lost queue whole again: what is in its stream waits again, what is gone is counted as lost.
///
/// # Errors
/// As [`settle`](super::settle::settle).
pub async fn repair(
    link: &mut Link,
    keys: &Keys,
    queue: &QueueName,
    apply: Apply,
) -> Result<Repair, ScriptError> {
    let mut reply = QUEUE_REPAIR
        .call()
        .key(keys.head())
        .key(keys.queues())
        .key(keys.queue(queue))
        .key(keys.in_flight(queue))
        .arg(queue.as_str())
        .arg(u8::from(apply == Apply::Yes))
        .run(link)
        .await?;
    match status_of(&mut reply)? {
        RepairStatus::Intact => Ok(Repair::Intact),
        RepairStatus::ForeignKey => Ok(Repair::ForeignKey),
        RepairStatus::TooMany => Ok(Repair::TooMany(reply.number("how many")?)),
        RepairStatus::Repaired => Ok(Repair::Repaired {
            wrong: reply.text("what was wrong")?,
            waiting: reply.number("waiting")?,
            lost: reply.number("lost")?,
        }),
    }
}

/// Every queue of the partition that someone opened, with its status, by name.
///
/// # Errors
/// As any read: [`Failure`].
pub async fn list(link: &mut Link, keys: &Keys) -> Result<Vec<(QueueName, QueueStatus)>, Failure> {
    listed(link.query(redis::cmd("HGETALL").arg(keys.queues())).await?, keys)
}

/// The rows of the list of queues, in order.
pub(super) fn listed(
    rows: Vec<(String, String)>,
    keys: &Keys,
) -> Result<Vec<(QueueName, QueueStatus)>, Failure> {
    let mut queues = Vec::with_capacity(rows.len());
    for (name, status) in rows {
        let queue = QueueName::parse(name.as_str()).ok().zip(QueueStatus::from_name(&status));
        let Some(queue) = queue else {
            let detail = format!("{} holds {name:?}: {status:?}", keys.queues());
            return Err(Failure::Server { code: "corrupt_partition".to_owned(), detail });
        };
        queues.push(queue);
    }
    queues.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(queues)
}

/// Every queue of the partition that someone opened, with its status, or that is registered by who sends to it
/// ([`QueueStatus::Unopened`]), by name. A registered name that no queue can have is nobody's.
///
/// # Errors
/// As any read: [`Failure`].
pub async fn list_all(link: &mut Link, keys: &Keys) -> Result<Vec<(QueueName, QueueStatus)>, Failure> {
    let mut pipeline = redis::Pipeline::with_capacity(2);
    pipeline.cmd("HGETALL").arg(keys.queues());
    pipeline.cmd("SMEMBERS").arg(keys.registered());
    let mut replies = link.run_pipeline(&pipeline).await?.into_iter();
    let queues = listed(parsed(replies.next())?, keys)?;
    Ok(with_registered(queues, parsed(replies.next())?))
}

/// Adds the registered names that are in no list of opened queues.
pub(super) fn with_registered(
    mut queues: Vec<(QueueName, QueueStatus)>,
    registered: Vec<Vec<u8>>,
) -> Vec<(QueueName, QueueStatus)> {
    for name in registered.into_iter().filter_map(|name| QueueName::parse(String::from_utf8(name).ok()?).ok())
    {
        if let Err(at) = queues.binary_search_by(|(known, _)| known.cmp(&name)) {
            queues.insert(at, (name, QueueStatus::Unopened));
        }
    }
    queues
}

/// The name of every queue of the partition that anybody knows of: opened, registered, or once opened and lost since.
///
/// # Errors
/// As any read: [`Failure`].
pub async fn known(link: &mut Link, keys: &Keys) -> Result<Vec<QueueName>, Failure> {
    let mut names: BTreeSet<QueueName> =
        list_all(link, keys).await?.into_iter().map(|(name, _)| name).collect();
    let head: Vec<(Vec<u8>, Vec<u8>)> = match link.query(redis::cmd("HGETALL").arg(keys.head())).await {
        // A head of another type: whoever needs it says so.
        Err(Failure::Server { .. }) => Vec::new(),
        other => other?,
    };
    for (field, _) in head {
        let name = field.strip_prefix(b"opened:").or_else(|| field.strip_prefix(b"acked:"));
        let name = name.and_then(|name| QueueName::parse(std::str::from_utf8(name).ok()?).ok());
        names.extend(name);
    }
    Ok(names.into_iter().collect())
}

/// Whether `queue` has a stream: jobs may have been sent to it that nobody has registered or opened.
///
/// # Errors
/// As any read: [`Failure`].
pub async fn has_stream(link: &mut Link, keys: &Keys, queue: &QueueName) -> Result<bool, Failure> {
    link.query(redis::cmd("EXISTS").arg(keys.queue(queue))).await
}

fn parsed<T: redis::FromRedisValue>(reply: Option<Result<redis::Value, Failure>>) -> Result<T, Failure> {
    let value = reply.ok_or_else(|| Failure::unknown("a reply is missing"))??;
    redis::from_redis_value(value).map_err(|error| Failure::unknown(error.to_string()))
}
