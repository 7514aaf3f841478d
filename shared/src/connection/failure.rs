//! What a failed call to Redis means: did it happen, and can trying again help.

use std::sync::Arc;

use thiserror::Error;

pub use super::refusal::Refusal;

fn at(node: Option<&str>) -> String {
    node.filter(|node| !node.is_empty()).map(|node| format!(" (node {node})")).unwrap_or_default()
}

/// The detail of a call whose time is up.
pub(super) const NO_ANSWER: &str = "no answer within the response timeout";

/// A failed call to Redis, typed by what is known about its effect.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Failure {
    /// Definite: nothing was executed. The same call may be made again later.
    #[error("not applied: {}: {detail}{}", reason.code(), at(node.as_deref()))]
    NotApplied {
        /// Why it was refused.
        reason: Refusal,
        /// The words of the server or of the operating system.
        detail: String,
        /// The node of a cluster that it is about: whoever asks another one is no worse for it.
        node: Option<Arc<str>>,
    },
    /// It may have happened: the answer did not arrive or could not be trusted.
    /// The same id may be sent again, or looked up.
    #[error("unknown whether it was applied: {detail}{}", at(node.as_deref()))]
    Unknown {
        /// What went wrong on the way.
        detail: String,
        /// As of [`Failure::NotApplied`].
        node: Option<Arc<str>>,
    },
    /// Another error reply of the server (WRONGTYPE, NOGROUP, ERR). Trying the same again does not help.
    #[error("redis answered {code}: {detail}")]
    Server {
        /// The code, as the server sent it.
        code: String,
        /// The words after the code.
        detail: String,
    },
}

impl Failure {
    /// What an error reply to EXEC means: a transaction that was discarded has done nothing, for the reason it names.
    pub(crate) fn of_exec(self) -> Self {
        const DISCARDED: &str = "Transaction discarded because of: ";
        match &self {
            Self::Server { code, detail } if code == "EXECABORT" => {
                let reason = detail.strip_prefix(DISCARDED).unwrap_or_default();
                match Refusal::of_server_code(reason.split_whitespace().next().unwrap_or_default()) {
                    Some(refusal) => Self::not_applied(refusal, reason),
                    None => self,
                }
            }
            _ => self,
        }
    }

    /// The same in other words.
    pub(crate) fn in_words(mut self, of: impl FnOnce(&str) -> String) -> Self {
        let (Self::NotApplied { detail, .. } | Self::Unknown { detail, .. } | Self::Server { detail, .. }) =
            &mut self;
        *detail = of(detail);
        self
    }

    /// A definite refusal.
    pub fn not_applied(reason: Refusal, detail: impl Into<String>) -> Self {
        Self::NotApplied { reason, detail: detail.into(), node: None }
    }

    /// An answer that is missing or cannot be trusted.
    pub fn unknown(detail: impl Into<String>) -> Self {
        Self::Unknown { detail: detail.into(), node: None }
    }

    /// The same, of one node of a cluster.
    pub(crate) fn of_node(mut self, name: &Arc<str>) -> Self {
        if let Self::NotApplied { node, .. } | Self::Unknown { node, .. } = &mut self {
            *node = Some(name.clone());
        }
        self
    }

    /// The node of a cluster that it is about, `host:port`, empty where nobody has the slot; `None` if it is about Redis as a whole.
    pub fn node(&self) -> Option<&str> {
        match self {
            Self::NotApplied { node, .. } | Self::Unknown { node, .. } => node.as_deref(),
            Self::Server { .. } => None,
        }
    }

    /// The reason of a definite refusal.
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::NotApplied { reason, .. } => Some(*reason),
            Self::Unknown { .. } | Self::Server { .. } => None,
        }
    }

    /// May the call have changed something? An error reply of a plain command means that it did not;
    /// one raised inside a running script leaves the writes before it in place.
    pub fn may_have_happened(&self) -> bool {
        match self {
            Self::NotApplied { .. } => false,
            Self::Unknown { .. } => true,
            Self::Server { detail, .. } => raised_in_script(detail),
        }
    }

    /// Can the same call succeed later without anybody changing a setting or a key by hand?
    pub fn is_transient(&self) -> bool {
        match self {
            Self::NotApplied { reason, .. } => !matches!(
                reason,
                Refusal::Credentials
                    | Refusal::NoPermission
                    | Refusal::CommandMissing
                    | Refusal::UnsafeRedis
                    | Refusal::Client
            ),
            Self::Unknown { .. } => true,
            Self::Server { .. } => false,
        }
    }

    /// May this user not ask for that, or does the server not have it? A courtesy is left out then.
    pub fn is_denied(&self) -> bool {
        matches!(self.refusal(), Some(Refusal::NoPermission | Refusal::CommandMissing))
    }

    /// Is there no Redis to speak to? A lost reply is not that: it is unknown.
    pub fn is_unreachable(&self) -> bool {
        matches!(
            self.refusal(),
            Some(
                Refusal::Unreachable
                    | Refusal::NoLink
                    | Refusal::ProtectedMode
                    | Refusal::Tls
                    | Refusal::TooManyFiles
                    | Refusal::Credentials
                    | Refusal::CommandMissing
                    | Refusal::UnsafeRedis
                    | Refusal::Loading
                    | Refusal::MasterDown
                    | Refusal::Moved
                    | Refusal::Ask
                    | Refusal::TryAgain
                    | Refusal::ClusterDown
            )
        )
    }

    /// Did no answer come in time?
    pub fn is_time_out(&self) -> bool {
        matches!(self, Self::Unknown { detail, .. } if detail == NO_ANSWER)
    }

    /// Whether a key held another type than the command is for.
    pub fn is_wrong_type(&self) -> bool {
        matches!(self, Self::Server { code, .. } if code == "WRONGTYPE")
    }

    /// Was the connection lost, other than by waiting in vain for an answer? Often it broke long before the call.
    pub fn is_broken_connection(&self) -> bool {
        matches!(self, Self::Unknown { detail, .. } if detail != NO_ANSWER)
    }

    /// Did the server refuse because `maxmemory` is reached?
    pub fn is_oom(&self) -> bool {
        self.refusal() == Some(Refusal::OutOfMemory)
    }

    /// Is the script missing from the server's cache?
    pub fn is_no_script(&self) -> bool {
        self.refusal() == Some(Refusal::NoScript)
    }

    /// Must the connection be replaced before the next call? After an answer that did not arrive,
    /// always; after a failover's refusals, because another address may be the master by now.
    pub(crate) fn spoils_connection(&self) -> bool {
        match self {
            Self::Unknown { .. } => true,
            Self::NotApplied { reason, .. } => matches!(
                reason,
                Refusal::ReadOnly
                    | Refusal::MasterDown
                    | Refusal::Credentials
                    | Refusal::ProtectedMode
                    | Refusal::Tls
                    | Refusal::Unreachable
            ),
            // The server closes the connection after a request that it could not read.
            Self::Server { detail, .. } => detail.starts_with("Protocol error"),
        }
    }

    /// What to do about it, where we know.
    pub fn hint(&self) -> Option<&'static str> {
        let reason = match self {
            Self::NotApplied { reason, .. } => reason,
            Self::Unknown { .. } => {
                return Some(
                    "send the same id again, or ask for its outcome with `lookup`; what only reads is run again",
                );
            }
            Self::Server { .. } => return None,
        };
        Some(match reason {
            Refusal::Unreachable => "is Redis running, and is REDIS_URL right? try `redis-cli -u URL ping`",
            Refusal::NoLink => "raise `maxclients` on the server, or run fewer processes",
            Refusal::ProtectedMode => {
                "give the server users and passwords (docs/operating.md), or connect from its own machine; do not just turn protected mode off"
            }
            Refusal::Tls => {
                "rediss:// speaks TLS, redis:// does not; REDIS_CA_FILE names the authority, REDIS_CERT_FILE and REDIS_KEY_FILE are ours"
            }
            Refusal::TooManyFiles => "raise the limit of open files (`ulimit -n`, LimitNOFILE=)",
            Refusal::Credentials => {
                "set REDIS_USERNAME and REDIS_PASSWORD (or REDIS_PASSWORD_FILE) as the server's ACL wants them"
            }
            Refusal::NoPermission => "grant the ACL lines of docs/operating.md to this user",
            Refusal::CommandMissing => {
                "use a Redis that has this command, without a proxy in front: docs/cluster.md lists what is needed"
            }
            Refusal::OutOfMemory => {
                "raise `maxmemory`, or shorten the retention so that old receipts go; more workers free none, since settling adds some"
            }
            Refusal::ReadOnly => "this server is a replica: connect to its master, or by redis+sentinel://",
            Refusal::PersistenceFailing => "the server cannot save: look at its disk and its log",
            Refusal::TooFewReplicas => {
                "replicas are missing: bring them back, or lower `min-replicas-to-write`"
            }
            Refusal::Loading => "the server reads its data: wait",
            Refusal::Busy => "a script runs too long: wait, or `SCRIPT KILL` one that is not ours",
            Refusal::MasterDown => "wait for the failover to end",
            Refusal::Moved => "connect by redis+cluster://, which follows slots to their nodes",
            Refusal::Ask | Refusal::TryAgain => {
                "a slot is being moved to another node: wait, or see whether its move was left half done (docs/cluster.md)"
            }
            Refusal::ClusterDown => {
                "no node serves the slot: wait for the failover, or see which node is missing (docs/cluster.md)"
            }
            Refusal::NoScript => "call again: the script is loaded anew",
            Refusal::UnsafeRedis => {
                "mend the setting that is named (docs/operating.md#redisconf); a worker looks again every second"
            }
            Refusal::Client => return None,
        })
    }
}

/// Redis ends the message of an error inside a script with `script: <sha>, on @user_script:<line>.`
pub(super) fn raised_in_script(detail: &str) -> bool {
    detail.contains("script: ") && detail.contains(", on @")
}
