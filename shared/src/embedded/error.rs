//! Why the private server does not run, or does not stop.

use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

/// The private server does not run, or does not stop.
#[derive(Debug, Error)]
pub enum EmbeddedError {
    /// This program was built without the feature `embedded`.
    #[error(
        "no REDIS_URL is set, and this program was built without a private server: give the address of one"
    )]
    NotBuiltIn,
    /// No binary in PATH.
    #[error(
        "redis-server is not installed, and no REDIS_URL is set\n\
         hint: install it with `{install}`, or set REDIS_URL to a Redis 7.0 or later"
    )]
    NoBinary {
        /// The command of this system's package manager.
        install: &'static str,
    },
    /// The binary that was named does not exist or is not executable.
    #[error("{path} (from TOLLGATE_REDIS_SERVER) is not an executable file: name a redis-server, or unset the variable", path = path.display())]
    BadBinary {
        /// What was named.
        path: PathBuf,
    },
    /// The directory cannot be used.
    #[error("the directory of the private redis, {path}: {what}", path = path.display())]
    Dir {
        /// The directory, or the file in it.
        path: PathBuf,
        /// What is wrong, and what to do.
        what: String,
    },
    /// The server ended before it answered.
    #[error("the private redis in {dir} ended at its start ({status}); the last lines of its log:\n{log}", dir = dir.display())]
    Died {
        /// Its directory.
        dir: PathBuf,
        /// How it ended.
        status: String,
        /// The end of its log.
        log: String,
    },
    /// The server runs but does not answer.
    #[error(
        "the private redis in {dir} does not answer after {waited:?} ({detail}); the last lines of its log:\n{log}",
        dir = dir.display()
    )]
    NotReady {
        /// Its directory.
        dir: PathBuf,
        /// How long we waited.
        waited: Duration,
        /// What its socket said last.
        detail: String,
        /// The end of its log.
        log: String,
    },
    /// SHUTDOWN was refused, or the server still runs.
    #[error("the private redis in {dir} does not stop: {detail}", dir = dir.display())]
    NotStopped {
        /// Its directory.
        dir: PathBuf,
        /// What it said.
        detail: String,
    },
}
