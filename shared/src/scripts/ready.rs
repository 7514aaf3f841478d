//! `ready`: which of some queues have entries that wait.

use crate::ids::QueueName;
use crate::keys::Keys;
use crate::link::Link;
use crate::script::{parts, script};

use super::{ScriptError, common_status};

script!(
    READY,
    "ready",
    [parts::NUMBERS, parts::QUEUE_FIELDS, parts::GROUP, parts::ENTRIES],
    keys[head],
    args[nonce]
);

/// Those of `queues` in which something waits: one cheap read over all of them, where a take of each would cost more.
///
/// # Errors
/// As [`settle`](super::settle::settle); it only reads.
pub async fn ready(
    link: &mut Link,
    keys: &Keys,
    queues: &[QueueName],
) -> Result<Vec<QueueName>, ScriptError> {
    let mut call = READY.call().key(keys.head());
    for queue in queues {
        call.push_key(keys.queue(queue));
        call.push_arg(queue.as_str());
    }
    let mut reply = call.run(link).await?;
    let status = reply.text("status")?;
    if status != "ready" {
        return Err(common_status(&status, &mut reply));
    }
    let mut ready = Vec::new();
    for queue in queues {
        if reply.number("is ready")? == 1 {
            ready.push(queue.clone());
        }
    }
    Ok(ready)
}
