//! What the settling side decides of a call, not whoever sent the jobs.

use std::time::Duration;

use crate::protocol::ids::Actor;
use crate::protocol::row::Row;

/// What the settling side decides, not the sender.
#[derive(Debug, Clone, Copy, Default)]
pub struct Policy<'a> {
    /// How long a payout's money is held at most while no attempt has begun; for ever if absent.
    pub hold_ttl: Option<Duration>,
    /// Who asks, for the journal; nobody for jobs of a queue.
    pub by: Option<&'a Actor>,
    /// What becomes of a job whose resource does not exist.
    pub missing: Missing,
    /// Whether jobs are decided against that wait for their time: `cancelled`, whatever they ask for.
    pub cancels: bool,
    /// The row that the jobs come from; none for what is settled directly.
    pub source: Option<Source<'a>>,
}

/// Where the jobs of a call come from.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The row in flight.
    pub row: &'a Row,
    /// The other entries that the caller read from it, which it does not settle by this call.
    pub left: &'a [&'a str],
}

/// What becomes of a job whose resource does not exist.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Missing {
    /// It is not decided: it may be asked again when the resource is there.
    #[default]
    Undecided,
    /// It is refused for good: too many wait in dead for the same reason.
    Refused,
}
