//! The exit codes that are a worker's own; 0 and 1 are as everywhere.

/// The command line or the environment is wrong.
pub(crate) const USAGE: u8 = 2;
/// There is no Redis to speak to, and waiting would not help.
pub(crate) const UNREACHABLE: u8 = 3;
