//! What was typed about the Redis to use.

use std::path::PathBuf;
use std::time::Duration;

use super::url;
#[cfg(feature = "embedded")]
use crate::embedded::EmbeddedError;
use crate::embedded::Options;
use crate::env;

/// How long an answer may take (see [`RedisOptions::response_timeout`]).
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);

/// What was typed about the Redis to use; nothing of it is checked yet.
#[derive(Clone, Default)]
pub struct RedisOptions {
    /// `redis://`, `rediss://`, `unix://`, `redis+sentinel://` or `redis+cluster://` (`rediss+…` with TLS); without it the
    /// private server is used.
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
    /// Who we are at the Sentinels of `redis+sentinel://`; the login above is for the servers that they watch.
    pub sentinel: Credentials,
    /// How long to wait for an answer; default [`RESPONSE_TIMEOUT`].
    pub response_timeout: Option<Duration>,
    /// The directory of the private server; default: `.tollgate/`, searched upward.
    pub embedded_dir: Option<PathBuf>,
    /// How the private server is started, if it has to be.
    pub embedded: Options,
}

/// A login.
#[derive(Clone, Default)]
pub struct Credentials {
    /// The ACL user.
    pub username: Option<String>,
    /// The password.
    pub password: Option<String>,
    /// A file that holds the password, instead of `password`.
    pub password_file: Option<PathBuf>,
}

impl Credentials {
    /// What is not set, by these variables. What was said beats what lies about; only of two that lie about nobody knows
    /// which is meant.
    fn with_environment(mut self, username: &str, password: &str, password_file: &str) -> Self {
        self.username = self.username.or_else(|| env::text(username));
        if self.password.is_none() && self.password_file.is_none() {
            self.password = env::text(password);
            self.password_file = env::path(password_file);
        }
        self
    }
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

    /// Fills what is not set from the environment.
    #[must_use]
    pub fn with_environment(self) -> Self {
        let from_env = Self::from_env();
        Self {
            url: self.url.or(from_env.url),
            ca_file: self.ca_file.or(from_env.ca_file),
            cert_file: self.cert_file.or(from_env.cert_file),
            key_file: self.key_file.or(from_env.key_file),
            embedded_dir: self.embedded_dir.or(from_env.embedded_dir),
            ..self
        }
        .with_credentials_from_env()
    }

    /// Fills both logins from the environment, where they are not set.
    #[must_use]
    pub fn with_credentials_from_env(mut self) -> Self {
        let of_servers = self.credentials().with_environment(
            env::REDIS_USERNAME,
            env::REDIS_PASSWORD,
            env::REDIS_PASSWORD_FILE,
        );
        Credentials { username: self.username, password: self.password, password_file: self.password_file } =
            of_servers;
        self.sentinel = self.sentinel.with_environment(
            env::REDIS_SENTINEL_USERNAME,
            env::REDIS_SENTINEL_PASSWORD,
            env::REDIS_SENTINEL_PASSWORD_FILE,
        );
        self
    }

    /// Who we are at the servers.
    pub(super) fn credentials(&self) -> Credentials {
        let Self { username, password, password_file, .. } = self;
        Credentials {
            username: username.clone(),
            password: password.clone(),
            password_file: password_file.clone(),
        }
    }

    /// The directory of the private server: the one that was named, else [`find_dir`](crate::embedded::find_dir).
    ///
    /// # Errors
    /// The current directory cannot be read.
    #[cfg(feature = "embedded")]
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
            .field("sentinel_username", &self.sentinel.username)
            .field("response_timeout", &self.response_timeout)
            .field("embedded_dir", &self.embedded_dir)
            .field("embedded", &self.embedded)
            .finish()
    }
}
