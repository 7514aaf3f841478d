//! A value that stale holders of a lock cannot overwrite: the fence is minted where the value lives.
//!
//! Relies on the data Redis, not on the lock nodes, and on no lock at all: with every lock in the hands of everyone
//! a write still succeeds only if nobody minted since its own mint. Must not offer a way to read the current token:
//! a stale holder would fetch it and be as good as new.

use std::fmt;

use thiserror::Error;

use crate::connect::Server;
use crate::failure::Failure;
use crate::ids::{LockName, Namespace};
use crate::keys::Keys;
use crate::scripts::ScriptError;
use crate::scripts::fence::{self, Answer};

/// Most bytes of a guarded value: it is read and written whole.
pub const GUARDED_BYTES_MAX: usize = 1 << 20;

/// A fencing token: larger than every one minted before it for the same name. For effects elsewhere, store
/// [`Fence::number`] with the effect and refuse a smaller one *there*, in the same atomic step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fence(u64);

impl Fence {
    /// The token as a number, at most 2^53 - 1: about the microseconds since the Unix epoch.
    pub fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Why a guarded value was not written or a token not minted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FenceError {
    /// A newer token was minted: another holder works on it. Nothing was written now.
    #[error(
        "fenced: a newer token than {fence} was minted for `{name}`; stop, and read again under a new lock"
    )]
    Fenced {
        /// The guarded value.
        name: LockName,
        /// The token that came too late.
        fence: Fence,
    },
    /// The server has lost the mint of this token (failover to a lagging replica, restore of a backup), and with
    /// it perhaps what was read under it. Nothing was written.
    #[error("token {fence} for `{name}` is newer than any the server knows; mint a new one and read again")]
    Unminted {
        /// The guarded value.
        name: LockName,
        /// The token.
        fence: Fence,
    },
    /// The key holds something else. An operator has to look.
    #[error("the guarded value `{0}` is damaged: its key holds something else")]
    Corrupt(LockName),
    /// Too large a value; nothing was sent.
    #[error("{bytes} bytes for the guarded value `{name}`: at most {GUARDED_BYTES_MAX}")]
    TooLarge {
        /// The guarded value.
        name: LockName,
        /// Its size.
        bytes: usize,
    },
    /// Redis refused, or its answer did not come. The same call may be made again; a repeated write then answers
    /// `Fenced` also if the first had been done and another minted since.
    #[error(transparent)]
    Failure(#[from] Failure),
}

impl FenceError {
    /// A stable snake_case name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Fenced { .. } => "fenced",
            Self::Unminted { .. } => "fence_unminted",
            Self::Corrupt(_) => "corrupt_state",
            Self::TooLarge { .. } => "value_too_large",
            Self::Failure(failure) if failure.may_have_happened() => "unknown",
            Self::Failure(_) => "redis_refused",
        }
    }
}

/// One value in the data Redis, with its fence in the same key.
///
/// Mint, then read, then write: then nothing was written between the read and the write, whatever the lock did.
#[derive(Debug, Clone)]
pub struct Guarded {
    server: Server,
    name: LockName,
    key: String,
}

impl Guarded {
    /// The guarded value of this name; nothing is sent. The lock of the same name is the natural one to hold.
    pub fn new(server: Server, namespace: &Namespace, name: LockName) -> Self {
        let key = Keys::guarded(namespace, &name);
        Self { server, name, key }
    }

    /// Mints a token that is larger than all before it: `max(previous + 1, server time in µs)`. From now on every
    /// older token is refused. Told once, to this caller; there is no other way to learn it.
    ///
    /// Strictly increasing across release, expiry, crash and restart. Also across a loss of the key or of its last
    /// mints (a lagging replica is promoted, an empty server takes over), if the new server's clock is no further
    /// behind the old one's than the failover took.
    ///
    /// # Errors
    /// [`FenceError::Corrupt`], [`FenceError::Failure`].
    ///
    /// # Cancel safety
    /// A token that nobody knows may have been minted; older ones are refused then.
    pub async fn mint(&self) -> Result<Fence, FenceError> {
        let mut link = self.server.link().await?;
        match fence::mint(&mut link, &self.key).await.map_err(flat)? {
            Some(number) => Ok(Fence(number)),
            None => Err(FenceError::Corrupt(self.name.clone())),
        }
    }

    /// The value; `None` before the first write.
    ///
    /// # Errors
    /// [`FenceError::Corrupt`], [`FenceError::Failure`].
    pub async fn read(&self) -> Result<Option<Vec<u8>>, FenceError> {
        let mut link = self.server.link().await?;
        let value = link.query(redis::cmd("HGET").arg(&self.key).arg("value")).await;
        value.map_err(|failure| match failure {
            Failure::Server { code, .. } if code == "WRONGTYPE" => FenceError::Corrupt(self.name.clone()),
            other => other.into(),
        })
    }

    /// Writes the value, if `fence` is the last token minted for it.
    ///
    /// # Errors
    /// See [`FenceError`].
    ///
    /// # Cancel safety
    /// It may have been written; the same call may be made again.
    pub async fn write(&self, fence: Fence, value: &[u8]) -> Result<(), FenceError> {
        let name = || self.name.clone();
        if value.len() > GUARDED_BYTES_MAX {
            return Err(FenceError::TooLarge { name: name(), bytes: value.len() });
        }
        let mut link = self.server.link().await?;
        match fence::write(&mut link, &self.key, fence.0, value).await.map_err(flat)? {
            Answer::Written => Ok(()),
            Answer::Fenced => Err(FenceError::Fenced { name: name(), fence }),
            Answer::Unminted => Err(FenceError::Unminted { name: name(), fence }),
            Answer::Corrupt => Err(FenceError::Corrupt(name())),
        }
    }
}

fn flat(error: ScriptError) -> FenceError {
    match error {
        ScriptError::Failure(failure) => failure.into(),
        other => Failure::unknown(other.to_string()).into(),
    }
}
