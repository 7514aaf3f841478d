//! From what the user typed to a server one can speak to: an [`Endpoint`] checked once, then a [`Server`].
//!
//! Relies on [`crate::embedded`] for the server that is used where none is named.
//! Must not speak to an address before all of it was checked, and must not show a secret.

mod certificates;
mod endpoint;
mod inspection;
mod probe;
mod server;
mod url;

use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

pub use endpoint::{Endpoint, EndpointError};
pub use inspection::{Found, Safety};
pub use server::Server;

use crate::connection::failure::{Failure, Refusal};
use crate::connection::link::Link;
use crate::embedded::{Embedded, EmbeddedError, Options};
use crate::env;
use crate::protocol::ids::Actor;

/// How long an answer may take (see [`RedisOptions::response_timeout`]).
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);

/// What was typed about the Redis to use; nothing of it is checked yet.
#[derive(Clone, Default)]
pub struct RedisOptions {
    /// `redis://`, `rediss://` or `unix://`; without it the private server is used.
    pub url: Option<String>,
    /// The authorities that `rediss://` trusts, in PEM, instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Our own certificate for `rediss://`, in PEM, where the server asks for one.
    pub cert_file: Option<PathBuf>,
    /// The key of that certificate.
    pub key_file: Option<PathBuf>,
    /// The ACL user, where the URL names none.
    pub username: Option<String>,
    /// The password, where the URL has none.
    pub password: Option<String>,
    /// A file that holds the password, instead of `password`.
    pub password_file: Option<PathBuf>,
    /// How long to wait for an answer; default [`RESPONSE_TIMEOUT`].
    pub response_timeout: Option<Duration>,
    /// The directory of the private server; default: `.tollgate/`, searched upward.
    pub embedded_dir: Option<PathBuf>,
    /// How the private server is started, if it has to be.
    pub embedded: Options,
}

impl RedisOptions {
    /// The options that the environment gives (see [`crate::env`]).
    pub fn from_env() -> Self {
        Self {
            url: env::text(env::REDIS_URL),
            ca_file: env::path(env::REDIS_CA_FILE),
            cert_file: env::path(env::REDIS_CERT_FILE),
            key_file: env::path(env::REDIS_KEY_FILE),
            embedded_dir: env::path(env::TOLLGATE_DIR),
            ..Self::default()
        }
        .with_credentials_from_env()
    }

    /// Fills username, password and password file from the environment, where they are not set.
    #[must_use]
    pub fn with_credentials_from_env(mut self) -> Self {
        self.username = self.username.or_else(|| env::text(env::REDIS_USERNAME));
        self.password = self.password.or_else(|| env::text(env::REDIS_PASSWORD));
        self.password_file = self.password_file.or_else(|| env::path(env::REDIS_PASSWORD_FILE));
        self
    }

    /// The directory of the private server: the one that was named, else [`find_dir`](crate::embedded::find_dir).
    ///
    /// # Errors
    /// The current directory cannot be read.
    pub fn private_dir(&self) -> Result<PathBuf, EmbeddedError> {
        self.embedded_dir.clone().map_or_else(crate::embedded::find_dir, Ok)
    }
}

impl RedisOptions {
    /// Where the server is, as far as that was said; without secrets.
    pub fn place(&self) -> String {
        match (&self.url, &self.embedded_dir) {
            (Some(url), _) => url::redacted(url),
            (None, Some(dir)) => format!("the private server in {}", dir.display()),
            (None, None) => "the private server".to_owned(),
        }
    }

    /// Who we are there, in words without secrets.
    pub fn login(&self) -> String {
        let user = self.username.as_deref().map(|user| format!("user {user}, "));
        let password = match (&self.password, &self.password_file) {
            (Some(_), _) => "a password of the environment".to_owned(),
            (None, Some(path)) => format!("the password in {}", path.display()),
            (None, None) => "no password but what the URL has".to_owned(),
        };
        user.unwrap_or_default() + &password
    }
}

impl std::fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisOptions")
            .field("url", &self.url.as_deref().map(url::redacted))
            .field("ca_file", &self.ca_file)
            .field("cert_file", &self.cert_file)
            .field("key_file", &self.key_file)
            .field("username", &self.username)
            .field("password", &self.password.as_ref().map(|_| "***"))
            .field("password_file", &self.password_file)
            .field("response_timeout", &self.response_timeout)
            .field("embedded_dir", &self.embedded_dir)
            .field("embedded", &self.embedded)
            .finish()
    }
}

/// Where a [`Server`] came from, for the line that a binary prints about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A URL was given.
    Url,
    /// The private server.
    Embedded {
        /// Its directory.
        dir: PathBuf,
        /// Did this call start it (else it was running)?
        started: bool,
    },
}

/// No server to speak to.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// What was typed is wrong (exit code 2).
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The private server does not run (exit code 3).
    #[error(transparent)]
    Embedded(#[from] EmbeddedError),
}

impl ConnectError {
    /// Is the command line or the environment wrong, rather than the server?
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Endpoint(_))
    }
}

/// The name of the Redis user that a link speaks as; `None` if it may not ask, or if the name cannot stand in the
/// journal.
///
/// # Errors
/// Redis's.
pub async fn user(link: &mut Link) -> Result<Option<Actor>, Failure> {
    match link.query::<String>(redis::cmd("ACL").arg("WHOAMI")).await {
        Ok(name) => Ok(Actor::parse(name).ok()),
        Err(failure) if failure.refusal() == Some(Refusal::NoPermission) => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// The server that the options name; without a URL the private one, started if it is not running.
///
/// A URL is not spoken to yet: the first [`Server::link`] does that.
///
/// # Errors
/// See [`ConnectError`].
pub async fn connect(options: RedisOptions) -> Result<(Server, Origin), ConnectError> {
    if options.url.is_some() {
        return Ok((Server::open(Endpoint::parse(&options)?), Origin::Url));
    }
    if options.ca_file.is_some() {
        return Err(EndpointError::CaFileWithoutTls.into());
    }
    if options.cert_file.is_some() || options.key_file.is_some() {
        return Err(EndpointError::ClientCertificateWithoutTls.into());
    }
    let embedded = Embedded::start(&options.private_dir()?, options.embedded.clone()).await?;
    let endpoint = Endpoint::unix(embedded.socket(), options.response_timeout.unwrap_or(RESPONSE_TIMEOUT))?;
    let origin = Origin::Embedded { dir: embedded.dir().to_path_buf(), started: embedded.started() };
    Ok((Server::open(endpoint), origin))
}
