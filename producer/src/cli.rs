//! The global options, as clap reads them.
//!
//! First of two steps: single values are checked by the parsers of their types (an id, a time, a number), so a wrong
//! one is exit code 2 before anything is connected. What needs several values at once (an amount and its currency, a
//! window) is checked by the command, before it connects.

use std::path::PathBuf;

use clap::{ArgAction, Args};
use tollgate::env;
use tollgate::ids::{Actor, DEFAULT_NAMESPACE, Namespace};
use tollgate::preflight::Accepted;

/// The options of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The Redis to use: redis://, rediss://, unix://, redis+sentinel:// or redis+cluster://; without it a private
    /// server under .tollgate/
    #[arg(long, global = true, value_name = "URL", env = env::REDIS_URL, hide_env_values = true)]
    pub(crate) redis_url: Option<String>,
    /// A PEM file with the authorities that rediss:// trusts instead of the system's
    #[arg(long, global = true, value_name = "FILE", env = env::REDIS_CA_FILE)]
    pub(crate) redis_ca: Option<PathBuf>,
    /// A PEM file with our own certificate, where the server asks for one
    #[arg(long, global = true, value_name = "FILE", env = env::REDIS_CERT_FILE, requires = "redis_key")]
    pub(crate) redis_cert: Option<PathBuf>,
    /// The key of that certificate
    #[arg(long, global = true, value_name = "FILE", env = env::REDIS_KEY_FILE, requires = "redis_cert")]
    pub(crate) redis_key: Option<PathBuf>,
    /// Use a Redis of which this is all that is wrong: `no-aof`, there is no append-only file (docs/cluster.md)
    #[arg(long, global = true, value_name = "WHAT", env = env::TOLLGATE_ACCEPT)]
    pub(crate) accept: Option<Accepted>,
    /// Use a Redis that may lose or evict data; only warn of what is wrong with it
    #[arg(long, global = true, action = ArgAction::SetTrue)]
    pub(crate) allow_unsafe_redis: bool,
    /// The first part of every key
    #[arg(long, global = true, value_name = "NAME", env = env::TOLLGATE_NAMESPACE, default_value = DEFAULT_NAMESPACE)]
    pub(crate) namespace: Namespace,
    /// The name that the journal keeps for an operation [default: the Redis user's]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) by: Option<Actor>,
    /// Print data as JSON, a stable contract (docs/cli-json.md), and messages on stderr too, one object a line
    #[arg(long, global = true, action = ArgAction::SetTrue)]
    pub(crate) json: bool,
    /// Print nothing on stderr but errors, warnings and the id of a change
    #[arg(long, global = true, action = ArgAction::SetTrue)]
    pub(crate) quiet: bool,
}
