//! `beat`: a worker says that it lives and what it runs.

use crate::keys::Keys;
use crate::link::Link;
use crate::script::{parts, script};

use super::ScriptError;

script!(BEAT, "beat", [parts::NUMBERS], keys [workers head], args [nonce consumer description]);

/// Records a beat of `consumer` at server time, which is returned in milliseconds since the Unix epoch. Where the
/// partition is not initialised nothing is recorded.
///
/// # Errors
/// As [`settle`](super::settle::settle).
pub async fn beat(
    link: &mut Link,
    keys: &Keys,
    consumer: &str,
    description: &str,
) -> Result<u64, ScriptError> {
    let mut reply =
        BEAT.call().key(keys.workers()).key(keys.head()).arg(consumer).arg(description).run(link).await?;
    Ok(reply.number("at_ms")?)
}
