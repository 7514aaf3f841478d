//! The kinds of incidents: a closed list, for it is the label of a metric. docs/operating.md explains each.

use std::fmt;

use tollgate::failure::{Failure, Refusal};
use tollgate::scripts::ScriptError;

/// Whether the process still does its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Impact {
    /// It does, but someone should look.
    Degraded,
    /// Some of it is not done: `/readyz` answers 503.
    NotReady,
}

macro_rules! kinds {
    ($($kind:ident $name:literal $hint:expr;)*) => {
        /// One of the things that can be wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub(crate) enum Kind {
            $($kind,)*
        }

        impl Kind {
            /// All of them.
            pub(crate) const ALL: &[Self] = &[$(Self::$kind,)*];

            /// The stable snake_case name, for logs, metrics and `/readyz`.
            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }

            /// What to do about it, where that is the same for every case.
            pub(crate) fn hint(self) -> Option<&'static str> {
                match self { $(Self::$kind => $hint,)* }
            }
        }
    };
}

kinds! {
    // Redis as a whole.
    RedisUnavailable "redis_unavailable" None;
    Credentials "credentials" None;
    NoPermission "no_permission" None;
    CommandMissing "command_missing" None;
    OutOfMemory "out_of_memory" None;
    ReadOnly "read_only" None;
    PersistenceFailing "persistence_failing" None;
    TooFewReplicas "too_few_replicas" None;
    UnsafeRedis "unsafe_redis" None;
    DurabilityTooWeak "durability_too_weak" None;
    // One partition, or one command.
    ErrorReply "error_reply" Some("`tollgate-producer audit` names what is damaged");
    Uninitialised "uninitialised" None;
    PartitionFrozen "partition_frozen" None;
    CorruptPartition "corrupt_partition" Some("`tollgate-producer audit` names what is damaged");
    StaleKeys "stale_keys" None;
    QueueLost "queue_lost" None;
    KeyMissing "key_missing" Some("`tollgate-producer audit` names what is missing");
    JobsMissing "jobs_missing" Some("`tollgate-producer audit` names what is missing");
    StreamIds "stream_ids" None;
    // Payouts and locks.
    GatewayRefuses "gateway_refuses" Some("check --payout-url and the token");
    GatewayUnavailable "gateway_unavailable" None;
    PayoutDamaged "payout_damaged" Some("`tollgate-producer payout ls` lists it, `audit` says what the journal has of it");
    LocksUnavailable "locks_unavailable" None;
    AccountLocked "account_locked" None;
    // The process itself.
    Bug "bug" Some("this is a defect of the program: please report it with the log");
    TaskRestarted "task_restarted" Some("this is a defect of the program: please report it with the log");
    LogNotWritten "log_not_written" Some("whoever reads stderr is gone, or its disk is full");
    SecretUnreadable "secret_unreadable" None;
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Kind {
    /// The kind of a failed call.
    pub(crate) fn of(error: &ScriptError) -> Self {
        match error {
            ScriptError::Failure(failure) => Self::of_failure(failure),
            ScriptError::Uninitialised => Self::Uninitialised,
            ScriptError::Frozen(_) => Self::PartitionFrozen,
            ScriptError::CorruptPartition(_) => Self::CorruptPartition,
            ScriptError::StaleKeys => Self::StaleKeys,
            ScriptError::QueueLost { .. } => Self::QueueLost,
        }
    }

    /// One outage shows as a reset, a refusal and LOADING in turn, in every loop: it is one kind.
    fn of_failure(failure: &Failure) -> Self {
        let reason = match failure {
            Failure::NotApplied { reason, .. } => *reason,
            Failure::Unknown { .. } => return Self::RedisUnavailable,
            Failure::Server { .. } => return Self::ErrorReply,
        };
        match reason {
            Refusal::Unreachable
            | Refusal::NoLink
            | Refusal::TooManyFiles
            | Refusal::Tls
            | Refusal::ProtectedMode
            | Refusal::Loading
            | Refusal::Busy
            | Refusal::MasterDown
            | Refusal::Moved
            | Refusal::Ask
            | Refusal::TryAgain
            | Refusal::ClusterDown => Self::RedisUnavailable,
            Refusal::Credentials => Self::Credentials,
            Refusal::NoPermission => Self::NoPermission,
            Refusal::CommandMissing => Self::CommandMissing,
            Refusal::OutOfMemory => Self::OutOfMemory,
            Refusal::ReadOnly => Self::ReadOnly,
            Refusal::PersistenceFailing => Self::PersistenceFailing,
            Refusal::TooFewReplicas => Self::TooFewReplicas,
            Refusal::UnsafeRedis => Self::UnsafeRedis,
            // NoScript and Client: nothing that whoever runs it can mend.
            _ => Self::Bug,
        }
    }

    /// Is this about Redis as a whole, whichever partition met it?
    pub(crate) fn is_of_server(self) -> bool {
        matches!(
            self,
            Self::RedisUnavailable
                | Self::Credentials
                | Self::OutOfMemory
                | Self::ReadOnly
                | Self::PersistenceFailing
                | Self::TooFewReplicas
                | Self::UnsafeRedis
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_kinds_are_all_there_are() {
        let doc = include_str!("../../../docs/operating.md");
        let table = doc.split("<!-- incidents: begin -->").nth(1);
        let table = table.and_then(|rest| rest.split("<!-- incidents: end -->").next()).unwrap();
        let documented: Vec<&str> = table
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
            .map(|(name, _)| name)
            .collect();
        let names: Vec<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(documented, names);
    }

    #[test]
    fn only_what_the_program_does_wrong_is_a_bug() {
        for reason in Refusal::ALL {
            let is_bug = Kind::of(&Failure::not_applied(reason, "x").into()) == Kind::Bug;
            assert_eq!(is_bug, matches!(reason, Refusal::NoScript | Refusal::Client), "{reason:?}");
        }
    }
}
