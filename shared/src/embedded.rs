//! The private redis-server that is used where no other is named.

use std::path::{Path, PathBuf};

/// How a private server is started.
#[derive(Debug, Clone, Default)]
pub struct Options {}

/// The private server does not run.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// Placeholder.
    #[error("the private server is not built yet: set REDIS_URL")]
    NotYet,
}

/// A running private server.
#[derive(Debug, Clone)]
pub struct Embedded {
    dir: PathBuf,
    socket: PathBuf,
    started: bool,
}

/// The directory of the private server: `.tollgate/`, searched upward.
///
/// # Errors
/// See [`EmbeddedError`].
pub fn find_dir() -> Result<PathBuf, EmbeddedError> {
    Err(EmbeddedError::NotYet)
}

impl Embedded {
    /// Starts the server in `dir`, or uses the one that runs there.
    ///
    /// # Errors
    /// See [`EmbeddedError`].
    pub async fn start(_dir: &Path, _options: Options) -> Result<Self, EmbeddedError> {
        Err(EmbeddedError::NotYet)
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its unix socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Did this call start it?
    pub fn started(&self) -> bool {
        self.started
    }
}
