//! `take`: the two ends of the transaction that takes a batch. [`fetch`](crate::fetch) puts it together.

use crate::ids::QueueName;
use crate::keys::Keys;
use crate::script::{Call, Part, Reply, file, parts, script};

use super::{ScriptError, common_status, queue_lost};

/// What it takes to make a group again that is gone, which few takes have to.
const MAKE_GROUP: Part = Part::Function(
    "make_group(head_key, queues_key, queue_key, in_flight_key, name, taken, taken_count)",
    &[file!("parts/rows.lua"), file!("parts/queue_state.lua"), file!("take/make_group.lua")],
);

script!(
    TAKE, "take",
    [
        parts::GROUP, Part::File(file!("take/begin.lua")), parts::NUMBERS, parts::CLOCK, parts::FORMAT,
        parts::HEAD_COUNTERS, parts::CHECKS, parts::QUEUE_FIELDS, parts::IN_FLIGHT, parts::ENTRIES, MAKE_GROUP,
    ],
    keys [head queues queue in_flight],
    args [nonce mode name worker count]
);

/// Puts the group back to what was really taken.
pub(crate) fn begin(keys: &Keys, queue: &QueueName, worker: &str, count: usize) -> Call {
    call("begin", keys, queue, worker, count)
}

/// Notes what was read.
pub(crate) fn note(keys: &Keys, queue: &QueueName, worker: &str, count: usize) -> Call {
    call("note", keys, queue, worker, count)
}

fn call(mode: &str, keys: &Keys, queue: &QueueName, worker: &str, count: usize) -> Call {
    let call =
        TAKE.call().key(keys.head()).key(keys.queues()).key(keys.queue(queue)).key(keys.in_flight(queue));
    call.arg(mode).arg(queue.as_str()).arg(worker).arg(count)
}

/// What begin answered.
pub(crate) struct Begun;

impl Begun {
    pub(crate) fn read(queue: &QueueName, mut reply: Reply) -> Result<Self, ScriptError> {
        match reply.text("status")?.as_str() {
            "begun" => Ok(Self),
            "queue_lost" => Err(queue_lost(queue, &mut reply)?),
            other => Err(common_status(other, &mut reply)),
        }
    }
}

/// What note answered.
pub(crate) enum Noted {
    Taken { key: String, last: String },
    Nothing,
}

impl Noted {
    pub(crate) fn read(queue: &QueueName, mut reply: Reply) -> Result<Self, ScriptError> {
        match reply.text("status")?.as_str() {
            "taken" => {
                reply.number("at_ms")?;
                Ok(Self::Taken { key: reply.text("key")?, last: reply.text("last")? })
            }
            "nothing" | "paused" => Ok(Self::Nothing),
            "queue_lost" => Err(queue_lost(queue, &mut reply)?),
            other => Err(common_status(other, &mut reply)),
        }
    }
}
