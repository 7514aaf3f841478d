//! From what the user typed to a server one can speak to: an [`Endpoint`] checked once, then a [`Server`].
//!
//! Relies on [`crate::embedded`] for the server that is used where none is named.
//! Must not speak to an address before all of it was checked, and must not show a secret.

mod certificates;
pub(crate) mod cluster;
mod cluster_url;
mod endpoint;
mod error;
mod hung_up;
mod inspection;
mod latest;
pub(crate) mod node;
mod options;
mod probe;
mod sentinel;
pub(crate) mod server;
mod topology;
mod url;

use std::path::PathBuf;

use thiserror::Error;

pub use cluster::Redirected;
pub use endpoint::Endpoint;
pub use error::EndpointError;
pub use inspection::{Found, Safety};
pub use options::{Credentials, RESPONSE_TIMEOUT, RedisOptions};
pub use server::Server;

use crate::connection::failure::Failure;
use crate::connection::link::Link;
#[cfg(feature = "embedded")]
use crate::embedded::Embedded;
use crate::embedded::EmbeddedError;
use crate::protocol::ids::Actor;

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
    /// What was typed is wrong.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The private server does not run.
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
        Err(failure) if failure.is_denied() => Ok(None),
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
    private(options).await
}

#[cfg(feature = "embedded")]
async fn private(options: RedisOptions) -> Result<(Server, Origin), ConnectError> {
    let embedded = Embedded::start(&options.private_dir()?, options.embedded.clone()).await?;
    let endpoint = Endpoint::unix(embedded.socket(), options.response_timeout.unwrap_or(RESPONSE_TIMEOUT))?;
    let origin = Origin::Embedded { dir: embedded.dir().to_path_buf(), started: embedded.started() };
    Ok((Server::open(endpoint), origin))
}

#[cfg(not(feature = "embedded"))]
async fn private(_: RedisOptions) -> Result<(Server, Origin), ConnectError> {
    Err(EmbeddedError::NotBuiltIn.into())
}
