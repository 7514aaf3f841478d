//! `reap`: removes a worker that is gone from the list of workers.

use std::time::Duration;

use crate::keys::Keys;
use crate::link::Link;
use crate::script::{millis, parts, script};

use super::{ScriptError, common_status};

script!(REAP, "reap", [parts::NUMBERS, parts::CLOCK, parts::CHECKS], keys [workers], args [nonce worker silent_ms_min]);

/// What became of the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaped {
    /// Removed.
    Gone,
    /// It beat within the time.
    Alive,
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
    match reply.text("status")?.as_str() {
        "reaped" => Ok(Reaped::Gone),
        "alive" => Ok(Reaped::Alive),
        other => Err(common_status(other, &mut reply)),
    }
}
