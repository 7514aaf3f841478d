//! Tollgate: Redis-backed settlement of jobs that spend something scarce.

pub mod amount;
pub mod code;
pub mod ids;
pub mod input;
pub mod instant;
