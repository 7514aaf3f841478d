//! How a private server is started.

use std::path::PathBuf;

/// When the private server forces its append-only file to disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppendFsync {
    /// Once a second: a crash of the machine may lose the last second or two.
    EverySec,
    /// Before each answer.
    Always,
}

impl AppendFsync {
    /// The word redis.conf uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EverySec => "everysec",
            Self::Always => "always",
        }
    }

    /// Reads that word.
    pub fn parse(word: &str) -> Option<Self> {
        match word.trim() {
            "everysec" => Some(Self::EverySec),
            "always" => Some(Self::Always),
            _ => None,
        }
    }
}

/// How a private server is started.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// None: as it was started last, at first `everysec`. `Always` is also set on a server that runs
    /// already; the weaker `EverySec` is not.
    pub appendfsync: Option<AppendFsync>,
    /// The redis-server binary; None: [`crate::env::TOLLGATE_REDIS_SERVER`], else the one in PATH.
    pub binary: Option<PathBuf>,
}
