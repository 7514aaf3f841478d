//! Fetch: a worker takes entries from the streams of one partition.
//!
//! An entry is pending under the consumer from the moment it is served, also if the reply is lost. So after any
//! error the reader looks at its own pending entries ([`pending`](mod@crate::scripts::pending)) before it goes on.
//! Must not acknowledge: that is part of settling.

use redis::Value;

use crate::failure::Failure;
use crate::ids::QueueName;
use crate::keys::{GROUP, Keys};
use crate::link::BlockingLink;
use crate::script::Reply;

/// Whether a read waits for entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Answer at once.
    No,
    /// Wait as long as the link may block.
    ForEntries,
}

/// One entry as it was delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// Its id in the stream.
    pub entry: String,
    /// Its `job` field. Without one, [`NO_JOB`] and the fields it has: no JSON, so it is poison, and it is kept.
    pub job: Vec<u8>,
}

/// What stands for the `job` field where there is none.
pub const NO_JOB: &str = "no field \"job\":";

/// Why a read brought nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// A stream or its group is gone: open the queue again.
    #[error("a queue has no stream or no group")]
    NoGroup,
    /// Redis refused the read, or its answer did not come.
    #[error(transparent)]
    Failure(#[from] Failure),
}

/// Takes up to `count` entries of each of `queues` that nobody was served before; a queue without any is left out.
///
/// # Errors
/// See [`FetchError`]. After any of them entries may be pending under `consumer` that it has not seen.
///
/// # Cancel safety
/// If the future is dropped, likewise.
pub async fn fetch(
    link: &mut BlockingLink,
    keys: &Keys,
    queues: &[QueueName],
    consumer: &str,
    count: usize,
    wait: Wait,
) -> Result<Vec<(QueueName, Vec<Delivered>)>, FetchError> {
    let mut command = redis::cmd("XREADGROUP");
    command.arg("GROUP").arg(GROUP).arg(consumer).arg("COUNT").arg(count);
    if wait == Wait::ForEntries {
        command.arg("BLOCK").arg(link.block().as_millis().max(1) as u64);
    }
    command.arg("STREAMS");
    queues.iter().for_each(|queue| _ = command.arg(keys.queue(queue)));
    queues.iter().for_each(|_| _ = command.arg(">"));
    let reply = match link.run(&command).await {
        // UNBLOCKED: the stream was deleted while we waited for it.
        Err(Failure::Server { code, .. }) if code == "NOGROUP" || code == "UNBLOCKED" => {
            return Err(FetchError::NoGroup);
        }
        other => other?,
    };
    read(reply, keys, queues).map_err(|failure| {
        link.poison();
        failure.into()
    })
}

fn read(
    reply: Value,
    keys: &Keys,
    queues: &[QueueName],
) -> Result<Vec<(QueueName, Vec<Delivered>)>, Failure> {
    if reply == Value::Nil {
        return Ok(Vec::new());
    }
    let mut streams = Reply::of(reply)?;
    let mut fetched = Vec::new();
    while !streams.is_empty() {
        let mut stream = streams.list("stream")?;
        let key = stream.text("stream key")?;
        let queue = queues.iter().find(|queue| keys.queue(queue) == key);
        let queue =
            queue.ok_or_else(|| Failure::unknown(format!("a stream that was not asked for: {key}")))?;
        let mut rows = stream.list("entries")?;
        let mut entries = Vec::with_capacity(rows.len());
        while !rows.is_empty() {
            let mut row = rows.list("entry")?;
            entries.push(Delivered { entry: entry_id(&mut row)?, job: job_of(row.next("fields")?)? });
        }
        fetched.push((queue.clone(), entries));
    }
    Ok(fetched)
}

/// Whether `text` is an id as Redis gives them to entries: `<ms>-<seq>`, 64 bits each.
pub(crate) fn is_entry(text: &str) -> bool {
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u64>().is_ok();
    text.split_once('-').is_some_and(|(ms, seq)| number(ms) && number(seq))
}

/// The id of an entry. What cannot be one would be refused whenever the entry is settled.
pub(crate) fn entry_id(reply: &mut Reply) -> Result<String, Failure> {
    let id = reply.text("entry id")?;
    if is_entry(&id) { Ok(id) } else { Err(Failure::unknown(format!("a reply whose entry id is {id:?}"))) }
}

fn job_of(fields: Value) -> Result<Vec<u8>, Failure> {
    if fields == Value::Nil {
        return Ok(NO_JOB.into()); // deleted from the stream by someone else
    }
    let mut fields = Reply::of(fields)?;
    let mut other = NO_JOB.as_bytes().to_vec();
    while !fields.is_empty() {
        let (name, value) = (fields.bytes("field name")?, fields.bytes("field value")?);
        if name == b"job" {
            return Ok(value);
        }
        for part in [name, value] {
            other.push(b' ');
            other.extend(part);
        }
    }
    Ok(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_without_a_job_field_is_kept_and_is_no_job() {
        let text = |text: &str| Value::BulkString(text.into());
        let fields = Value::Array(vec![text("jobs"), text("{\"v\":1}"), text(""), text("x")]);
        assert_eq!(job_of(fields).unwrap(), b"no field \"job\": jobs {\"v\":1}  x");
        let fields = Value::Array(vec![text("a"), text("b"), text("job"), text("{}")]);
        assert_eq!(job_of(fields).unwrap(), b"{}");
    }
}
