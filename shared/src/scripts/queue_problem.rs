//! What of a queue can be lost.

use std::fmt;

/// What of a queue had been there and is gone, or is another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum QueueProblem {
    /// The stream is a key of another type.
    WrongType,
    /// The stream is gone.
    NoStream,
    /// The stream counts fewer entries than it had been given: it was deleted and begun anew.
    Replaced,
    /// Its rows in flight are not what the head counts, or one cannot be read.
    Rows,
    /// It was open and is not in the list of queues.
    Unlisted,
}

impl QueueProblem {
    const ALL: [Self; 5] = [Self::WrongType, Self::NoStream, Self::Replaced, Self::Rows, Self::Unlisted];

    /// The name in Redis and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::WrongType => "wrong_type",
            Self::NoStream => "no_stream",
            Self::Replaced => "replaced",
            Self::Rows => "rows",
            Self::Unlisted => "unlisted",
        }
    }

    /// The problem of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|problem| problem.name() == name)
    }
}

impl fmt::Display for QueueProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WrongType => "its stream is a key of another type",
            Self::NoStream => "its stream is gone",
            Self::Replaced => "its stream was deleted and begun anew",
            Self::Rows => "what it has in flight is damaged",
            Self::Unlisted => "it is gone from the list of queues",
        })
    }
}
