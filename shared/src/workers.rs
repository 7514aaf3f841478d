//! Who works: what each worker says of itself with every beat, and what the queues' groups know of it.
//!
//! A beat is written by [`beat`](mod@crate::scripts::beat). Reading only; whoever removes a dead consumer does
//! that by [`reap`](mod@crate::scripts::reap).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::ids::QueueName;
use crate::keys::{GROUP, Keys};
use crate::link::Link;
use crate::script::Reply;

/// A worker that has not beaten for so long is called silent: several beats are missing by then.
pub const SILENT_AFTER: Duration = Duration::from_secs(15);

/// What a worker says of itself: the description in its beat, as JSON.
///
/// Fields are only ever added, and a reader takes what it knows: workers of several releases run side by side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// The machine's name.
    pub host: String,
    /// The process id there.
    pub pid: u32,
    /// A nonce of this start of the process: a reused process id is another worker.
    pub boot: String,
    /// The queues it fetches from.
    pub queues: Vec<String>,
    /// Whether it serves every queue, those too that it has not seen yet.
    #[serde(default)]
    pub every_queue: bool,
    /// How many settle calls it has in flight at most.
    #[serde(default)]
    pub concurrency: usize,
    /// When it began, by its own clock, in milliseconds since the Unix epoch.
    #[serde(default)]
    pub started_at_ms: u64,
    /// Its release.
    pub version: String,
    /// Whether it fetches: `false` while it drains or is told to be quiet.
    pub fetching: bool,
}

impl Description {
    /// Whether it takes entries of a queue.
    pub fn serves(&self, queue: &QueueName) -> bool {
        self.fetching && (self.every_queue || self.queues.iter().any(|name| name == queue.as_str()))
    }

    /// The text that a beat carries.
    pub fn encode(&self) -> String {
        // Strings and numbers have a JSON form; there is no case in which this fails.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// The last beat of a consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beat {
    /// The consumer's name in every group.
    pub consumer: String,
    /// When it was, by server time, in milliseconds since the Unix epoch; 0 if the entry cannot be read.
    pub at_ms: u64,
    /// What the worker said; `None` if it cannot be read.
    pub description: Option<Description>,
}

impl Beat {
    /// Whether its worker lives, by server time. A beat from far ahead was made before the clock went back.
    pub fn is_alive(&self, now_ms: u64) -> bool {
        u128::from(now_ms.abs_diff(self.at_ms)) < SILENT_AFTER.as_millis()
    }
}

/// The last beat of every worker of a partition, by consumer name.
///
/// # Errors
/// As any read: [`Failure`].
pub async fn beats(link: &mut Link, keys: &Keys) -> Result<Vec<Beat>, Failure> {
    let rows: Vec<(String, String)> = link.query(redis::cmd("HGETALL").arg(keys.workers())).await?;
    let mut beats: Vec<Beat> = rows
        .into_iter()
        .map(|(consumer, text)| {
            let (at_ms, description) = text.split_once('\t').unwrap_or((&text, ""));
            Beat {
                consumer,
                at_ms: at_ms.parse().unwrap_or(0),
                description: serde_json::from_str(description).ok(),
            }
        })
        .collect();
    beats.sort_by(|a, b| a.consumer.cmp(&b.consumer));
    Ok(beats)
}

/// A consumer as the group of one queue knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumer {
    /// Its name.
    pub name: String,
    /// Entries in its hands.
    pub pending: u64,
    /// How long ago it last spoke to the group, in milliseconds.
    pub idle_ms: u64,
}

/// The consumers of a queue's group; none if there is no such queue yet.
///
/// # Errors
/// As any read: [`Failure`].
pub async fn consumers(link: &mut Link, keys: &Keys, queue: &QueueName) -> Result<Vec<Consumer>, Failure> {
    let reply = link.run(redis::cmd("XINFO").arg("CONSUMERS").arg(keys.queue(queue)).arg(GROUP)).await;
    let mut rows = match reply {
        Err(Failure::Server { code, detail }) if code == "NOGROUP" || detail.contains("no such key") => {
            return Ok(Vec::new());
        }
        other => Reply::of(other?)?,
    };
    let mut consumers = Vec::new();
    while !rows.is_empty() {
        let mut row = rows.list("consumer")?;
        let mut consumer = Consumer { name: String::new(), pending: 0, idle_ms: 0 };
        while !row.is_empty() {
            match row.text("field name")?.as_str() {
                "name" => consumer.name = row.text("name")?,
                "pending" => consumer.pending = row.number("pending")?,
                "idle" => consumer.idle_ms = row.number("idle")?,
                // Later releases of Redis add fields.
                other => drop(row.next(other)?),
            }
        }
        consumers.push(consumer);
    }
    Ok(consumers)
}
