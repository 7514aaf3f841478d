//! `tollgate-chaos` from outside: its command line, real servers, real signals.
//!
//! Relies on the worker and the producer lying beside it, as `make test` builds them, and on PostgreSQL.

#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod bank;
mod cluster;
mod compose;
#[cfg(feature = "explore")]
mod explore;
mod leftovers;
#[cfg(feature = "sabotage")]
mod planted;
mod race;
mod run;
#[cfg(feature = "sabotage")]
mod sabotage;
