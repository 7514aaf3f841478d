//! `pending`: re-reads what a consumer holds, after a reply to its fetch or claim was lost.

use crate::ids::QueueName;
use crate::keys::Keys;
use crate::link::Link;
use crate::script::{parts, script};

use super::claim::{Redelivered, entries};
use super::{ScriptError, common_status};

script!(PENDING, "pending", [parts::ENTRIES], keys [queue], args [nonce consumer after count]);

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
    let mut reply = call.run(link).await?;
    match reply.text("status")?.as_str() {
        "pending" => entries(reply).inspect_err(|_| link.poison()),
        other => Err(common_status(other, &mut reply)),
    }
}
