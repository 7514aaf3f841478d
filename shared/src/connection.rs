//! The way to Redis: where it is, how it is spoken to, what a failure says of what happened.

pub mod backoff;
mod classify;
pub mod commands;
pub mod connect;
pub mod failure;
#[cfg(feature = "explore")]
pub mod gate;
pub mod link;
pub mod preflight;
mod refusal;
pub(crate) mod reply;
