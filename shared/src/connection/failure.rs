//! What a failed call to Redis means: did it happen, and can trying again help.
//!
//! Relies on the error codes of Redis 7.0 and later, and on redis-rs keeping them. Pure: no call is made here.
//! Must not guess: whatever is not known to be a refusal before execution is [`Failure::Unknown`]
//! or a [`Failure::Server`] error, so that a caller never reports "not applied" of something that was.

use std::sync::Arc;

use redis::{ErrorKind, RedisError, ServerError};
use thiserror::Error;

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
    fn of_server_code(code: &str) -> Option<Self> {
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

fn at(node: Option<&str>) -> String {
    node.filter(|node| !node.is_empty()).map(|node| format!(" (node {node})")).unwrap_or_default()
}

/// The detail of a call whose time is up.
const NO_ANSWER: &str = "no answer within the response timeout";

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
                return Some("send the same id again, or ask for its outcome with `lookup`");
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

/// What an error of a call that may have been *sent* means.
pub fn classify(error: &RedisError) -> Failure {
    if let Ok(server) = ServerError::try_from(error.clone()) {
        return classify_reply(&server);
    }
    let detail = error.to_string();
    match error.kind() {
        _ if is_out_of_files(&detail) => Failure::not_applied(Refusal::TooManyFiles, detail),
        _ if tls_cause(&detail).is_some() => {
            Failure::not_applied(Refusal::Tls, tls_cause(&detail).unwrap_or_default())
        }
        _ if error.is_connection_refusal() => Failure::not_applied(Refusal::Unreachable, detail),
        ErrorKind::AuthenticationFailed => Failure::not_applied(Refusal::Credentials, detail),
        ErrorKind::Client | ErrorKind::InvalidClientConfig => Failure::not_applied(Refusal::Client, detail),
        ErrorKind::ClusterConnectionNotFound => Failure::not_applied(Refusal::ClusterDown, detail),
        // Pipelines and transactions whose parts failed: the parts that did not have happened.
        _ if error.code().is_some() => Failure::unknown(detail),
        _ if error.is_timeout() => Failure::unknown(NO_ANSWER),
        _ => Failure::unknown(detail),
    }
}

fn is_out_of_files(detail: &str) -> bool {
    // EMFILE and ENFILE, as the operating system words them.
    detail.contains("(os error 24)") || detail.contains("(os error 23)")
}

/// What rustls says of a session that does not come about, in words that say what to look at.
fn tls_cause(detail: &str) -> Option<&'static str> {
    [
        ("CaUsedAsEndEntity", "the server's certificate is its own authority (self-signed): sign a certificate for the server by an authority"),
        ("UnknownIssuer", "the server's certificate is signed by an authority that is not trusted here"),
        ("NotValidForName", "the server's certificate is for another host name"),
        ("Expired", "the server's certificate has expired, or the clock of this machine is wrong"),
        ("NotValidYet", "the server's certificate is not valid yet, or the clock of this machine is wrong"),
        ("InvalidContentType", "the server does not speak TLS at this port"),
        ("CertificateRequired", "the server asks for a certificate of ours"),
        ("HandshakeFailure", "the server refused the TLS session; it may ask for a certificate of ours"),
        ("invalid peer certificate", "the server's certificate is not accepted"),
        ("received fatal alert", "the server refused our certificate, or TLS as we speak it"),
    ]
    .into_iter()
    .find_map(|(name, cause)| detail.contains(name).then_some(cause))
}

/// What an error *while connecting* means: always definite, since no call of ours had been sent.
pub fn classify_connect(error: &RedisError) -> Failure {
    match classify(error) {
        refused @ Failure::NotApplied { .. } => refused,
        Failure::Server { detail, .. } if detail.starts_with("max number of clients") => {
            Failure::not_applied(Refusal::NoLink, detail)
        }
        Failure::Server { code, detail } => {
            Failure::not_applied(Refusal::Unreachable, format!("{code} {detail}"))
        }
        Failure::Unknown { .. } if error.is_timeout() => {
            Failure::not_applied(Refusal::Unreachable, "no answer while connecting")
        }
        Failure::Unknown { detail, .. } => Failure::not_applied(Refusal::Unreachable, detail),
    }
}

/// What an error reply of the server means.
pub fn classify_reply(error: &ServerError) -> Failure {
    let code = error.code();
    let detail = error.details().unwrap_or_default().to_string();
    // The one refusal that has no code of its own.
    let is_missing = code == "ERR"
        && ["unknown command", "unknown subcommand"].iter().any(|words| detail.starts_with(words));
    let refusal = if is_missing { Some(Refusal::CommandMissing) } else { Refusal::of_server_code(code) };
    match refusal {
        // The same code out of a running script is no refusal: writes before it stay.
        Some(reason) if !raised_in_script(&detail) => Failure::not_applied(reason, detail),
        _ => Failure::Server { code: code.to_string(), detail },
    }
}

/// Redis ends the message of an error inside a script with `script: <sha>, on @user_script:<line>.`
fn raised_in_script(detail: &str) -> bool {
    detail.contains("script: ") && detail.contains(", on @")
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn reply(line: &str) -> Failure {
        let value = redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap();
        classify(&value.extract_error().unwrap_err())
    }

    fn io(kind: io::ErrorKind) -> RedisError {
        RedisError::from(io::Error::from(kind))
    }

    #[test]
    fn refusals_of_the_server_are_definite() {
        for (line, reason) in [
            ("OOM command not allowed when used memory > 'maxmemory'.", Refusal::OutOfMemory),
            ("READONLY You can't write against a read only replica.", Refusal::ReadOnly),
            ("MISCONF Errors writing to the AOF file: No space left", Refusal::PersistenceFailing),
            ("NOREPLICAS Not enough good replicas to write.", Refusal::TooFewReplicas),
            ("LOADING Redis is loading the dataset in memory", Refusal::Loading),
            ("BUSY Redis is busy running a script.", Refusal::Busy),
            ("NOPERM this user has no permissions to run the 'set' command", Refusal::NoPermission),
            ("ERR unknown command 'MULTI', with args beginning with: ", Refusal::CommandMissing),
            ("ERR unknown subcommand 'WHOAMI'. Try ACL HELP.", Refusal::CommandMissing),
            ("NOAUTH Authentication required.", Refusal::Credentials),
            ("WRONGPASS invalid username-password pair", Refusal::Credentials),
            ("MASTERDOWN Link with MASTER is down", Refusal::MasterDown),
            ("CLUSTERDOWN The cluster is down", Refusal::ClusterDown),
            ("TRYAGAIN Multiple keys request during rehashing of slot", Refusal::TryAgain),
            ("ASK 3999 127.0.0.1:6381", Refusal::Ask),
            ("MOVED 3999 127.0.0.1:6381", Refusal::Moved),
            ("NOSCRIPT No matching script. Please use EVAL.", Refusal::NoScript),
        ] {
            let failure = reply(line);
            assert_eq!(failure.refusal(), Some(reason), "{line}");
            assert!(!failure.may_have_happened(), "{line}");
        }
    }

    #[test]
    fn other_errors_of_the_server_are_named() {
        for (line, code) in [
            ("WRONGTYPE Operation against a key holding the wrong kind of value", "WRONGTYPE"),
            ("NOGROUP No such key 'q' or consumer group", "NOGROUP"),
            ("ERR syntax error", "ERR"),
            ("BUSYGROUP Consumer Group name already exists", "BUSYGROUP"),
        ] {
            let failure = reply(line);
            assert!(matches!(&failure, Failure::Server { code: c, .. } if c == code), "{failure:?}");
            assert!(!failure.is_transient() && !failure.may_have_happened(), "{line}");
        }
    }

    #[test]
    fn an_error_inside_a_script_may_have_left_writes() {
        for line in [
            "WRONGTYPE Operation against a key script: 1d8f, on @user_script:3.",
            "OOM command not allowed when used memory > 'maxmemory'. script: 1d8f, on @user_script:3.",
        ] {
            let failure = reply(line);
            assert!(matches!(failure, Failure::Server { .. }), "{failure:?}");
            assert!(failure.may_have_happened(), "{line}");
        }
    }

    #[test]
    fn a_lost_answer_is_unknown() {
        for kind in [
            io::ErrorKind::TimedOut,
            io::ErrorKind::UnexpectedEof,
            io::ErrorKind::ConnectionReset,
            io::ErrorKind::ConnectionAborted,
            io::ErrorKind::BrokenPipe,
        ] {
            let failure = classify(&io(kind));
            assert!(matches!(failure, Failure::Unknown { .. }), "{kind:?}");
            assert!(failure.may_have_happened() && failure.is_transient() && failure.spoils_connection());
            assert!(!failure.is_unreachable(), "{kind:?} may have happened");
            let connecting = classify_connect(&io(kind));
            assert!(connecting.is_unreachable() && !connecting.may_have_happened(), "{kind:?}");
        }
        let parse = RedisError::from((ErrorKind::Parse, "nonsense"));
        assert!(matches!(classify(&parse), Failure::Unknown { .. }));
        let shape = RedisError::from((ErrorKind::UnexpectedReturnType, "not an array"));
        assert!(matches!(classify(&shape), Failure::Unknown { .. }));
    }

    #[test]
    fn no_server_is_unreachable() {
        for kind in [io::ErrorKind::ConnectionRefused, io::ErrorKind::NotFound] {
            let failure = classify(&io(kind));
            assert!(failure.is_unreachable() && failure.is_transient(), "{kind:?}");
        }
        let dns = RedisError::from(io::Error::other("failed to lookup address information"));
        assert!(classify_connect(&dns).is_unreachable());
    }

    #[test]
    fn wrong_credentials_do_not_heal_by_waiting() {
        let failure = classify(&RedisError::from((ErrorKind::AuthenticationFailed, "no")));
        assert_eq!(failure.refusal(), Some(Refusal::Credentials));
        assert!(!failure.is_transient() && failure.hint().is_some());
    }

    #[test]
    fn too_many_clients_is_no_link() {
        let value = redis::parse_redis_value(b"-ERR max number of clients reached\r\n").unwrap();
        let failure = classify_connect(&value.extract_error().unwrap_err());
        assert_eq!(failure.refusal(), Some(Refusal::NoLink));
    }
}
