//! The worker from outside: real processes, real signals, a real redis-server.
//!
//! Needs the fail points: `cargo test -p tollgate-worker --features failpoints`.
#![allow(clippy::unwrap_used)]

mod harness;

mod jobs;
mod readme;
