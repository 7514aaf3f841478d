//! What is said before anything is connected.

use std::path::PathBuf;
use std::time::Duration;

use super::error::Error;
use crate::connection::connect::{ConnectError, RedisOptions, Safety, connect};
use crate::protocol::ids::{Actor, Namespace};
use crate::tollgate::Tollgate;

/// Where Redis is, which namespace is meant, who asks. What is left out comes from the environment (`REDIS_URL`,
/// `REDIS_PASSWORD`, `REDIS_CA_FILE`, …); without a URL the private server is used, started if it does not run.
#[derive(Debug, Clone, Default)]
pub struct Builder {
    options: RedisOptions,
    namespace: Namespace,
    by: Option<Actor>,
    safety: Option<Safety>,
}

impl Builder {
    /// The address: `redis://[[user]:password@]host[:port][/db]`, `rediss://…`, `unix:///path?db=n` or
    /// `redis+sentinel://host,host/NAME`.
    #[must_use]
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.options.url = Some(url.into());
        self
    }

    /// The namespace; `tollgate` if it is not said.
    #[must_use]
    pub fn namespace(self, namespace: Namespace) -> Self {
        Self { namespace, ..self }
    }

    /// The ACL user and its password, where the URL does not have them.
    #[must_use]
    pub fn credentials(mut self, username: impl Into<String>, password: impl Into<String>) -> Self {
        self.options.username = Some(username.into());
        self.options.password = Some(password.into());
        self
    }

    /// The authorities that `rediss://` trusts, in PEM, instead of the system's.
    #[must_use]
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.options.ca_file = Some(path.into());
        self
    }

    /// Our own certificate and its key for `rediss://`, in PEM.
    #[must_use]
    pub fn client_certificate(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.options.cert_file = Some(certificate.into());
        self.options.key_file = Some(key.into());
        self
    }

    /// How long an answer may take; 5 s if it is not said, 50 ms at least.
    #[must_use]
    pub fn response_timeout(mut self, timeout: Duration) -> Self {
        self.options.response_timeout = Some(timeout);
        self
    }

    /// As whom operations are journaled.
    #[must_use]
    pub fn acting_as(self, by: Actor) -> Self {
        Self { by: Some(by), ..self }
    }

    /// What becomes of a server that may lose or evict what it holds; without it `TOLLGATE_ACCEPT` says what is
    /// accepted, and the server is refused if nothing is said.
    #[must_use]
    pub fn safety(self, safety: Safety) -> Self {
        Self { safety: Some(safety), ..self }
    }

    /// Connects and opens the namespace; one that is completely empty is initialised with one partition.
    ///
    /// # Errors
    /// [`Error::Connect`], [`Error::Open`].
    ///
    /// # Cancel safety
    /// May be dropped at any time: an `init` that was cut off is finished by the next.
    pub async fn connect(self) -> Result<Tollgate, Error> {
        let Self { options, namespace, by, safety } = self;
        let safety = match safety {
            Some(safety) => Some(safety),
            None => Safety::from_env().map_err(ConnectError::from)?,
        };
        let (server, _) = connect(options.with_environment()).await?;
        if let Some(safety) = safety {
            server.inspect(safety);
        }
        let tollgate = Tollgate::open_or_init(server, namespace).await?;
        Ok(match by {
            Some(by) => tollgate.acting_as(by),
            None => tollgate,
        })
    }
}
