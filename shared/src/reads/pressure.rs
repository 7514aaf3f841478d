//! Whether a Redis can take more jobs: its memory and its queue, before either is full.
//!
//! Settling a job adds memory (its receipt, its journal line) rather than freeing it, so workers cannot drain a
//! full Redis: producers stop well before. Relies on INFO, where the user may call it, and on the
//! counters of the partitions. Reading only.

use std::fmt;

use futures_util::StreamExt;
use redis::Value;

use crate::connection::failure::Failure;
use crate::connection::link::Link;
use crate::protocol::ids::QueueName;
use crate::reads::abreast::abreast;
use crate::scripts::{ScriptError, stats};
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
                write!(f, "Redis uses {used} of {max} bytes, more than {MEMORY_PERCENT_MAX} % of `maxmemory`")
            }
            Self::Queue { waiting, max } => write!(f, "{waiting} jobs wait in the queue, and {max} may"),
        }
    }
}

impl Tollgate {
    /// Whether a producer should wait before it sends to `queue`, of which `queue_max` jobs may wait in all.
    ///
    /// # Errors
    /// Redis's. What waits is counted by [`stats`](mod@crate::scripts::stats): the count of fetched entries that Redis
    /// keeps itself is wrong after a restart. That this user may not call INFO is no error: then only
    /// Redis's own refusal is left.
    pub async fn overload(
        &self,
        link: &mut Link,
        queue: &QueueName,
        queue_max: Option<u64>,
    ) -> Result<Option<Overload>, Failure> {
        // Of a cluster the fullest node counts: its partitions are not known to be others than those of the jobs.
        for info in link.run_on_each(redis::cmd("INFO").arg("memory")).await? {
            match info {
                Ok(info) => {
                    if let Some((used, max)) = memory(&info).filter(|(used, max)| is_above_share(*used, *max))
                    {
                        return Ok(Some(Overload::Memory { used, max }));
                    }
                }
                Err(failure) if failure.is_denied() => {}
                // Told by whoever sends to it.
                Err(failure) if failure.node().is_some() => {}
                Err(failure) => return Err(failure),
            }
        }
        let Some(max) = queue_max else { return Ok(None) };
        let waiting = self.waiting(queue).await?;
        Ok((waiting >= max).then_some(Overload::Queue { waiting, max }))
    }

    /// How many jobs of a queue nobody has fetched yet.
    ///
    /// # Errors
    /// Redis's.
    pub async fn waiting(&self, queue: &QueueName) -> Result<u64, Failure> {
        let mut waiting = 0_u64;
        let stats_of = |partition| async move {
            let mut link = self.server().link().await?;
            stats::read(&mut link, self.keys(partition)).await
        };
        let mut read = abreast(self.partitions().iter(), stats_of).boxed();
        while let Some((_, stats)) = read.next().await {
            let stats = match stats {
                Ok(stats) => stats,
                Err(ScriptError::Failure(failure)) if failure.node().is_none() => return Err(failure),
                // Damage elsewhere in the partition does not keep anybody from sending.
                Err(_) => continue,
            };
            let ours = stats.queues.iter().filter(|row| row.name == *queue);
            waiting = ours.fold(waiting, |sum, row| sum.saturating_add(row.waiting));
        }
        Ok(waiting)
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
