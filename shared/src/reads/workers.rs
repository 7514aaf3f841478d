//! Who works: what each worker says of itself with every beat, and what it has in flight.
//!
//! A beat is written by [`beat`](mod@crate::scripts::beat). Reading only; whoever removes a dead consumer does
//! that by [`reap`](mod@crate::scripts::reap).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::connection::failure::Failure;
use crate::connection::link::Link;
use crate::protocol::ids::QueueName;
use crate::protocol::keys::Keys;

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
    /// How many payouts it has in flight at most.
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
    /// The worker's name, in rows in flight too.
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

/// What a worker has in flight: a row of one queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InFlight {
    /// The worker that holds it.
    pub worker: String,
    /// When it took it, in milliseconds since the Unix epoch by server time; 0 if it has given it up.
    pub taken_at_ms: u64,
    /// How many workers had it.
    pub deliveries: u64,
    /// How many entries it has.
    pub entries: u64,
    /// The entry before its first, and its last one.
    pub range: (String, String),
    /// Which entries of that range it has; all, if this is empty.
    pub ids: Vec<String>,
}

impl InFlight {
    /// Whether this entry lies in it.
    pub fn has(&self, entry: &str) -> bool {
        let (before, last) = &self.range;
        let lies_between = entry_key(before) < entry_key(entry) && entry_key(entry) <= entry_key(last);
        lies_between && (self.ids.is_empty() || self.ids.iter().any(|id| id == entry))
    }
}

/// By which entries are in order.
pub(crate) fn entry_key(entry: &str) -> Option<(u64, u64)> {
    let (ms, seq) = entry.split_once('-')?;
    Some((ms.parse().ok()?, seq.parse().ok()?))
}

/// The rows in flight of a queue, in no order. One that cannot be read is left out: `stats` names the damage.
///
/// # Errors
/// As any read: [`Failure`].
pub async fn in_flight(link: &mut Link, keys: &Keys, queue: &QueueName) -> Result<Vec<InFlight>, Failure> {
    let rows: Vec<(Vec<u8>, Vec<u8>)> =
        match link.query(redis::cmd("HGETALL").arg(keys.in_flight(queue))).await {
            Err(Failure::Server { code, .. }) if code == "WRONGTYPE" => Vec::new(),
            other => other?,
        };
    let read = |(key, row): &(Vec<u8>, Vec<u8>)| {
        read_in_flight(std::str::from_utf8(key).ok()?, std::str::from_utf8(row).ok()?)
    };
    Ok(rows.iter().filter_map(read).collect())
}

/// See `lua/parts/in_flight.lua`.
fn read_in_flight(key: &str, text: &str) -> Option<InFlight> {
    let mut words = text.split('\t').skip(1);
    Some(InFlight {
        worker: words.next()?.to_owned(),
        taken_at_ms: words.next()?.parse().ok()?,
        deliveries: words.next()?.parse().ok()?,
        range: (key.to_owned(), words.next()?.to_owned()),
        entries: words.next()?.parse().ok()?,
        ids: words.next()?.split_whitespace().map(str::to_owned).collect(),
    })
}
