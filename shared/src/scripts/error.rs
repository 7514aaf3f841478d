//! Why a script did nothing, and how each wrapper finds out.

use crate::connection::failure::Failure;
use crate::protocol::code::Code;
use crate::protocol::ids::QueueName;

use super::queue_problem::QueueProblem;
use super::script::{Keyword, Reply, keywords};

/// Why a script did nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    /// Redis refused the call, or its answer did not come.
    #[error(transparent)]
    Failure(#[from] Failure),
    /// The partition has no head: it is to be initialised, or what was lost has to be restored.
    #[error("the partition is not initialised")]
    Uninitialised,
    /// An operator has to look first.
    #[error("the partition is frozen: {0}")]
    Frozen(String),
    /// A key of the partition holds what it cannot hold.
    #[error("the partition is damaged: {0}")]
    CorruptPartition(String),
    /// Something of a queue that had been there is gone.
    #[error("queue {queue} was lost: {problem}")]
    QueueLost {
        /// Which.
        queue: QueueName,
        /// What is wrong with it.
        problem: QueueProblem,
    },
    /// A queue was added meanwhile: read the list of queues and call again.
    #[error("the list of queues has changed")]
    StaleKeys,
}

impl ScriptError {
    /// The code under which this is told to a user; `None` if nobody knows whether it happened.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Failure(failure) if failure.may_have_happened() => None,
            Self::Failure(failure) if failure.is_oom() => Some(Code::Overloaded),
            Self::Failure(_) | Self::StaleKeys => Some(Code::RedisRefused),
            Self::Uninitialised => Some(Code::Uninitialised),
            Self::Frozen(_) => Some(Code::PartitionFrozen),
            Self::CorruptPartition(_) | Self::QueueLost { .. } => Some(Code::CorruptPartition),
        }
    }

    /// Is this about what one partition holds, or about the node of a cluster that has it? Then the others are no worse
    /// for it, as far as they are elsewhere.
    pub fn is_of_partition(&self) -> bool {
        match self {
            Self::Failure(failure) => matches!(failure, Failure::Server { .. }) || failure.node().is_some(),
            Self::Uninitialised | Self::Frozen(_) | Self::CorruptPartition(_) | Self::StaleKeys => true,
            Self::QueueLost { .. } => false,
        }
    }
}

keywords! {
    /// The statuses that any script may give instead of doing its work.
    pub(super) enum Refused {
        Uninitialised = "uninitialised",
        Frozen = "partition_frozen",
        Corrupt = "corrupt_partition",
        StaleKeys = "stale_keys",
    }
}

/// The status of a reply: one of the script's own, or why it did nothing.
pub(super) fn status<T: Keyword>(reply: &mut Reply) -> Result<T, ScriptError> {
    let text = reply.text("status")?;
    if let Some(status) = T::of(&text) {
        return Ok(status);
    }
    let mut detail = || reply.text("detail").unwrap_or_default();
    Err(match Refused::of(&text) {
        Some(Refused::Uninitialised) => ScriptError::Uninitialised,
        Some(Refused::Frozen) => ScriptError::Frozen(detail()),
        Some(Refused::Corrupt) => ScriptError::CorruptPartition(detail()),
        Some(Refused::StaleKeys) => ScriptError::StaleKeys,
        None => Failure::unknown(format!("a status that this release does not know: {text}")).into(),
    })
}

/// What a `queue_lost` says.
pub(super) fn queue_lost(queue: &QueueName, reply: &mut Reply) -> ScriptError {
    let read = |reply: &mut Reply| {
        let problem = reply.text("problem")?;
        QueueProblem::from_name(&problem)
            .ok_or_else(|| Failure::unknown(format!("a problem that this release does not know: {problem}")))
    };
    match read(reply) {
        Ok(problem) => ScriptError::QueueLost { queue: queue.clone(), problem },
        Err(failure) => failure.into(),
    }
}
