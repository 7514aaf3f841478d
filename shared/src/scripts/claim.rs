//! `claim`: takes over entries that another consumer has held for too long.

use std::time::Duration;

use crate::ids::QueueName;
use crate::keys::Keys;
use crate::link::Link;
use crate::script::{Reply, millis, script};

use super::{ScriptError, common_status};

script!(CLAIM, "claim", [], keys [queue], args [nonce consumer idle_ms_min count]);

/// An entry that was delivered before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redelivered {
    /// The stream entry.
    pub entry: String,
    /// How often it had been delivered when it was found.
    pub deliveries: u64,
    /// Its `job` field; without one, what it has instead (see [`fetch`](crate::fetch)); empty if it was deleted.
    pub job: Vec<u8>,
}

/// Claims up to `count` entries of `queue` that have been pending under others for `idle` or longer: those that
/// were delivered once, or else a single one that was delivered more often.
///
/// # Errors
/// As [`settle`](super::settle::settle). After an unknown failure the entries may be the caller's:
/// it reads them by [`pending`](super::pending::pending).
pub async fn claim(
    link: &mut Link,
    keys: &Keys,
    queue: &QueueName,
    consumer: &str,
    idle: Duration,
    count: usize,
) -> Result<Vec<Redelivered>, ScriptError> {
    let call = CLAIM.call().key(keys.queue(queue)).arg(consumer).arg(millis(idle)).arg(count);
    read(call.run(link).await?, "claimed")
}

pub(super) fn read(mut reply: Reply, expected: &str) -> Result<Vec<Redelivered>, ScriptError> {
    let status = reply.text("status")?;
    if status != expected {
        return Err(common_status(&status, &mut reply));
    }
    let mut entries = Vec::new();
    while !reply.is_empty() {
        entries.push(Redelivered {
            entry: reply.text("entry")?,
            deliveries: reply.number("deliveries")?,
            job: reply.bytes("job")?,
        });
    }
    Ok(entries)
}
