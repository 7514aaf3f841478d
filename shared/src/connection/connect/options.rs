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

    /// Fills username, password and password file from the environment, where they are not set.
    #[must_use]
    pub fn with_credentials_from_env(mut self) -> Self {
        self.username = self.username.or_else(|| env::text(env::REDIS_USERNAME));
        // What was said beats what lies about; only of two that lie about nobody knows which is meant.
        if self.password.is_none() && self.password_file.is_none() {
            self.password = env::text(env::REDIS_PASSWORD);
            self.password_file = env::path(env::REDIS_PASSWORD_FILE);
        }
        self
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
            .field("response_timeout", &self.response_timeout)
            .field("embedded_dir", &self.embedded_dir)
            .field("embedded", &self.embedded)
            .finish()
    }
}
