//! `ready`: which of some queues have entries that wait.

use crate::connection::link::Link;
use crate::protocol::ids::QueueName;
use crate::protocol::keys::Keys;
use crate::scripts::script::{keywords, parts, script};

use super::error::{ScriptError, status};

script!(
    READY,
    "ready",
    [parts::NUMBERS, parts::QUEUE_FIELDS, parts::GROUP, parts::ENTRIES],
    keys [head; queue],
    args [nonce; name],
    status Status
);

keywords!(
    enum Status {
        Ready = "ready",
    }
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
    let Status::Ready = status(&mut reply)?;
    let mut ready = Vec::new();
    for queue in queues {
        if reply.number("is ready")? == 1 {
            ready.push(queue.clone());
        }
    }
    Ok(ready)
}
