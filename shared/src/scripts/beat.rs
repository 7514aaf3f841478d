//! `beat`: a worker says that it lives and what it runs, and hears what else there is.

use crate::connection::link::Link;
use crate::protocol::ids::{Identity, QueueName};
use crate::protocol::keys::Keys;
use crate::scripts::script::{parts, script};

use super::error::ScriptError;
use super::queue::{QueueStatus, listed, with_registered};

script!(
    BEAT, "beat", [parts::NUMBERS, parts::CLOCK, parts::QUEUE_FIELDS],
    keys [workers head queues registered],
    args [nonce consumer description]
);

/// What a beat finds in its partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beaten {
    /// Server time of the beat, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// How many workers there are, those that fell silent among them until they are reaped.
    pub workers: u64,
    /// Whose partition it is; `None` where it is not initialised.
    pub identity: Option<Identity>,
    /// Every queue, as [`list_all`](super::queue::list_all) has it.
    pub queues: Vec<(QueueName, QueueStatus)>,
    /// The queues of which nothing is in flight, each with how many of its entries were ever settled.
    pub quiet: Vec<(QueueName, u64)>,
}

/// Records a beat of `consumer` at server time. Where the partition is not initialised nothing is recorded.
///
/// # Errors
/// As [`settle`](super::settle::settle); whatever is wrong with a list is one. The beat may be recorded all the same.
pub async fn beat(
    link: &mut Link,
    keys: &Keys,
    consumer: &str,
    description: &str,
) -> Result<Beaten, ScriptError> {
    let call = BEAT.call().key(keys.workers()).key(keys.head()).key(keys.queues()).key(keys.registered());
    let mut reply = call.arg(consumer).arg(description).run(link).await?;
    let (at_ms, workers) = (reply.number("at_ms")?, reply.number("workers")?);
    let identity = Identity::parse(&reply.text("identity")?);
    let (mut rows, mut quiet) = (Vec::new(), Vec::new());
    let mut queues = reply.list("queues")?;
    while !queues.is_empty() {
        let (name, status, settled) = (queues.text("name")?, queues.text("status")?, queues.text("settled")?);
        if let Some(settled) = QueueName::parse(name.as_str()).ok().zip(settled.parse().ok()) {
            quiet.push(settled);
        }
        rows.push((name, status));
    }
    let mut registered = reply.list("registered")?;
    let mut names = Vec::with_capacity(registered.len());
    while !registered.is_empty() {
        names.push(registered.bytes("name")?);
    }
    let queues = with_registered(listed(rows, keys)?, names);
    Ok(Beaten { at_ms, workers, identity, queues, quiet })
}
