//! Why Redis, or the way to it, refuses a call before anything is executed.

/// Why a call was refused before anything was executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// No connection: refused, no such host or socket, no answer while connecting, a failed TLS handshake.
    Unreachable,
    /// No connection to be had: the pool is exhausted, or the server's `maxclients`.
    NoLink,
    /// The server takes connections of its own machine only (protected mode).
    ProtectedMode,
    /// No TLS session: the other side speaks none or wants it, or a certificate is not accepted.
    Tls,
    /// This process may open no more files.
    TooManyFiles,
    /// The server wants other credentials (NOAUTH, WRONGPASS).
    Credentials,
    /// The ACL user lacks the right (NOPERM).
    NoPermission,
    /// The server has no such command: it is too old, or a managed service or a proxy does not let it through.
    CommandMissing,
    /// `maxmemory` is reached (OOM).
    OutOfMemory,
    /// The server is a replica (READONLY).
    ReadOnly,
    /// The last save failed and writes are stopped (MISCONF).
    PersistenceFailing,
    /// Fewer replicas than `min-replicas-to-write` (NOREPLICAS).
    TooFewReplicas,
    /// The server is reading its data at start (LOADING).
    Loading,
    /// Another script runs for too long (BUSY).
    Busy,
    /// A replica without its master (MASTERDOWN).
    MasterDown,
    /// Another node of the cluster has the slot (MOVED).
    Moved,
    /// The slot is moving, and the key has moved already (ASK).
    Ask,
    /// The slot is moving, and only some of the keys have moved (TRYAGAIN).
    TryAgain,
    /// No node has the slot, or the node has lost sight of most others (CLUSTERDOWN).
    ClusterDown,
    /// The script is not in the server's cache (NOSCRIPT): load it and call again.
    NoScript,
    /// The server may lose or evict what it holds (see [`preflight`](crate::connection::preflight)): no call was made.
    UnsafeRedis,
    /// The client library refused the call before sending it.
    Client,
}

const _: () = assert!(Refusal::ALL.len() == Refusal::Client as usize + 1, "every one, once");

impl Refusal {
    /// Every one.
    pub const ALL: [Self; 22] = [
        Self::Unreachable,
        Self::NoLink,
        Self::ProtectedMode,
        Self::Tls,
        Self::TooManyFiles,
        Self::Credentials,
        Self::NoPermission,
        Self::CommandMissing,
        Self::OutOfMemory,
        Self::ReadOnly,
        Self::PersistenceFailing,
        Self::TooFewReplicas,
        Self::Loading,
        Self::Busy,
        Self::MasterDown,
        Self::Moved,
        Self::Ask,
        Self::TryAgain,
        Self::ClusterDown,
        Self::NoScript,
        Self::UnsafeRedis,
        Self::Client,
    ];

    /// The stable snake_case name, for logs, metrics and `--json`.
    pub fn code(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::NoLink => "no_link",
            Self::ProtectedMode => "protected_mode",
            Self::Tls => "tls",
            Self::TooManyFiles => "too_many_files",
            Self::Credentials => "credentials",
            Self::NoPermission => "no_permission",
            Self::CommandMissing => "command_missing",
            Self::OutOfMemory => "out_of_memory",
            Self::ReadOnly => "read_only",
            Self::PersistenceFailing => "persistence_failing",
            Self::TooFewReplicas => "too_few_replicas",
            Self::Loading => "loading",
            Self::Busy => "busy",
            Self::MasterDown => "master_down",
            Self::Moved => "moved",
            Self::Ask => "ask",
            Self::TryAgain => "try_again",
            Self::ClusterDown => "cluster_down",
            Self::NoScript => "no_script",
            Self::UnsafeRedis => "unsafe_redis",
            Self::Client => "client",
        }
    }

    /// The refusal behind an error code of the server, if that code is a refusal before execution.
    pub(super) fn of_server_code(code: &str) -> Option<Self> {
        Some(match code {
            "OOM" => Self::OutOfMemory,
            "READONLY" => Self::ReadOnly,
            "MISCONF" => Self::PersistenceFailing,
            "NOREPLICAS" => Self::TooFewReplicas,
            "LOADING" => Self::Loading,
            "BUSY" => Self::Busy,
            "NOPERM" => Self::NoPermission,
            "NOAUTH" | "WRONGPASS" => Self::Credentials,
            "MASTERDOWN" => Self::MasterDown,
            "MOVED" => Self::Moved,
            "ASK" => Self::Ask,
            "TRYAGAIN" => Self::TryAgain,
            "CLUSTERDOWN" => Self::ClusterDown,
            "NOSCRIPT" => Self::NoScript,
            _ => return None,
        })
    }
}
