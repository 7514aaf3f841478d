//! How much is asked.

use std::time::Duration;

/// How much a scenario asks for.
#[derive(Debug, Clone, Copy)]
pub(in crate::run) struct Load {
    /// Clients that wait for each answer.
    pub(in crate::run) askers: usize,
    /// Jobs in one file, and the pause between two.
    pub(in crate::run) file: usize,
    pub(in crate::run) file_every: Duration,
    /// Whether money also leaves through the bank.
    pub(in crate::run) payouts: bool,
    pub(in crate::run) poison: bool,
    pub(in crate::run) pauses: bool,
    /// Of each client's calls the first and then every so-many-th: it runs, its reply is lost, and its sender with it.
    pub(in crate::run) unheard: Option<u64>,
    /// Jobs that are sent while all workers are gone.
    pub(in crate::run) backlog: usize,
}
