//! Whether a Redis can take more jobs: its memory and its queue, before either is full.
//!
//! Settling a job adds memory (its receipt, its journal line) rather than freeing it, so workers cannot drain a
//! full Redis: producers stop well before. Relies on INFO, where the user may call it. Reading only.

use std::fmt;

use redis::Value;

use crate::failure::{Failure, Refusal};
use crate::ids::QueueName;
use crate::keys::GROUP;
use crate::link::Link;
use crate::tollgate::Tollgate;

/// The share of `maxmemory`, in percent, above which producers wait; the rest is for settling what was sent.
pub const MEMORY_PERCENT_MAX: u64 = 80;

/// Why a producer should wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overload {
    /// Memory is above its share.
    Memory {
        /// In use, in bytes.
        used: u64,
        /// `maxmemory`, in bytes.
        max: u64,
    },
    /// The queue is at the bound that the producer was given.
    Queue {
        /// Jobs that nobody fetched yet.
        waiting: u64,
        /// The bound.
        max: u64,
    },
}

impl fmt::Display for Overload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory { used, max } => {
                write!(f, "redis uses {used} of {max} bytes, above {MEMORY_PERCENT_MAX} % of maxmemory")
            }
            Self::Queue { waiting, max } => write!(f, "{waiting} jobs wait in the queue, at most {max}"),
        }
    }
}

impl Tollgate {
    /// Whether a producer should wait before it sends to `queue`, of which `queue_max` jobs may wait in all.
    ///
    /// # Errors
    /// Redis's. That this user may not call INFO is no error: then only Redis's own refusal is left.
    pub async fn overload(
        &self,
        link: &mut Link,
        queue: &QueueName,
        queue_max: Option<u64>,
    ) -> Result<Option<Overload>, Failure> {
        let mut questions = redis::pipe();
        questions.cmd("INFO").arg("memory");
        if queue_max.is_some() {
            for partition in self.partitions().iter() {
                let stream = self.keys(partition).queue(queue);
                questions.cmd("XINFO").arg("STREAM").arg(&stream);
                questions.cmd("XINFO").arg("GROUPS").arg(&stream);
            }
        }
        let mut replies = link.run_pipeline(&questions).await?.into_iter();
        match replies.next() {
            Some(Ok(info)) => {
                if let Some((used, max)) = memory(&info).filter(|(used, max)| is_above_share(*used, *max)) {
                    return Ok(Some(Overload::Memory { used, max }));
                }
            }
            Some(Err(failure)) if failure.refusal() != Some(Refusal::NoPermission) => return Err(failure),
            _ => {}
        }
        let Some(max) = queue_max else { return Ok(None) };
        let mut waiting = 0_u64;
        while let (Some(stream), Some(groups)) = (replies.next(), replies.next()) {
            waiting = waiting.saturating_add(match (stream, groups) {
                (Ok(stream), Ok(groups)) => stream_waiting(&stream, &groups)
                    .ok_or_else(|| Failure::unknown("an XINFO that cannot be read"))?,
                // No stream yet: nothing was ever sent.
                (Err(Failure::Server { code, .. }), _) if code == "ERR" => 0,
                (Err(failure), _) | (_, Err(failure)) => return Err(failure),
            });
        }
        Ok((waiting >= max).then_some(Overload::Queue { waiting, max }))
    }
}

fn is_above_share(used: u64, max: u64) -> bool {
    max > 0 && u128::from(used) * 100 > u128::from(max) * u128::from(MEMORY_PERCENT_MAX)
}

fn memory(info: &Value) -> Option<(u64, u64)> {
    let Value::BulkString(text) = info else { return None };
    let text = std::str::from_utf8(text).ok()?;
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().parse().ok()
    };
    Some((field("used_memory")?, field("maxmemory")?))
}

/// Jobs of a stream that its group has not fetched: added - read, since the group's own `lag` is NULL after some
/// deletions; while the group has never read, the length.
fn stream_waiting(stream: &Value, groups: &Value) -> Option<u64> {
    let (length, added) = (number(stream, "length")?, number(stream, "entries-added")?);
    let Value::Array(groups) = groups else { return None };
    let ours = groups.iter().find(|group| {
        matches!(field(group, "name"), Some(Value::BulkString(name)) if name.as_slice() == GROUP.as_bytes())
    });
    Some(match ours.and_then(|group| number(group, "entries-read")) {
        Some(read) => added.saturating_sub(read),
        None => length,
    })
}

fn field<'a>(reply: &'a Value, name: &str) -> Option<&'a Value> {
    let Value::Array(fields) = reply else { return None };
    fields.chunks_exact(2).find_map(|pair| match &pair[0] {
        Value::BulkString(found) if found.as_slice() == name.as_bytes() => Some(&pair[1]),
        _ => None,
    })
}

fn number(reply: &Value, name: &str) -> Option<u64> {
    match field(reply, name)? {
        Value::Int(number) => u64::try_from(*number).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_judged_by_its_share_of_a_bound_that_exists() {
        let info = Value::BulkString(
            b"# Memory\r\nused_memory:801\r\nused_memory_human:801B\r\nmaxmemory:1000\r\nmaxmemory_human:1000B\r\n".to_vec(),
        );
        assert_eq!(memory(&info), Some((801, 1000)));
        assert!(is_above_share(801, 1000));
        assert!(!is_above_share(800, 1000));
        assert!(!is_above_share(801, 0));
        assert!(is_above_share(u64::MAX, u64::MAX));
    }
}
