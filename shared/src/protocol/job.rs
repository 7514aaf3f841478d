//! A job: what a stream carries. Must not talk to Redis.

use crate::protocol::ids::JobId;
use crate::protocol::instant::Instant;
use crate::protocol::kinds::JobRequest;

/// One unit of work: an id, what it asks for, and when it may begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The same id has one effect, however often it arrives.
    pub id: JobId,
    /// Not before this instant, by the server's clock.
    pub at: Option<Instant>,
    /// What is asked for.
    pub request: JobRequest,
}
