//! What may be wrong with an address of Redis. Must not show a secret.

use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

use crate::protocol::span::span;

/// Below this a slow fsync would look like a dead server.
pub(super) const RESPONSE_TIMEOUT_MIN: Duration = Duration::from_millis(50);

/// What is wrong with an address of Redis, or with what belongs to it.
#[derive(Debug, Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum EndpointError {
    #[error("the redis url is empty; unset REDIS_URL to use the private server, or give {ALLOWED}")]
    Empty,
    #[error("the redis url `{0}` has no scheme; allowed: {ALLOWED}")]
    NoScheme(String),
    #[error("the redis url `{url}` has the scheme `{scheme}`; allowed: {ALLOWED}")]
    Scheme { url: String, scheme: String },
    #[error(
        "several hosts in one redis url are those of Sentinels, redis+sentinel://host,host/NAME, or of a Cluster, redis+cluster://host,host (`{0}`); allowed: {ALLOWED}"
    )]
    SeveralHosts(String),
    #[error("the redis url `{url}` is wrong: {what}")]
    Url { url: String, what: String },
    #[error("a CA file is given, and the redis url is not rediss://: use rediss://, or give no CA file")]
    CaFileWithoutTls,
    #[error("the CA file {path}: {what}", path = path.display())]
    CaFile { path: PathBuf, what: String },
    #[error(
        "a client certificate is given, and the redis url is not rediss://: use rediss://, or give no certificate"
    )]
    ClientCertificateWithoutTls,
    #[error("a client certificate needs its key: give both, REDIS_CERT_FILE and REDIS_KEY_FILE")]
    HalfAClientCertificate,
    #[error("the client certificate {path}: {what}", path = path.display())]
    ClientCertificate { path: PathBuf, what: String },
    #[error("the password file {path}: {what}", path = path.display())]
    PasswordFile { path: PathBuf, what: String },
    #[error("{0} and {0}_FILE are both set: unset one")]
    TwoPasswords(&'static str),
    #[error("the redis user `{user}` has no password: set {variable} or {variable}_FILE")]
    UserWithoutPassword { user: String, variable: &'static str },
    #[error("TOLLGATE_ACCEPT: {0}")]
    Accept(String),
    #[error("the response timeout {given} is below {least}", given = span(*.0), least = span(RESPONSE_TIMEOUT_MIN))]
    ResponseTimeout(Duration),
}

pub(super) const ALLOWED: &str = "redis://[[user]:password@]host[:port][/db], rediss://… (TLS), unix:///path/to/redis.sock[?db=n], redis+sentinel://host[:port],host[:port]/NAME[/db], redis+cluster://host[:port],host[:port]";
