//! `reap`: removes a worker that is gone from the list of workers.

use std::time::Duration;

use crate::connection::link::Link;
use crate::protocol::keys::Keys;
use crate::scripts::script::{keywords, millis, parts, script};

use super::error::{ScriptError, status};

script!(
    REAP, "reap", [parts::NUMBERS, parts::CLOCK, parts::CHECKS],
    keys [workers],
    args [nonce worker silent_ms_min],
    status Reaped,
    refusals [corrupt_partition]
);

keywords! {
    /// What became of the worker.
    pub enum Reaped {
        /// Removed.
        Gone = "reaped",
        /// It beat within the time.
        Alive = "alive",
    }
}

/// Removes `worker` if it has been silent for `silent` (zero: it says so of itself).
///
/// # Errors
/// As [`settle`](super::settle::settle).
pub async fn reap(
    link: &mut Link,
    keys: &Keys,
    worker: &str,
    silent: Duration,
) -> Result<Reaped, ScriptError> {
    let mut reply = REAP.call().key(keys.workers()).arg(worker).arg(millis(silent)).run(link).await?;
    status(&mut reply)
}
