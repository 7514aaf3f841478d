//! Jobs that are not settled yet, read from their stream: what lies behind the group's last entry waits, and what lies
//! in a row before it is in flight.
//!
//! Reading only. What is taken meanwhile is skipped or told all the same; nothing rests on it.

use std::collections::HashMap;

use crate::connection::failure::Failure;
use crate::connection::link::Link;
use crate::protocol::envelope::Envelope;
use crate::protocol::ids::{JobId, QueueName};
use crate::protocol::keys::{GROUP, Keys};
use crate::reads::workers::{self, InFlight};

/// The `job` field of an entry, with the entry's id.
pub type Waiting = (String, Vec<u8>);

/// Up to `count` entries of a queue after the entry `after`, or of those that nobody has taken the first.
///
/// # Errors
/// Redis's.
pub async fn page(
    link: &mut Link,
    keys: &Keys,
    queue: &QueueName,
    after: Option<&str>,
    count: usize,
) -> Result<Vec<Waiting>, Failure> {
    let stream = keys.queue(queue);
    let after = match after {
        Some(after) => after.to_owned(),
        None => last_taken(link, &stream).await?,
    };
    let mut command = redis::cmd("XRANGE");
    command.arg(&stream).arg(format!("({after}")).arg("+").arg("COUNT").arg(count);
    let entries: Vec<(String, HashMap<String, Vec<u8>>)> = link.query(&command).await?;
    Ok(entries.into_iter().map(|(id, mut fields)| (id, fields.remove("job").unwrap_or_default())).collect())
}

/// The last entry that was taken of a stream; the beginning where no worker has opened it.
async fn last_taken(link: &mut Link, stream: &str) -> Result<String, Failure> {
    let groups = link.query(redis::cmd("XINFO").arg("GROUPS").arg(stream)).await;
    let groups: Vec<HashMap<String, redis::Value>> = match groups {
        Err(Failure::Server { detail, .. }) if detail.starts_with("no such key") => Vec::new(),
        groups => groups?,
    };
    let ours = groups.into_iter().find(|group| text(group, "name").as_deref() == Some(GROUP));
    Ok(ours.and_then(|group| text(&group, "last-delivered-id")).unwrap_or_else(|| "0-0".to_owned()))
}

fn text(group: &HashMap<String, redis::Value>, name: &str) -> Option<String> {
    group.get(name).and_then(|value| redis::from_redis_value(value.clone()).ok())
}

/// One entry of a job that is not settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsettled {
    /// The entry.
    pub entry: String,
    /// When it was added, as its id says.
    pub added_at_ms: u64,
    /// Who has it; nobody yet if it waits.
    pub in_flight: Option<InFlight>,
}

/// Every entry of a job in a queue, the oldest first. Goes over the whole stream, in pages.
///
/// # Errors
/// Redis's.
pub async fn unsettled(
    link: &mut Link,
    keys: &Keys,
    queue: &QueueName,
    id: &JobId,
) -> Result<Vec<Unsettled>, Failure> {
    const PAGE: usize = 500;
    let stream = keys.queue(queue);
    let last_taken = last_taken(link, &stream).await?;
    let rows = workers::in_flight(link, keys, queue).await?;
    let (mut found, mut after) = (Vec::new(), "0-0".to_owned());
    loop {
        let page = self::page(link, keys, queue, Some(&after), PAGE).await?;
        for (entry, job) in &page {
            // Most are others': they are not decoded.
            let may_be = job.windows(id.as_str().len()).any(|part| part == id.as_str().as_bytes());
            let decoded = may_be.then(|| Envelope::decode(job).map_or_else(|poison| poison.id, |job| job.id));
            if decoded.flatten().as_ref() != Some(id) {
                continue;
            }
            let in_flight = rows.iter().find(|row| row.has(entry)).cloned();
            let waits = workers::entry_key(entry) > workers::entry_key(&last_taken);
            if waits || in_flight.is_some() {
                let added_at_ms = workers::entry_key(entry).map_or(0, |(ms, _)| ms);
                found.push(Unsettled { entry: entry.clone(), added_at_ms, in_flight });
            }
        }
        match page.last() {
            Some((last, _)) if page.len() == PAGE => after.clone_from(last),
            _ => return Ok(found),
        }
    }
}
