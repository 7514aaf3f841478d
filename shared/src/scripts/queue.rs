//! `queue`: makes sure that a queue and its group exist, and sets whether it is paused.

use crate::failure::Failure;
use crate::ids::QueueName;
use crate::keys::Keys;
use crate::link::Link;
use crate::script::{parts, script};

use super::{ScriptError, common_status};

script!(QUEUE, "queue", [parts::CHECKS], keys [head queues queue], args [nonce name status]);

/// Whether workers fetch from a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueStatus {
    /// They do.
    Active,
    /// They leave it alone; jobs wait.
    Paused,
}

impl QueueStatus {
    /// The name in Redis and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
        }
    }

    /// The status of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Active, Self::Paused].into_iter().find(|status| status.name() == name)
    }
}

/// Opens `queue`, and sets its status if one is given; answers the status in force.
///
/// # Errors
/// As [`settle`](super::settle::settle).
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
        .arg(queue.as_str())
        .arg(status.map_or("", QueueStatus::name))
        .run(link)
        .await?;
    let text = reply.text("status")?;
    QueueStatus::from_name(&text).ok_or_else(|| common_status(&text, &mut reply))
}

/// Every queue of the partition with its status, by name.
///
/// # Errors
/// As any read: [`Failure`].
pub async fn list(link: &mut Link, keys: &Keys) -> Result<Vec<(QueueName, QueueStatus)>, Failure> {
    let rows: Vec<(String, String)> = link.query(redis::cmd("HGETALL").arg(keys.queues())).await?;
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

/// Whether `queue` has a stream: jobs may have been sent to it before any worker opened it.
///
/// # Errors
/// As any read: [`Failure`].
pub async fn has_stream(link: &mut Link, keys: &Keys, queue: &QueueName) -> Result<bool, Failure> {
    link.query(redis::cmd("EXISTS").arg(keys.queue(queue))).await
}
