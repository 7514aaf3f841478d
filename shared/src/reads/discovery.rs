//! Discovery: streams of jobs that are in no list of queues, since a plain XADD made them.
//!
//! Whoever looks goes through the whole keyspace by SCAN, a page at a time, as slowly as it can afford: each page costs
//! Redis a fraction of a millisecond, and the pauses between are the caller's. Needs the right to SCAN and DBSIZE.

use crate::connection::failure::Failure;
use crate::connection::link::Link;
use crate::protocol::ids::{Namespace, QueueName};
use crate::protocol::keys::Keys;

/// Keys that one page goes over.
pub const PAGE: u64 = 1_000;

/// One page of the keyspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Where the next page begins; `None` at the end.
    pub next: Option<String>,
    /// The keys of streams of the namespace's queues, whichever partition they name.
    pub streams: Vec<String>,
}

/// How many pages the keyspace has, about.
///
/// # Errors
/// Redis's.
pub async fn pages(link: &mut Link) -> Result<u64, Failure> {
    let keys: u64 = link.query(&redis::cmd("DBSIZE")).await?;
    Ok(keys / PAGE + 1)
}

/// The page that begins at `cursor`; `None` is the first.
///
/// # Errors
/// Redis's.
pub async fn page(link: &mut Link, namespace: &Namespace, cursor: Option<&str>) -> Result<Page, Failure> {
    let mut command = redis::cmd("SCAN");
    command.arg(cursor.unwrap_or("0")).arg("MATCH").arg(Keys::streams_pattern(namespace));
    command.arg("COUNT").arg(PAGE).arg("TYPE").arg("stream");
    let (next, keys): (String, Vec<Vec<u8>>) = link.query(&command).await?;
    let streams = keys.into_iter().filter_map(|key| String::from_utf8(key).ok()).collect();
    Ok(Page { next: Some(next).filter(|next| next != "0"), streams })
}

/// Registers a queue, as whoever sends to it would have: from now on it is seen.
///
/// # Errors
/// Redis's. Safe to repeat.
pub async fn register(link: &mut Link, keys: &Keys, queue: &QueueName) -> Result<(), Failure> {
    let _: u64 = link.query(redis::cmd("SADD").arg(keys.registered()).arg(queue.as_str())).await?;
    Ok(())
}
