//! Every environment variable that the library and the binaries read, declared in one place.
//!
//! The documentation is checked against [`ALL`]. One rule holds for each: set but empty is as not set, which is what
//! `${NAME}` in a compose file or `export NAME=` leaves behind. So whoever needs one reads it here ([`text`],
//! [`path`]), or by a flag of the programs, which follow the same rule.

use std::path::PathBuf;

/// The value of a variable, unless it is empty or no text.
pub fn text(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The value of a variable as a path, unless it is empty.
pub fn path(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// One environment variable: its name and what it does.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    /// The name, as it is set.
    pub name: &'static str,
    /// One line of documentation.
    pub what: &'static str,
}

/// The Redis to use, as a URL; without it a private server is started.
pub const REDIS_URL: &str = "REDIS_URL";
/// The ACL user, where the URL names none.
pub const REDIS_USERNAME: &str = "REDIS_USERNAME";
/// The password, where the URL has none.
pub const REDIS_PASSWORD: &str = "REDIS_PASSWORD";
/// A file that holds the password; a line end at its end is ignored.
pub const REDIS_PASSWORD_FILE: &str = "REDIS_PASSWORD_FILE";
/// The ACL user at the Sentinels of `redis+sentinel://`.
pub const REDIS_SENTINEL_USERNAME: &str = "REDIS_SENTINEL_USERNAME";
/// The password there.
pub const REDIS_SENTINEL_PASSWORD: &str = "REDIS_SENTINEL_PASSWORD";
/// A file that holds it.
pub const REDIS_SENTINEL_PASSWORD_FILE: &str = "REDIS_SENTINEL_PASSWORD_FILE";
/// A PEM file with the authorities that `rediss://` trusts instead of the system's.
pub const REDIS_CA_FILE: &str = "REDIS_CA_FILE";
/// A PEM file with our own certificate, where the server asks for one.
pub const REDIS_CERT_FILE: &str = "REDIS_CERT_FILE";
/// The key of that certificate.
pub const REDIS_KEY_FILE: &str = "REDIS_KEY_FILE";
/// The namespace: the first part of every key.
pub const TOLLGATE_NAMESPACE: &str = "TOLLGATE_NAMESPACE";
/// The directory of the private server, instead of a search for `.tollgate/`.
pub const TOLLGATE_DIR: &str = "TOLLGATE_DIR";
/// The redis-server binary of the private server, instead of the one in PATH.
pub const TOLLGATE_REDIS_SERVER: &str = "TOLLGATE_REDIS_SERVER";
/// What is accepted of a Redis that would be refused, by its name: `no-aof`.
pub const TOLLGATE_ACCEPT: &str = "TOLLGATE_ACCEPT";
/// Where a worker serves its pages, as `--listen`.
pub const TOLLGATE_LISTEN: &str = "TOLLGATE_LISTEN";
/// The payout gateway's address, for a worker that pays.
pub const TOLLGATE_PAYOUT_URL: &str = "TOLLGATE_PAYOUT_URL";
/// The payout gateway's bearer token.
pub const TOLLGATE_PAYOUT_TOKEN: &str = "TOLLGATE_PAYOUT_TOKEN";
/// A file that holds it.
pub const TOLLGATE_PAYOUT_TOKEN_FILE: &str = "TOLLGATE_PAYOUT_TOKEN_FILE";
/// The servers that locks live on, 1, 3 or 5 URLs; without it the data Redis is the only one.
pub const TOLLGATE_LOCK_URLS: &str = "TOLLGATE_LOCK_URLS";
/// What the worker logs: levels, for all or by crate.
pub const RUST_LOG: &str = "RUST_LOG";
/// A file that holds the password of every lock server whose URL has none.
pub const TOLLGATE_LOCK_PASSWORD_FILE: &str = "TOLLGATE_LOCK_PASSWORD_FILE";
/// Points at which a worker built for tests dies, hangs or stops; refused by a release build.
pub const TOLLGATE_FAILPOINTS: &str = "TOLLGATE_FAILPOINTS";

/// As `--queue` of the worker.
pub const TOLLGATE_QUEUES: &str = "TOLLGATE_QUEUES";
/// As `--concurrency` of the worker.
pub const TOLLGATE_CONCURRENCY: &str = "TOLLGATE_CONCURRENCY";
/// As `--batch` of the worker.
pub const TOLLGATE_BATCH: &str = "TOLLGATE_BATCH";
/// As `--batch-min` of the worker.
pub const TOLLGATE_BATCH_MIN: &str = "TOLLGATE_BATCH_MIN";
/// As `--claim-idle` of the worker.
pub const TOLLGATE_CLAIM_IDLE: &str = "TOLLGATE_CLAIM_IDLE";
/// As `--drain-timeout` of the worker.
pub const TOLLGATE_DRAIN_TIMEOUT: &str = "TOLLGATE_DRAIN_TIMEOUT";
/// As `--log-format` of the worker.
pub const TOLLGATE_LOG_FORMAT: &str = "TOLLGATE_LOG_FORMAT";
/// As `--payout-gateway` of the worker.
pub const TOLLGATE_PAYOUT_GATEWAY: &str = "TOLLGATE_PAYOUT_GATEWAY";
/// As `--payout-key-prefix` of the worker.
pub const TOLLGATE_PAYOUT_KEY_PREFIX: &str = "TOLLGATE_PAYOUT_KEY_PREFIX";
/// As `--payout-ca` of the worker.
pub const TOLLGATE_PAYOUT_CA: &str = "TOLLGATE_PAYOUT_CA";
/// As `--payout-timeout` of the worker.
pub const TOLLGATE_PAYOUT_TIMEOUT: &str = "TOLLGATE_PAYOUT_TIMEOUT";
/// As `--payout-retry` of the worker.
pub const TOLLGATE_PAYOUT_RETRY: &str = "TOLLGATE_PAYOUT_RETRY";
/// As `--payout-key-window` of the worker.
pub const TOLLGATE_PAYOUT_KEY_WINDOW: &str = "TOLLGATE_PAYOUT_KEY_WINDOW";
/// As `--payout-backoff` of the worker.
pub const TOLLGATE_PAYOUT_BACKOFF: &str = "TOLLGATE_PAYOUT_BACKOFF";
/// As `--payout-pause` of the worker.
pub const TOLLGATE_PAYOUT_PAUSE: &str = "TOLLGATE_PAYOUT_PAUSE";
/// As `--hold-ttl` of the worker.
pub const TOLLGATE_HOLD_TTL: &str = "TOLLGATE_HOLD_TTL";

/// Whether the programs' logs have no colours, also on a terminal: see <https://no-color.org>.
pub const NO_COLOR: &str = "NO_COLOR";
/// The bearer token that callers of the sandbox bank must show.
pub const TOLLGATE_BANK_TOKEN: &str = "TOLLGATE_BANK_TOKEN";
/// Where short socket paths may be made, for a private server in a deep directory.
pub const XDG_RUNTIME_DIR: &str = "XDG_RUNTIME_DIR";
/// As `--compose` of `tollgate-chaos compose`.
pub const TOLLGATE_COMPOSE: &str = "TOLLGATE_COMPOSE";
/// Another build of the worker, for the chaos run in which two versions take turns.
pub const TOLLGATE_OTHER_WORKER: &str = "TOLLGATE_OTHER_WORKER";
/// Whether `tollgate-bench idle` also tells which commands idle workers call.
pub const TOLLGATE_BENCH_COMMANDS: &str = "TOLLGATE_BENCH_COMMANDS";
/// A Consul for the race lab, `127.0.0.1:8500`; without it Consul is not played.
pub const CONSUL_ADDR: &str = "CONSUL_ADDR";
/// A bug that is planted in the scripts of a whole process, for tests; a release build has none.
pub const TOLLGATE_SABOTAGE: &str = "TOLLGATE_SABOTAGE";

/// All of them, in the order of the documentation.
pub const ALL: &[Variable] = &[
    Variable {
        name: REDIS_URL,
        what: "the Redis to use: redis://, rediss://, unix://, redis+sentinel:// or redis+cluster://; unset: a private server under .tollgate/",
    },
    Variable { name: REDIS_USERNAME, what: "the ACL user, where the URL names none" },
    Variable { name: REDIS_PASSWORD, what: "the password, where the URL has none" },
    Variable { name: REDIS_PASSWORD_FILE, what: "a file that holds the password" },
    Variable { name: REDIS_SENTINEL_USERNAME, what: "the ACL user at the Sentinels of redis+sentinel://" },
    Variable { name: REDIS_SENTINEL_PASSWORD, what: "the password at the Sentinels" },
    Variable { name: REDIS_SENTINEL_PASSWORD_FILE, what: "a file that holds the password at the Sentinels" },
    Variable { name: REDIS_CA_FILE, what: "a PEM file with the authorities that rediss:// trusts" },
    Variable {
        name: REDIS_CERT_FILE,
        what: "a PEM file with our own certificate for rediss://, where the server asks for one",
    },
    Variable { name: REDIS_KEY_FILE, what: "the key of that certificate" },
    Variable { name: TOLLGATE_NAMESPACE, what: "the namespace (default: tollgate)" },
    Variable {
        name: TOLLGATE_DIR,
        what: "the directory of the private server (default: .tollgate/, searched upward)",
    },
    Variable { name: TOLLGATE_REDIS_SERVER, what: "the redis-server binary of the private server" },
    Variable {
        name: TOLLGATE_ACCEPT,
        what: "what is accepted of a Redis that would be refused, as `--accept`: `no-aof`",
    },
    Variable {
        name: TOLLGATE_LOCK_URLS,
        what: "1, 3 or 5 independent Redis servers for locks, separated by commas; unset: the data Redis",
    },
    Variable {
        name: TOLLGATE_LOCK_PASSWORD_FILE,
        what: "a file that holds the password of every lock server whose URL has none",
    },
    Variable {
        name: TOLLGATE_LISTEN,
        what: "where a worker serves `/metrics`, `/healthz` and `/readyz`, as `--listen`",
    },
    Variable { name: TOLLGATE_PAYOUT_URL, what: "the payout gateway's address, for a worker that pays" },
    Variable { name: TOLLGATE_PAYOUT_TOKEN, what: "the payout gateway's bearer token" },
    Variable { name: TOLLGATE_PAYOUT_TOKEN_FILE, what: "a file that holds it" },
    Variable {
        name: TOLLGATE_QUEUES,
        what: "the queues that a worker serves, with their weights, separated by spaces: `mail,3 default`; as `--queue`",
    },
    Variable { name: TOLLGATE_CONCURRENCY, what: "as `--concurrency`" },
    Variable { name: TOLLGATE_BATCH, what: "as `--batch`" },
    Variable { name: TOLLGATE_BATCH_MIN, what: "as `--batch-min`" },
    Variable { name: TOLLGATE_CLAIM_IDLE, what: "as `--claim-idle`" },
    Variable { name: TOLLGATE_DRAIN_TIMEOUT, what: "as `--drain-timeout`" },
    Variable { name: TOLLGATE_LOG_FORMAT, what: "as `--log-format`" },
    Variable { name: TOLLGATE_PAYOUT_GATEWAY, what: "as `--payout-gateway`" },
    Variable { name: TOLLGATE_PAYOUT_KEY_PREFIX, what: "as `--payout-key-prefix`" },
    Variable { name: TOLLGATE_PAYOUT_CA, what: "as `--payout-ca`" },
    Variable { name: TOLLGATE_PAYOUT_TIMEOUT, what: "as `--payout-timeout`" },
    Variable { name: TOLLGATE_PAYOUT_RETRY, what: "as `--payout-retry`" },
    Variable { name: TOLLGATE_PAYOUT_KEY_WINDOW, what: "as `--payout-key-window`" },
    Variable { name: TOLLGATE_PAYOUT_BACKOFF, what: "as `--payout-backoff`" },
    Variable { name: TOLLGATE_PAYOUT_PAUSE, what: "as `--payout-pause`" },
    Variable { name: TOLLGATE_HOLD_TTL, what: "as `--hold-ttl`" },
    Variable { name: RUST_LOG, what: "what the worker logs: a level, or levels by crate (default: info)" },
    Variable { name: NO_COLOR, what: "set: no colours in logs, also on a terminal" },
    Variable {
        name: XDG_RUNTIME_DIR,
        what: "where the socket of a private server goes whose directory has too long a path",
    },
    Variable {
        name: TOLLGATE_FAILPOINTS,
        what: "points at which a worker built for tests dies, hangs or stops; refused by a release build",
    },
    Variable {
        name: TOLLGATE_BANK_TOKEN,
        what: "the bearer token that callers of the sandbox bank must show",
    },
    Variable { name: TOLLGATE_COMPOSE, what: "as `--compose` of `tollgate-chaos compose`" },
    Variable {
        name: TOLLGATE_OTHER_WORKER,
        what: "another build of the worker, for the chaos run in which two versions take turns",
    },
    Variable {
        name: TOLLGATE_BENCH_COMMANDS,
        what: "set: `tollgate-bench idle` also tells which commands idle workers call",
    },
    Variable {
        name: CONSUL_ADDR,
        what: "a Consul that `tollgate-chaos race` plays, too: `127.0.0.1:8500`; unset: Consul is not played",
    },
    Variable {
        name: TOLLGATE_SABOTAGE,
        what: "a bug that is planted in the scripts, to see the checkers turn red; a release build has none",
    },
];
