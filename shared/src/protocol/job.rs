//! A job: what a stream carries. Must not talk to Redis.

use crate::protocol::ids::JobId;
use crate::protocol::instant::Instant;
use crate::protocol::kinds::JobRequest;

/// One unit of work: an id, what it asks for, and when it may begin.
///
/// An operation is not a job: the right to add to a stream is not the right to make money. So this does not compile:
///
/// ```compile_fail,E0277
/// # use tollgate::{amount::{Amount, Currency}, ids::JobId, job::Job, kinds::Deposit};
/// # let account = "a1".parse().unwrap();
/// let deposit = Deposit { account, amount: Amount::from_minor(5).unwrap(), currency: Currency::default() };
/// let job = Job { id: JobId::fresh(), at: None, request: deposit.into() };
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The same id has one effect, however often it arrives.
    pub id: JobId,
    /// Not before this instant, by the server's clock.
    pub at: Option<Instant>,
    /// What is asked for.
    pub request: JobRequest,
}
