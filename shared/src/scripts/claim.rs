//! `claim`: takes over entries that another consumer has held for too long.

use std::time::Duration;

use crate::fetch::entry_id;
use crate::ids::QueueName;
use crate::keys::Keys;
use crate::link::Link;
use crate::script::{Reply, millis, parts, script};

use super::{ScriptError, common_status};

script!(CLAIM, "claim", [parts::ENTRIES], keys [queue workers], args [nonce consumer idle_ms_min count]);

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

/// Another consumer that holds entries of the queue.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Holder {
    /// Its name.
    pub consumer: String,
    /// Its last beat as it stands in the list of workers; empty if it never beat.
    pub beat: String,
}

/// What a claim brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// How many entries the caller itself has held for so long.
    pub own: u64,
    /// Who else held entries of the queue before it.
    pub holders: Vec<Holder>,
    /// What was taken over.
    pub entries: Vec<Redelivered>,
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
    Ok(claim_from(link, keys, queue, consumer, idle, count, &[]).await?.entries)
}

/// The same, and also what one of the `silent` holds, whatever the server's clock says of it, unless it has beaten
/// since; answers who else holds entries as well.
///
/// # Errors
/// As [`claim`].
pub async fn claim_from(
    link: &mut Link,
    keys: &Keys,
    queue: &QueueName,
    consumer: &str,
    idle: Duration,
    count: usize,
    silent: &[Holder],
) -> Result<Claimed, ScriptError> {
    let mut call = CLAIM.call().key(keys.queue(queue)).key(keys.workers());
    call.push_arg(consumer);
    call.push_arg(millis(idle));
    call.push_arg(count);
    for Holder { consumer, beat } in silent {
        call.push_arg(consumer);
        call.push_arg(beat);
    }
    let mut reply = call.run(link).await?;
    let status = reply.text("status")?;
    if status != "claimed" {
        return Err(common_status(&status, &mut reply));
    }
    let own = reply.number("count of own entries")?;
    let mut holders = Vec::new();
    for _ in 0..reply.number("count of holders")? {
        holders.push(Holder { consumer: reply.text("holder")?, beat: reply.text("beat")? });
    }
    let entries = entries(reply).inspect_err(|_| link.poison())?;
    Ok(Claimed { own, holders, entries })
}

/// The entries at the end of a reply.
pub(super) fn entries(mut reply: Reply) -> Result<Vec<Redelivered>, ScriptError> {
    let mut entries = Vec::new();
    while !reply.is_empty() {
        entries.push(Redelivered {
            entry: entry_id(&mut reply)?,
            deliveries: reply.number("deliveries")?,
            job: reply.bytes("job")?,
        });
    }
    Ok(entries)
}
