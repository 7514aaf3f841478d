//! `hand_back`: gives up every row that a worker holds of a queue.

use crate::connection::link::Link;
use crate::protocol::ids::QueueName;
use crate::protocol::keys::Keys;
use crate::scripts::script::{keywords, parts, script};

use super::error::{ScriptError, status};

script!(
    HAND_BACK, "hand_back", [
        parts::NUMBERS, parts::FORMAT, parts::HEAD_COUNTERS, parts::QUEUE_FIELDS, parts::IN_FLIGHT, parts::ROWS,
    ],
    keys [head in_flight],
    args [nonce name worker],
    status Status,
    refusals [uninitialised partition_frozen corrupt_partition]
);

keywords!(
    enum Status {
        HandedBack = "handed_back",
    }
);

/// Gives up every row of `queue` that `worker` holds, so that others take it over at once; answers how many.
///
/// # Errors
/// As [`settle`](super::settle::settle).
pub async fn hand_back(
    link: &mut Link,
    keys: &Keys,
    queue: &QueueName,
    worker: &str,
) -> Result<u64, ScriptError> {
    let call = HAND_BACK.call().key(keys.head()).key(keys.in_flight(queue)).arg(queue.as_str()).arg(worker);
    let mut reply = call.run(link).await?;
    let Status::HandedBack = status(&mut reply)?;
    Ok(reply.number("how many")?)
}
