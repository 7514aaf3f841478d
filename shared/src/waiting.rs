//! Jobs that nobody has taken yet, read from their stream: what lies between the group's last entry and the end.
//!
//! Reading only. What is taken meanwhile is skipped or told all the same; nothing rests on it.

use std::collections::HashMap;

use crate::failure::Failure;
use crate::ids::QueueName;
use crate::keys::{GROUP, Keys};
use crate::link::Link;

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
