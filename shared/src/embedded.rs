//! The private redis-server that is used where no other is named: one per directory, started on demand.
//!
//! Relies on flock: the starter locks `<dir>/lock` and hands the open file to the server as its standard
//! input, so the lock lives exactly as long as the server does, whatever kills either of them. Two servers
//! on one directory would write one append-only file; with the lock the second never starts.
//! Without the feature `embedded` nothing is started: then a server has to be named.
//! Must not touch a directory that belongs to another user, and must not stop a server it did not find
//! behind that lock.

#[cfg(feature = "embedded")]
mod binary;
#[cfg(feature = "embedded")]
mod dir;
mod error;
#[cfg(feature = "embedded")]
mod launcher;
mod options;
#[cfg(feature = "embedded")]
mod process;
#[cfg(feature = "embedded")]
mod ready;
#[cfg(feature = "embedded")]
mod temporary;

#[cfg(feature = "embedded")]
pub use binary::server_binary;
#[cfg(feature = "embedded")]
pub use dir::{DIR_NAME, find_dir, find_dir_from};
pub use error::EmbeddedError;
#[cfg(feature = "embedded")]
pub use launcher::{Embedded, Status, Stopped, status, stop};
pub use options::{AppendFsync, Options};
#[doc(hidden)]
#[cfg(feature = "embedded")]
pub use process::despite_signals;
#[cfg(feature = "embedded")]
pub use temporary::Temporary;
