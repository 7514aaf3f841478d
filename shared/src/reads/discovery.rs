//! Discovery: streams of jobs that are in no list of queues, since a plain XADD made them.
//!
//! Whoever looks goes through the whole keyspace by SCAN, a page at a time, as slowly as it can afford: each page costs
//! Redis a fraction of a millisecond, and the pauses between are the caller's. Needs the right to SCAN and DBSIZE.

use crate::connection::connect::Server;
use crate::connection::failure::Failure;
use crate::connection::link::Link;
use crate::protocol::ids::{Namespace, QueueName};
use crate::protocol::keys::Keys;

/// Keys that one page goes over.
pub const PAGE: u64 = 1_000;
/// The cursor of the first page, and of the end.
const BEGIN: &str = "0";

/// Where a page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// Which of the servers that hold keys.
    server: usize,
    /// As Redis says it.
    at: String,
}

/// One page of the keyspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Where the next page begins; `None` at the end.
    pub next: Option<Cursor>,
    /// The keys of streams of the namespace's queues, whichever partition they name.
    pub streams: Vec<String>,
}

/// How many pages the keyspace has, about; without the nodes of a cluster that cannot be asked.
///
/// # Errors
/// Redis's.
pub async fn pages(link: &mut Link) -> Result<u64, Failure> {
    let mut keys = 0;
    for size in link.run_on_each(&redis::cmd("DBSIZE")).await? {
        keys += match size {
            Err(failure) if failure.node().is_some() => 0,
            size => redis::from_redis_value::<u64>(size?).unwrap_or_default(),
        };
    }
    Ok(keys / PAGE + 1)
}

/// The page that begins at `cursor`; `None` is the first. A node of a cluster that cannot be asked is left out.
///
/// # Errors
/// Redis's.
pub async fn page(server: &Server, namespace: &Namespace, cursor: Option<Cursor>) -> Result<Page, Failure> {
    let Cursor { server: n, at } = cursor.unwrap_or(Cursor { server: 0, at: BEGIN.to_owned() });
    let servers = server.masters().await?;
    let next_server = (n + 1 < servers.len()).then(|| Cursor { server: n + 1, at: BEGIN.to_owned() });
    let mut command = redis::cmd("SCAN");
    command.arg(&at).arg("MATCH").arg(Keys::streams_pattern(namespace));
    command.arg("COUNT").arg(PAGE).arg("TYPE").arg("stream");
    let read = async |server: &Server| server.link().await?.query(&command).await;
    let (next, keys): (String, Vec<Vec<u8>>) = match servers.get(n) {
        // There are fewer than there were.
        None => return Ok(Page { next: None, streams: Vec::new() }),
        Some(server) => match read(server).await {
            Err(failure) if failure.node().is_some() && failure.is_unreachable() => {
                return Ok(Page { next: next_server, streams: Vec::new() });
            }
            page => page?,
        },
    };
    let streams = keys.into_iter().filter_map(|key| String::from_utf8(key).ok()).collect();
    let next = if next == BEGIN { next_server } else { Some(Cursor { server: n, at: next }) };
    Ok(Page { next, streams })
}

/// Registers a queue, as whoever sends to it would have: from now on it is seen.
///
/// # Errors
/// Redis's. Safe to repeat.
pub async fn register(link: &mut Link, keys: &Keys, queue: &QueueName) -> Result<(), Failure> {
    let _: u64 = link.query(redis::cmd("SADD").arg(keys.registered()).arg(queue.as_str())).await?;
    Ok(())
}
