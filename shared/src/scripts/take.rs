//! `take`: the two ends of the transaction that takes a batch. [`fetch`](crate::reads::fetch) puts it together.

use crate::connection::failure::Failure;
use crate::protocol::ids::QueueName;
use crate::protocol::keys::Keys;
use crate::scripts::script::{Call, Part, Reply, file, keywords, parts, script};

use super::error::{ScriptError, queue_lost, status};

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
    args [nonce mode name worker count],
    status Status,
    refusals [uninitialised partition_frozen corrupt_partition]
);

keywords! {
    enum Status {
        Begun = "begun",
        Taken = "taken",
        Nothing = "nothing",
        Paused = "paused",
        QueueLost = "queue_lost",
    }
}

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
        match status(&mut reply)? {
            Status::Begun => Ok(Self),
            Status::QueueLost => Err(queue_lost(queue, &mut reply)),
            Status::Taken | Status::Nothing | Status::Paused => Err(other_end()),
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
        match status(&mut reply)? {
            Status::Taken => {
                reply.number("at_ms")?;
                Ok(Self::Taken { key: reply.text("key")?, last: reply.text("last")? })
            }
            Status::Nothing | Status::Paused => Ok(Self::Nothing),
            Status::QueueLost => Err(queue_lost(queue, &mut reply)),
            Status::Begun => Err(other_end()),
        }
    }
}

fn other_end() -> ScriptError {
    Failure::unknown("an answer to the other end of a take").into()
}
