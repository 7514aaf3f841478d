//! `pending`: re-reads what a consumer holds, after a reply to its fetch or claim was lost.

use crate::ids::QueueName;
use crate::keys::Keys;
use crate::link::Link;
use crate::script::script;

use super::ScriptError;
use super::claim::{Redelivered, read};

script!(PENDING, "pending", [], keys [queue], args [nonce consumer after count]);

/// Up to `count` entries of `queue` that are pending under `consumer`, after the entry `after`.
/// The deliveries include the one to `consumer`.
///
/// # Errors
/// As [`settle`](super::settle::settle); it only reads.
pub async fn pending(
    link: &mut Link,
    keys: &Keys,
    queue: &QueueName,
    consumer: &str,
    after: Option<&str>,
    count: usize,
) -> Result<Vec<Redelivered>, ScriptError> {
    let call = PENDING.call().key(keys.queue(queue)).arg(consumer).arg(after.unwrap_or_default()).arg(count);
    read(call.run(link).await?, "pending")
}
