//! What one request did, step by step, with the time of each: the events that a timeline is made of.
//!
//! A read is noted by when it was sent, a write by when its answer came. So whenever somebody read what was there
//! before a write, the read stands before that write, as it does in the store.

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// A record as somebody saw or wrote it. Every write that counts adds one to the version, so a version that two
/// writes share is an update that was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) quantity: i64,
    pub(super) version: i64,
}

/// What a request was told in the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Reply {
    /// It got all it asked for. Answers that name the same receipt are about one effect.
    Granted { receipt: Option<String> },
    /// There was not enough.
    Refused,
    /// Others were faster, again and again.
    GaveUp,
}

/// One step; states are in the order of the request's takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Step {
    /// Took the lock.
    Locked {
        token: Option<i64>,
    },
    Read {
        seen: Vec<State>,
    },
    Wrote {
        next: Vec<State>,
    },
    /// Decided and wrote in one step.
    Took,
    /// Sent a job.
    Enqueued,
    /// Its key was known: answered from there.
    KeyKnown,
    /// Somebody else wrote meanwhile: begins again.
    Overtaken,
    /// The resource refused its token: begins again.
    Fenced,
    /// Found in time that its lock had ended: begins again.
    LockEnded,
    Stopped,
    WokeUp,
    Answered(Reply),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Event {
    pub(super) at_ns: u64,
    pub(super) step: Step,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Trace {
    pub(super) events: Vec<Event>,
}

/// Nanoseconds of the machine's monotonic clock, which all its processes share.
pub(super) fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

impl Trace {
    pub(super) fn note(&mut self, step: Step) {
        self.note_at(now_ns(), step);
    }

    pub(super) fn note_at(&mut self, at_ns: u64, step: Step) {
        self.events.push(Event { at_ns, step });
    }

    /// What it saw last, before it wrote.
    pub(super) fn base(&self) -> Option<&[State]> {
        self.events.iter().rev().find_map(|event| match &event.step {
            Step::Read { seen } => Some(seen.as_slice()),
            _ => None,
        })
    }

    /// How often it had to begin again.
    pub(super) fn retries(&self) -> u64 {
        let again = |event: &&Event| matches!(event.step, Step::Overtaken | Step::Fenced | Step::LockEnded);
        self.events.iter().filter(again).count() as u64
    }

    pub(super) fn answer(&self) -> Option<&Reply> {
        match &self.events.last()?.step {
            Step::Answered(answer) => Some(answer),
            _ => None,
        }
    }
}
