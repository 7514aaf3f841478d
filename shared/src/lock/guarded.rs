//! A value that stale holders of a lock cannot overwrite: the fence is minted where the value lives.
//!
//! Relies on the data Redis, not on the lock nodes, and on no lock at all: with every lock in the hands of everyone
//! a write still succeeds only if nobody minted since its own mint. Must not offer a way to read the current token:
//! a stale holder would fetch it and be as good as new.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::connection::connect::Server;
use crate::connection::failure::Failure;
use crate::protocol::ids::{LockName, Namespace};
use crate::protocol::keys::Keys;
use crate::scripts::ScriptError;
use crate::scripts::fence::{self, WriteStatus};

/// The largest token: scripts count in doubles.
const FENCE_MAX: u64 = (1 << 53) - 1;
/// Most bytes of a guarded value: it is read and written whole.
pub const GUARDED_BYTES_MAX: usize = 1 << 20;

/// A fencing token: larger than every one minted before it for the same name. For effects elsewhere, store
/// [`Fence::number`] with the effect and refuse a smaller one *there*, in the same atomic step.
///
/// It travels as its number with its name ([`Fence::new`]), or as text: what [`fmt::Display`] writes, [`FromStr`]
/// reads. Tokens of different names do not compare.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Fence {
    name: LockName,
    number: u64,
}

impl Fence {
    /// The token of this number for this name, as it was minted somewhere else.
    ///
    /// # Errors
    /// No token has such a number.
    pub fn new(name: LockName, number: u64) -> Result<Self, FenceTextError> {
        match number {
            1..=FENCE_MAX => Ok(Self { name, number }),
            _ => Err(FenceTextError::Number(number.to_string())),
        }
    }

    /// What it was minted for.
    pub fn name(&self) -> &LockName {
        &self.name
    }

    /// The token as a number, 1 to 2^53 - 1: about the microseconds since the Unix epoch.
    pub fn number(&self) -> u64 {
        self.number
    }
}

impl PartialOrd for Fence {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self.name == other.name).then(|| self.number.cmp(&other.number))
    }
}

/// `user:invoice 17#1764133000123456`
impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.name.key_part(), self.number)
    }
}

impl FromStr for Fence {
    type Err = FenceTextError;

    fn from_str(text: &str) -> Result<Self, FenceTextError> {
        let form = || FenceTextError::Form(text.to_owned());
        let (name, number) = text.rsplit_once('#').ok_or_else(form)?;
        let name = LockName::of_key_part(name).ok_or_else(form)?;
        let digits = !number.starts_with('0') && number.bytes().all(|byte| byte.is_ascii_digit());
        let parsed = number.parse().ok().filter(|_| digits);
        Self::new(name, parsed.ok_or_else(|| FenceTextError::Number(number.to_owned()))?)
    }
}

/// Why this is no fencing token.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FenceTextError {
    /// Not a name and a number.
    #[error("`{0}` is no fence: must be user:NAME#NUMBER")]
    Form(String),
    /// No number of a token.
    #[error("the fence number `{0}` is not allowed: must be 1 to 2^53 - 1")]
    Number(String),
}

/// Why a guarded value was not written or a token not minted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FenceError {
    /// A newer token was minted: another holder works on it. Nothing was written now.
    #[error(
        "fenced: a newer token than {} was minted for `{name}`; stop, and read again under a new lock", fence.number
    )]
    Fenced {
        /// The guarded value.
        name: LockName,
        /// The token that came too late.
        fence: Fence,
    },
    /// The server has lost the mint of this token (failover to a lagging replica, restore of a backup), and with
    /// it perhaps what was read under it. Nothing was written.
    #[error("token {} for `{name}` is newer than any the server knows; mint a new one and read again", fence.number)]
    Unminted {
        /// The guarded value.
        name: LockName,
        /// The token.
        fence: Fence,
    },
    /// The token was minted for another value; nothing was sent.
    #[error("the token {fence} is none of the guarded value `{name}`")]
    OtherName {
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
            Self::OtherName { .. } => "fence_of_other_name",
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

    /// Mints a token that is larger than all before it: the server's time in µs, or, where the previous token is ahead
    /// of that, a random step further than the previous one. From now on every older token is refused. Told once, to
    /// this caller; there is no other way to learn it.
    ///
    /// Strictly increasing across release, expiry, crash and restart. Also across a loss of the key or of its last
    /// mints (a lagging replica is promoted, an empty server takes over), if the new server's clock is no further
    /// behind the old one's than the failover took. If a clock had been set back *and* the last mint is lost, a token
    /// may be smaller than the lost one; that it equals it is as unlikely as 1 in 65,536, by the random step.
    ///
    /// # Errors
    /// [`FenceError::Corrupt`], [`FenceError::Failure`].
    ///
    /// # Cancel safety
    /// A token that nobody knows may have been minted; older ones are refused then.
    pub async fn mint(&self) -> Result<Fence, FenceError> {
        let mut link = self.server.link().await?;
        match fence::mint(&mut link, &self.key).await.map_err(flat)? {
            Some(number) => Ok(Fence { name: self.name.clone(), number }),
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
    pub async fn write(&self, fence: &Fence, value: &[u8]) -> Result<(), FenceError> {
        let name = || self.name.clone();
        if fence.name != self.name {
            return Err(FenceError::OtherName { name: name(), fence: fence.clone() });
        }
        if value.len() > GUARDED_BYTES_MAX {
            return Err(FenceError::TooLarge { name: name(), bytes: value.len() });
        }
        let mut link = self.server.link().await?;
        match fence::write(&mut link, &self.key, fence.number, value).await.map_err(flat)? {
            WriteStatus::Written => Ok(()),
            WriteStatus::Fenced => Err(FenceError::Fenced { name: name(), fence: fence.clone() }),
            WriteStatus::Unminted => Err(FenceError::Unminted { name: name(), fence: fence.clone() }),
            WriteStatus::Corrupt => Err(FenceError::Corrupt(name())),
        }
    }
}

fn flat(error: ScriptError) -> FenceError {
    match error {
        ScriptError::Failure(failure) => failure.into(),
        other => Failure::unknown(other.to_string()).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fence_travels_as_text_and_as_a_number_with_its_name() {
        let account = crate::protocol::ids::AccountId::parse("a1").unwrap();
        for name in [LockName::parse("invoice #17: final").unwrap(), LockName::payouts(&account)] {
            let fence = Fence::new(name.clone(), 1_764_133_000_123_456).unwrap();
            assert_eq!(fence.to_string().parse(), Ok(fence.clone()));
            assert_eq!(Fence::new(name, fence.number()), Ok(fence));
        }
        for wrong in ["", "17", "user:a#", "user:a#0", "user:a#+1", "user:a#01", "else:a#1", "user:#1"] {
            assert!(wrong.parse::<Fence>().is_err(), "{wrong}");
        }
        assert!(Fence::new(LockName::parse("a").unwrap(), FENCE_MAX + 1).is_err());
    }

    #[test]
    fn tokens_of_different_names_do_not_compare() {
        let fence = |name: &str, number| Fence::new(LockName::parse(name).unwrap(), number).unwrap();
        assert!(fence("a", 1) < fence("a", 2));
        assert_eq!(fence("a", 1).partial_cmp(&fence("b", 2)), None);
    }
}
