//! Parked jobs, read: what lies in `dead`, in pages, and one row by its id.
//!
//! The rows are written by [`park`](mod@crate::scripts::park), and moved by
//! [`dead`](mod@crate::scripts::dead) and [`promote`](mod@crate::scripts::promote). Reading only, and never all at
//! once: a million dead jobs are a million rows.

use crate::connection::failure::Failure;
use crate::connection::link::Link;
use crate::protocol::code::Code;
use crate::protocol::fingerprint::Fingerprint;
use crate::protocol::ids::{JobId, QueueName};
use crate::protocol::keys::Keys;
use crate::scripts::lookup::ParkedState;

/// Most rows of one page.
pub const PAGE_MAX: usize = 500;

/// A job that left its stream undecided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Where it is.
    pub state: ParkedState,
    /// Of its request, or of its bytes if it is poison.
    pub fingerprint: Fingerprint,
    /// How often it was tried (outside calls and users' handlers only).
    pub attempts: u64,
    /// The queue it came from and goes back to.
    pub queue: QueueName,
    /// Why it is dead, as it was stored (a code of this release, or of a later one); empty if it is not.
    pub reason: String,
    /// When it is due, or when it gave up, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The bytes as they came; if they were not kept, their SHA-1 in hex.
    pub envelope: Vec<u8>,
    /// How long they were, if they were not kept: too many were dead for this reason when it came.
    pub stripped_bytes: Option<u64>,
}

impl Row {
    /// Reads a row as `lua/parts/parked_row.lua` writes it; `None` if it is damaged.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut words = bytes.splitn(8, |byte| *byte == b'\t');
        let mut text = || std::str::from_utf8(words.next()?).ok();
        let row = Self {
            state: ParkedState::from_name(text()?)?,
            fingerprint: Fingerprint::parse(text()?)?,
            attempts: text()?.parse().ok()?,
            queue: QueueName::parse(text()?).ok()?,
            reason: text()?.to_owned(),
            at_ms: text()?.parse().ok()?,
            stripped_bytes: match text()? {
                "" => None,
                length => Some(length.parse().ok()?),
            },
            envelope: Vec::new(),
        };
        Some(Self { envelope: words.next()?.to_vec(), ..row })
    }

    /// The reason as a code, if this release knows it.
    pub fn code(&self) -> Option<Code> {
        Code::from_name(&self.reason)
    }
}

/// One dead or scheduled job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dead {
    /// Its id.
    pub id: JobId,
    /// When it gave up, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Its row; `None` if that is missing or damaged.
    pub row: Option<Row>,
}

/// `count` dead jobs (at most [`PAGE_MAX`]) from position `from` on, the oldest first. Jobs that come or go
/// between two pages move the positions: read the same position again after taking a page's jobs away.
///
/// # Errors
/// As any read: [`Failure`].
pub async fn dead_page(
    link: &mut Link,
    keys: &Keys,
    from: usize,
    count: usize,
) -> Result<Vec<Dead>, Failure> {
    let Some(last) = count.min(PAGE_MAX).checked_sub(1).map(|more| from + more) else {
        return Ok(Vec::new());
    };
    let index = keys.dead();
    let mut command = redis::cmd("ZRANGE");
    command.arg(&index).arg(from).arg(last).arg("WITHSCORES");
    let members: Vec<(String, f64)> = link.query(&command).await?;
    rows_of(link, keys, &index, members).await
}

/// The place of a job among those that are dead or scheduled: they lie in the order of their time, and of their id
/// where that is the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// When it gave up, or is due, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Its id.
    pub id: JobId,
}

/// Dead jobs behind `after`, the oldest first: some (at most [`PAGE_MAX`]), and none only at the end. Jobs that come
/// or go between two pages move nothing.
///
/// # Errors
/// As any read: [`Failure`].
pub async fn dead_after(link: &mut Link, keys: &Keys, after: Option<&Place>) -> Result<Vec<Dead>, Failure> {
    behind(link, keys, &keys.dead(), after).await
}

/// The same of scheduled jobs, the next that are due first; `at_ms` is when.
///
/// # Errors
/// As any read: [`Failure`].
pub async fn scheduled_after(
    link: &mut Link,
    keys: &Keys,
    after: Option<&Place>,
) -> Result<Vec<Dead>, Failure> {
    behind(link, keys, &keys.scheduled(), after).await
}

async fn behind(
    link: &mut Link,
    keys: &Keys,
    index: &str,
    after: Option<&Place>,
) -> Result<Vec<Dead>, Failure> {
    let is_behind = |at_ms: u64, id: &str| {
        after.is_none_or(|after| (at_ms, id.as_bytes()) > (after.at_ms, after.id.as_str().as_bytes()))
    };
    let least = after.map_or_else(|| "-inf".to_owned(), |after| after.at_ms.to_string());
    // Those of the same time may fill pages before the place is reached.
    for first in (0..).step_by(PAGE_MAX) {
        let mut command = redis::cmd("ZRANGE");
        command.arg(index).arg(least.as_str()).arg("+inf").arg("BYSCORE");
        command.arg("LIMIT").arg(first).arg(PAGE_MAX).arg("WITHSCORES");
        let members: Vec<(String, f64)> = link.query(&command).await?;
        let is_last = members.len() < PAGE_MAX;
        let members: Vec<_> =
            members.into_iter().filter(|(id, score)| is_behind(*score as u64, id)).collect();
        if is_last || !members.is_empty() {
            return rows_of(link, keys, index, members).await;
        }
    }
    Ok(Vec::new())
}

async fn rows_of(
    link: &mut Link,
    keys: &Keys,
    index: &str,
    members: Vec<(String, f64)>,
) -> Result<Vec<Dead>, Failure> {
    if members.is_empty() {
        return Ok(Vec::new());
    }
    let mut command = redis::cmd("HMGET");
    command.arg(keys.parked());
    members.iter().for_each(|(id, _)| _ = command.arg(id));
    let rows: Vec<Option<Vec<u8>>> = link.query(&command).await?;
    let mut page = Vec::with_capacity(members.len());
    for ((id, score), row) in members.into_iter().zip(rows) {
        let id = JobId::stored(id).map_err(|error| Failure::Server {
            code: "corrupt_partition".to_owned(),
            detail: format!("{index}: {error}"),
        })?;
        let row = row.and_then(|bytes| Row::parse(&bytes));
        page.push(Dead { id, at_ms: score as u64, row });
    }
    Ok(page)
}

/// The row of `id`, if it is parked. The inner error holds the bytes of a row that cannot be read.
///
/// # Errors
/// As any read: [`Failure`].
pub async fn row(link: &mut Link, keys: &Keys, id: &JobId) -> Result<Option<Result<Row, Vec<u8>>>, Failure> {
    let bytes: Option<Vec<u8>> = link.query(redis::cmd("HGET").arg(keys.parked()).arg(id.as_str())).await?;
    Ok(bytes.map(|bytes| Row::parse(&bytes).ok_or(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_keeps_its_bytes_whatever_they_are() {
        let row =
            Row::parse(b"dead\t0123456789abcdef\t2\tdefault\tmalformed_json\t17\t\t\xff\tx\ny").unwrap();
        assert_eq!((row.state, row.attempts, row.at_ms), (ParkedState::Dead, 2, 17));
        assert_eq!(row.code(), Some(Code::MalformedJson));
        assert_eq!(row.envelope, b"\xff\tx\ny");
        for bad in [
            &b""[..],
            b"dead\t0123456789abcdef\t2\tdefault\tx\t17\t",
            b"lost\t0123456789abcdef\t2\tq\tx\t1\t\t",
        ] {
            assert_eq!(Row::parse(bad), None);
        }
    }
}
