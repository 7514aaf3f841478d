//! `recover`: looks at every row in flight of a queue; takes over what another worker has held for too long.

use std::time::Duration;

use crate::connection::link::Link;
use crate::protocol::ids::QueueName;
use crate::protocol::keys::Keys;
use crate::protocol::row::Row;
use crate::scripts::script::{keywords, millis, parts, script};

use super::error::{ScriptError, status};

script!(
    RECOVER, "recover",
    [
        parts::NUMBERS, parts::CLOCK, parts::FORMAT, parts::HEAD_COUNTERS, parts::CHECKS, parts::QUEUE_FIELDS,
        parts::IN_FLIGHT, parts::ROWS, parts::ENTRIES,
    ],
    keys [head queue in_flight],
    args [nonce name worker idle_ms_min extent alone; token alive],
    status Status,
    refusals [uninitialised partition_frozen corrupt_partition]
);

keywords!(
    enum Status {
        Recovered = "recovered",
    }
);

/// What a worker does with the rows that it finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// Keeps from others what it works on, and nothing else.
    Keep,
    /// Also reads again what is its own and was not heard of.
    Own,
    /// Also takes over one row that another has held for so long.
    Others(Duration),
}

/// Whether anything else is worked on in the caller's process. A suspect is given only to one who is alone: if it
/// dies, it was not another job that killed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Company {
    /// Perhaps.
    Others,
    /// Nothing, until what this call answers is settled.
    Alone,
}

/// A row that the caller holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldRow {
    /// Its token.
    pub token: String,
    /// Whether it is to be kept from others: it is being worked on.
    pub is_alive: bool,
}

/// A row that is the caller's now, and has to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// Its key and token.
    pub row: Row,
    /// How many workers had it, the caller among them.
    pub deliveries: u64,
    /// Whether it was another worker's before this call.
    pub was_taken_over: bool,
    /// Its last entry.
    pub last: String,
    /// How many entries it has, those among them that were deleted from the stream.
    pub count: u64,
    /// What is left of it; empty where it is everything up to `last`.
    pub ids: Vec<String>,
}

/// What a recovery brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    /// To be read and settled.
    pub rows: Vec<Recovered>,
    /// How many suspects wait for a caller that is [`Company::Alone`].
    pub suspects: u64,
    /// How many entries the stream has, settled ones among them.
    pub length: u64,
}

/// Looks at the rows of `queue`, of which the caller works on `held`.
///
/// # Errors
/// As [`settle`](super::settle::settle). After an unknown failure a row may be the caller's: the next call names it.
pub async fn recover(
    link: &mut Link,
    keys: &Keys,
    queue: &QueueName,
    worker: &str,
    recovery: Recovery,
    company: Company,
    held: &[HeldRow],
) -> Result<Rows, ScriptError> {
    let (idle, extent) = match recovery {
        Recovery::Keep => (0, "keep"),
        Recovery::Own => (0, "own"),
        Recovery::Others(idle) => (millis(idle), "others"),
    };
    let mut call = RECOVER.call().key(keys.head()).key(keys.queue(queue)).key(keys.in_flight(queue));
    call.push_arg(queue.as_str());
    call.push_arg(worker);
    call.push_arg(idle);
    call.push_arg(extent);
    call.push_arg(u8::from(company == Company::Alone));
    for HeldRow { token, is_alive } in held {
        call.push_arg(token);
        call.push_arg(u8::from(*is_alive));
    }
    let mut reply = call.run(link).await?;
    let Status::Recovered = status(&mut reply)?;
    let (suspects, length) = (reply.number("suspects")?, reply.number("length")?);
    let mut rows = Vec::new();
    while !reply.is_empty() {
        rows.push(Recovered {
            row: Row { key: reply.text("key")?, token: reply.text("token")? },
            deliveries: reply.number("deliveries")?,
            was_taken_over: reply.number("taken over")? == 1,
            last: reply.text("last")?,
            count: reply.number("count")?,
            ids: reply.text("ids")?.split_whitespace().map(str::to_owned).collect(),
        });
    }
    Ok(Rows { rows, suspects, length })
}
