//! The worker from outside: real processes, real signals, a real redis-server.
//!
//! All of it: `cargo test -p tollgate-worker --features failpoints`. Without the feature, the modules that make the
//! worker die at a point of their choice are left out.
#![allow(clippy::unwrap_used)]

mod alerts;
mod bank;
mod cluster;
mod harness;
mod proxy;

mod configuration;
mod delayed;
mod jobs;
mod links;
mod operate;
mod orders;
mod partitions;
mod payouts;
mod queues;
mod refusals;
mod secrets;
mod sentinel;
mod signals;
mod supervised;
mod unavailable;
mod unsafe_redis;

#[cfg(feature = "failpoints")]
mod crash;
#[cfg(feature = "failpoints")]
mod zombie;
