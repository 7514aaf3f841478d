//! What can go wrong with a lock: taken, broken, too late, lost; each with the nodes that said so.

use std::convert::Infallible;
use std::fmt;
use std::time::Duration;

use thiserror::Error;

use super::look::owner_of;
use super::quorum::{Tally, Vote, quorum};
use crate::connection::failure::Failure;
use crate::protocol::ids::LockName;

/// A node on which another has the lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenNode {
    /// The node's address, without secrets.
    pub node: String,
    /// Who has it there, as that owner calls itself; empty if the key is not a lock's.
    pub owner: String,
}

/// A node that did not answer, or not what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenNode {
    /// The node's address, without secrets.
    pub node: String,
    /// What went wrong.
    pub failure: Failure,
}

/// The nodes that did not answer that the lock is ours, as far as they had answered when the result stood.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NotGranted {
    /// How many nodes there are.
    pub nodes: usize,
    /// Where another has it.
    pub taken: Vec<TakenNode>,
    /// Where nobody has it (only after it was ours).
    pub gone: Vec<String>,
    /// Where nobody knows.
    pub broken: Vec<BrokenNode>,
}

impl NotGranted {
    pub(super) fn of(tally: &Tally, names: impl Iterator<Item = String>) -> Self {
        let mut against = Self { nodes: tally.votes.len(), ..Self::default() };
        for (vote, node) in tally.votes.iter().zip(names) {
            match vote {
                Some(Vote::Taken { token }) => {
                    against.taken.push(TakenNode { node, owner: owner_of(token).to_owned() });
                }
                Some(Vote::Gone) => against.gone.push(node),
                Some(Vote::Broken(failure)) => {
                    against.broken.push(BrokenNode { node, failure: failure.clone() });
                }
                Some(Vote::Ours) | None => {}
            }
        }
        against
    }
}

/// `needs 2 of 3 nodes; redis://a: taken by web-1:17; redis://b: unreachable`
impl fmt::Display for NotGranted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "needs {} of {} nodes", quorum(self.nodes), self.nodes)?;
        for TakenNode { node, owner } in &self.taken {
            let owner = if owner.is_empty() { "another" } else { owner };
            write!(f, "; {node}: taken by {owner}")?;
        }
        for node in &self.gone {
            write!(f, "; {node}: no longer has it")?;
        }
        for BrokenNode { node, failure } in &self.broken {
            write!(f, "; {node}: {failure}")?;
        }
        Ok(())
    }
}

/// Why there is no lock, or no longer.
#[derive(Debug, Clone, Error)]
pub enum LockError {
    /// The options contradict themselves; nothing was asked.
    #[error("lock option {field} is {value:?}: must be {allowed}")]
    Options {
        /// The field of [`LockOptions`](super::LockOptions).
        field: &'static str,
        /// What it was.
        value: Duration,
        /// What is allowed.
        allowed: &'static str,
    },
    /// Another has it, on so many nodes that the ones that answer are no quorum without them. Try later.
    #[error("lock `{name}` is taken: {against}")]
    Taken {
        /// The lock.
        name: LockName,
        /// Which nodes, and who.
        against: NotGranted,
    },
    /// So many nodes are broken that the others are no quorum: nobody can take it now.
    #[error("lock `{name}` has no quorum, nodes are broken: {against}")]
    Broken {
        /// The lock.
        name: LockName,
        /// Which nodes, and why.
        against: NotGranted,
    },
    /// Links of this process to the nodes are all in use, by its calls about other locks: nothing was sent where one
    /// was missing, and no node is to blame. Take fewer locks at a time.
    #[error("lock `{name}` could not be asked for, links of this process are missing: {against}")]
    NoLink {
        /// The lock.
        name: LockName,
        /// Which nodes.
        against: NotGranted,
    },
    /// An extension had no quorum. The lock is still held, for as long as its lease says: try again.
    #[error("lock `{name}` is held, but was not extended: {against}")]
    NotExtended {
        /// The lock.
        name: LockName,
        /// Which nodes, and why.
        against: NotGranted,
    },
    /// A quorum granted it, but so late that nothing is left of the validity. It was given back.
    #[error("lock `{name}` was granted too late: after {took:?} of a ttl of {ttl:?}; choose a longer ttl")]
    TooLate {
        /// The lock.
        name: LockName,
        /// The TTL asked for.
        ttl: Duration,
        /// From before the first send until a quorum had answered.
        took: Duration,
    },
    /// The lease ended, and the guarded work was cancelled before its validity did.
    #[error(transparent)]
    Lost(#[from] Lost),
    /// The guarded work finished, but not before the lease had ended: another may have worked at the same time.
    /// Only a fence in the effect can have kept them apart.
    #[error("the work ended after its lock did: {0}")]
    Overran(Lost),
}

impl LockError {
    /// A stable snake_case name, for logs, metrics and `--json`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Options { .. } => "lock_options",
            Self::Taken { .. } => "lock_taken",
            Self::Broken { .. } => "lock_broken",
            Self::NoLink { .. } => "lock_no_link",
            Self::NotExtended { .. } => "lock_not_extended",
            Self::TooLate { .. } => "lock_too_late",
            Self::Lost(_) => "lock_lost",
            Self::Overran(_) => "lock_overran",
        }
    }
}

/// Why guarded work has no value to show: one error, so that neither of the two can be dropped for the other.
#[derive(Debug, Clone, Error)]
pub enum WorkError<E> {
    /// The lock was not had, or not for long enough.
    #[error(transparent)]
    Lock(LockError),
    /// The work itself failed, while the lock was held.
    #[error(transparent)]
    Work(E),
}

impl<E> WorkError<E> {
    /// The same in the work's own type of error, where that can carry a lock's.
    pub fn flat(self) -> E
    where
        E: From<LockError>,
    {
        match self {
            Self::Lock(error) => error.into(),
            Self::Work(error) => error,
        }
    }
}

impl<E> From<LockError> for WorkError<E> {
    fn from(error: LockError) -> Self {
        Self::Lock(error)
    }
}

/// Work that cannot fail leaves the lock's error alone.
impl From<WorkError<Infallible>> for LockError {
    fn from(error: WorkError<Infallible>) -> Self {
        match error {
            WorkError::Lock(error) => error,
            WorkError::Work(never) => match never {},
        }
    }
}

/// A lease that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("lock `{name}` is lost: {cause}")]
pub struct Lost {
    /// The lock.
    pub name: LockName,
    /// Why.
    pub cause: LostCause,
}

/// Why a lease ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LostCause {
    /// Its validity is over or about to be; with what the last extension failed on, if there was one.
    Ended(Option<NotGranted>),
    /// So many nodes no longer have it that it may be another's already: deleted, stolen, restarted empty, or
    /// expired because this process was paused.
    Gone(NotGranted),
    /// It has been held for [`LockOptions::max_hold`](super::LockOptions::max_hold).
    HeldTooLong(Duration),
    /// It was given back.
    Released,
}

impl fmt::Display for LostCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended(None) => f.write_str("its validity is over"),
            Self::Ended(Some(against)) => write!(f, "it could not be extended in time: {against}"),
            Self::Gone(against) => write!(f, "it is gone: {against}"),
            Self::HeldTooLong(max_hold) => write!(f, "it was held for max_hold, {max_hold:?}"),
            Self::Released => f.write_str("it was given back"),
        }
    }
}
