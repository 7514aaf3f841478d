//! Fetch: a worker takes entries from the streams of one partition.
//!
//! A take is one transaction: it reads a batch and notes it as one row in flight (`lua/take.lua`). The row is there from
//! the moment at which Redis served it, also if the reply is lost: then it is found under its worker by
//! [`recover`](mod@crate::scripts::recover) and read again. Waiting is apart from taking: what a blocking read serves is
//! a wake-up, never a batch. Must not settle: what leaves a row is decided there.

use std::time::Duration;

use redis::{Cmd, Value};

use crate::connection::failure::Failure;
use crate::connection::link::{BlockingLink, Link};
use crate::connection::reply::Reply;
use crate::protocol::ids::QueueName;
use crate::protocol::keys::{CONSUMER, GROUP, Keys};
pub use crate::protocol::row::{Row, is_entry};
use crate::scripts::ScriptError;
use crate::scripts::script::By;
use crate::scripts::take::{Begun, Noted, begin, note};

/// A batch that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The row that notes it.
    pub row: Row,
    /// What it brought, in the order of the stream.
    pub entries: Vec<Delivered>,
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

/// A take that has not been sent yet. Its token is known before, so that the row is recognised if the reply is lost.
pub struct Take<'a> {
    keys: &'a Keys,
    queue: &'a QueueName,
    count: usize,
    begin: crate::scripts::script::Call,
    note: crate::scripts::script::Call,
}

impl std::fmt::Debug for Take<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Take")
            .field("queue", &self.queue)
            .field("token", &self.token())
            .finish_non_exhaustive()
    }
}

impl<'a> Take<'a> {
    /// A take of up to `count` entries of `queue` for `worker`.
    pub fn new(keys: &'a Keys, queue: &'a QueueName, worker: &str, count: usize) -> Self {
        let (begin, note) = (begin(keys, queue, worker, count), note(keys, queue, worker, count));
        Self { keys, queue, count, begin, note }
    }

    /// The token of the row that it notes.
    pub fn token(&self) -> &str {
        self.note.nonce()
    }

    /// Takes; `None` if nothing waits, or the queue is paused.
    ///
    /// # Errors
    /// As any script. After [`Failure::Unknown`] there may be a row with this token.
    ///
    /// # Cancel safety
    /// If the future is dropped, likewise.
    pub async fn run(&self, link: &mut Link) -> Result<Option<Taken>, ScriptError> {
        match self.attempt(By::Hash, link).await {
            // Nothing was noted, and the next begin puts the group back.
            Err(ScriptError::Failure(failure)) if failure.is_no_script() => {
                self.attempt(By::Text, link).await
            }
            other => other,
        }
    }

    /// Waits for `block` at most until something comes into the queue, and takes it with the same round trip. Answers
    /// whether anything came, and what was taken.
    ///
    /// # Errors
    /// As [`Take::run`]. Redis may have forgotten the script: [`Take::run`] makes it known.
    ///
    /// # Cancel safety
    /// If the future is dropped, there may be a row with this token.
    pub async fn run_when_woken(
        &self,
        link: &mut BlockingLink,
        block: Duration,
    ) -> Result<(Woken, Option<Taken>), ScriptError> {
        let queues = std::slice::from_ref(self.queue);
        let (woken, replies) = link
            .run_before(&waiting(self.keys, queues, block.min(link.block())), &self.commands(By::Hash))
            .await?;
        let woken = read_woken(self.keys, queues, woken).inspect_err(|_| link.poison())?;
        let taken = self.read(replies?).inspect_err(|error| {
            if matches!(error, ScriptError::Failure(failure) if failure.spoils_connection()) {
                link.poison();
            }
        })?;
        Ok((woken, taken))
    }

    async fn attempt(&self, by: By, link: &mut Link) -> Result<Option<Taken>, ScriptError> {
        #[cfg(feature = "explore")]
        link.script.replace(crate::scripts::take::TAKE.name);
        let replies = link.run_transaction(&self.commands(by)).await?;
        self.read(replies).inspect_err(|error| {
            if matches!(error, ScriptError::Failure(failure) if failure.spoils_connection()) {
                link.poison();
            }
        })
    }

    /// What is begun by its text is known when the note is made.
    fn commands(&self, by: By) -> [Cmd; 3] {
        let mut read = Cmd::new();
        read.arg("XREADGROUP").arg("GROUP").arg(GROUP).arg(CONSUMER).arg("COUNT").arg(self.count);
        read.arg("NOACK").arg("STREAMS").arg(self.keys.queue(self.queue)).arg(">");
        [self.begin.command(by), read, self.note.command(By::Hash)]
    }

    /// What the transaction answered. A reply of another shape, or to another call, is [`Failure::Unknown`].
    fn read(&self, replies: Vec<Result<Value, Failure>>) -> Result<Option<Taken>, ScriptError> {
        let mut replies = replies.into_iter();
        let mut next = move || replies.next().unwrap_or_else(|| Err(Failure::unknown("a reply is missing")));
        let (begun, read, noted) = (next(), next(), next());
        Begun::read(self.queue, self.begin.answered(begun)?)?;
        let Noted::Taken { key, last, .. } = Noted::read(self.queue, self.note.answered(noted)?)? else {
            return Ok(None);
        };
        let entries = of_one(read?)?;
        // Whatever else moved the group: what was noted is what was read.
        if entries.last().map(|delivered| delivered.entry.as_str()) != Some(last.as_str()) {
            return Err(Failure::unknown("a row that ends elsewhere than the read").into());
        }
        Ok(Some(Taken { row: Row { key, token: self.token().to_owned() }, entries }))
    }
}

/// The entries of a read of one stream.
fn of_one(reply: Value) -> Result<Vec<Delivered>, Failure> {
    if reply == Value::Nil {
        return Ok(Vec::new());
    }
    let mut stream = Reply::of(reply)?.list("stream")?;
    stream.text("stream key")?;
    entries(stream.list("entries")?)
}

fn entries(mut rows: Reply) -> Result<Vec<Delivered>, Failure> {
    let mut entries = Vec::with_capacity(rows.len());
    while !rows.is_empty() {
        let mut row = rows.list("entry")?;
        entries.push(Delivered { entry: entry_id(&mut row)?, job: job_of(row.next("fields")?)? });
    }
    Ok(entries)
}

/// What a wait brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Woken {
    /// Something came into this queue; somebody else may have taken it by now.
    By(QueueName),
    /// Nothing within the time.
    No,
    /// A stream or its group is gone: a take makes the group again, or names the loss.
    NoGroup,
}

/// Waits until something comes into one of `queues`, for `block` at most (no longer than the link may block). What is served is nobody's: the next
/// take puts the group back.
///
/// # Errors
/// See [`Failure`].
///
/// # Cancel safety
/// If the future is dropped, a wake-up is lost, never a job.
pub async fn wait(
    link: &mut BlockingLink,
    keys: &Keys,
    queues: &[QueueName],
    block: Duration,
) -> Result<Woken, Failure> {
    let reply = link.run(&waiting(keys, queues, block.min(link.block()))).await;
    read_woken(keys, queues, reply).inspect_err(|_| link.poison())
}

fn waiting(keys: &Keys, queues: &[QueueName], block: Duration) -> Cmd {
    let mut command = redis::cmd("XREADGROUP");
    command.arg("GROUP").arg(GROUP).arg(CONSUMER).arg("COUNT").arg(1);
    command.arg("BLOCK").arg(block.as_millis().max(1) as u64).arg("NOACK").arg("STREAMS");
    queues.iter().for_each(|queue| _ = command.arg(keys.queue(queue)));
    queues.iter().for_each(|_| _ = command.arg(">"));
    command
}

fn read_woken(keys: &Keys, queues: &[QueueName], reply: Result<Value, Failure>) -> Result<Woken, Failure> {
    match reply {
        // UNBLOCKED: the stream was deleted while we waited for it.
        Err(Failure::Server { code, .. }) if code == "NOGROUP" || code == "UNBLOCKED" => Ok(Woken::NoGroup),
        Err(failure) => Err(failure),
        Ok(Value::Nil) => Ok(Woken::No),
        Ok(reply) => {
            let key = Reply::of(reply).and_then(|mut streams| streams.list("stream")?.text("stream key"));
            let queue = key.map(|key| queues.iter().find(|queue| keys.queue(queue) == key).cloned());
            match queue {
                Ok(Some(queue)) => Ok(Woken::By(queue)),
                Ok(None) | Err(_) => Err(Failure::unknown("a wake-up by a stream that was not asked for")),
            }
        }
    }
}

/// Reads up to `count` entries of a row that was recovered, behind the entry `after`: by plain commands, for a script
/// would convert each entry. What was deleted from the stream is left out. The answer is short only at the end of the
/// row.
///
/// # Errors
/// As any read.
pub async fn read_row(
    link: &mut Link,
    keys: &Keys,
    queue: &QueueName,
    row: &crate::scripts::recover::Recovered,
    after: Option<&str>,
    count: usize,
) -> Result<Vec<Delivered>, Failure> {
    let stream = keys.queue(queue);
    if row.ids.is_empty() {
        let from = format!("({}", after.unwrap_or(&row.row.key));
        let mut command = redis::cmd("XRANGE");
        command.arg(stream).arg(from).arg(&row.last).arg("COUNT").arg(count);
        return entries(Reply::of(link.run(&command).await?)?);
    }
    let skipped = after.and_then(|after| row.ids.iter().position(|id| id == after)).map_or(0, |at| at + 1);
    let mut delivered = Vec::new();
    let mut pipeline = redis::Pipeline::new();
    for id in row.ids.iter().skip(skipped) {
        pipeline.cmd("XRANGE").arg(&stream).arg(id).arg(id);
    }
    for reply in link.run_pipeline(&pipeline).await? {
        delivered.extend(entries(Reply::of(reply?)?)?);
    }
    Ok(delivered)
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
