//! What is to be played in containers.

use std::path::PathBuf;
use std::time::Duration;

/// What is played.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) duration: Duration,
    pub(crate) workers: usize,
    pub(crate) report: PathBuf,
    pub(crate) json: bool,
    pub(crate) engine: String,
    pub(crate) repeat: String,
}
