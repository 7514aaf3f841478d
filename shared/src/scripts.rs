//! The typed wrappers of the Lua scripts, one module each, named as its file in `lua/`.
//!
//! A test parses each script's header and compares it with its wrapper. Only this crate calls Redis.

pub mod beat;
pub mod dead;
pub(crate) mod fence;
pub mod hand_back;
pub mod init;
pub mod integrity;
pub(crate) mod lock;
pub mod lookup;
pub mod park;
pub mod payout;
pub mod promote;
pub mod queue;
pub mod ready;
pub mod reap;
pub mod receipts_drop;
pub mod receipts_lower;
pub mod recover;
pub mod repair;
pub(crate) mod script;
pub mod settle;
pub mod stats;
pub mod survey;
pub(crate) mod take;
pub mod trim;

use crate::connection::failure::Failure;
use crate::protocol::ids::QueueName;
use crate::protocol::keys::Keys;
use crate::scripts::script::{Call, Keyword, Reply, Script, keywords};

/// Every script.
static ALL: [&Script; 31] = [
    &beat::BEAT,
    &dead::DEAD_RETRY,
    &dead::DEAD_DISCARD,
    &fence::FENCE_MINT,
    &fence::FENCE_WRITE,
    &hand_back::HAND_BACK,
    &init::INIT_META,
    &integrity::INTEGRITY,
    &init::INIT_HEAD,
    &lock::LOCK_EXTEND,
    &lock::LOCK_LINE,
    &lock::LOCK_LOOK,
    &lock::LOCK_RELEASE,
    &lookup::LOOKUP,
    &park::PARK,
    &payout::open::PAYOUTS_DUE,
    &promote::PROMOTE,
    &queue::QUEUE,
    &queue::QUEUE_REPAIR,
    &ready::READY,
    &reap::REAP,
    &receipts_drop::RECEIPTS_DROP,
    &receipts_lower::RECEIPTS_LOWER,
    &recover::RECOVER,
    &repair::REPAIR,
    &repair::REPAIR_PARKED,
    &settle::SETTLE,
    &stats::STATS,
    &survey::SURVEY,
    &take::TAKE,
    &trim::TRIM,
];

/// The text of a script as Redis runs it, the begin of each of its files marked; `None` if there is none of this name.
pub fn text(name: &str) -> Option<&'static str> {
    ALL.iter().find(|script| script.name == name).map(|script| script.text())
}

/// Why a script did nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    /// Redis refused the call, or its answer did not come.
    #[error(transparent)]
    Failure(#[from] Failure),
    /// The partition has no head: `init`, or what was lost has to be restored.
    #[error("the partition is not initialised; run `tollgate-producer init`")]
    Uninitialised,
    /// An operator has to look first.
    #[error("the partition is frozen: {0}")]
    Frozen(String),
    /// A key of the partition holds what it cannot hold.
    #[error("the partition is damaged: {0}; `tollgate-producer audit` names the damage")]
    CorruptPartition(String),
    /// Something of a queue that had been there is gone.
    #[error(
        "queue {queue} was lost: {problem}; `tollgate-producer repair queue {queue}` says what is left of it"
    )]
    QueueLost {
        /// Which.
        queue: QueueName,
        /// What is wrong with it.
        problem: stats::QueueProblem,
    },
    /// A queue was added meanwhile: read the list of queues and call again.
    #[error("the list of queues has changed")]
    StaleKeys,
}

impl ScriptError {
    /// The code under which this is told to a user; `None` if nobody knows whether it happened.
    pub fn code(&self) -> Option<crate::protocol::code::Code> {
        use crate::protocol::code::Code;
        match self {
            Self::Failure(failure) if failure.may_have_happened() => None,
            Self::Failure(failure) if failure.is_oom() => Some(Code::Overloaded),
            Self::Failure(_) | Self::StaleKeys => Some(Code::RedisRefused),
            Self::Uninitialised => Some(Code::Uninitialised),
            Self::Frozen(_) => Some(Code::PartitionFrozen),
            Self::CorruptPartition(_) | Self::QueueLost { .. } => Some(Code::CorruptPartition),
        }
    }
}

keywords! {
    /// The statuses that any script may give instead of doing its work.
    enum Refused {
        Uninitialised = "uninitialised",
        Frozen = "partition_frozen",
        Corrupt = "corrupt_partition",
        StaleKeys = "stale_keys",
    }
}

/// The status of a reply: one of the script's own, or why it did nothing.
fn status<T: Keyword>(reply: &mut Reply) -> Result<T, ScriptError> {
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
fn queue_lost(queue: &QueueName, reply: &mut Reply) -> ScriptError {
    let read = |reply: &mut Reply| {
        let problem = reply.text("problem")?;
        stats::QueueProblem::from_name(&problem)
            .ok_or_else(|| Failure::unknown(format!("a problem that this release does not know: {problem}")))
    };
    match read(reply) {
        Ok(problem) => ScriptError::QueueLost { queue: queue.clone(), problem },
        Err(failure) => failure.into(),
    }
}

/// Adds streams and rows in flight of `queues` to KEYS and their names to ARGV, as scripts over all queues want them.
fn with_queues(mut call: Call, keys: &Keys, queues: &[QueueName]) -> Call {
    for queue in queues {
        call.push_key(keys.queue(queue));
        call.push_key(keys.in_flight(queue));
        call.push_arg(queue.as_str());
    }
    call
}

#[cfg(test)]
mod tests;
