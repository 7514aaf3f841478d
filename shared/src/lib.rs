//! Tollgate: Redis-backed settlement of jobs that spend something scarce.

pub mod amount;
pub mod code;
pub mod codes_name;
pub mod coupon;
pub mod envelope;
pub mod fingerprint;
pub mod ids;
pub mod input;
pub mod instant;
pub mod job;
pub mod journal;
pub mod keys;
pub mod kinds;
pub mod parked;
pub mod partition;
pub mod payout_key;
pub mod quantity;
pub mod receipts;
pub mod resource;
pub mod span;
pub mod spelling;
pub mod workers;

mod script;
pub mod scripts;

#[cfg(feature = "sabotage")]
pub mod sabotage;

pub mod backoff;
pub mod connect;
pub mod discovery;
pub mod embedded;
pub mod env;
pub mod failure;
pub mod fetch;
#[cfg(feature = "explore")]
pub mod gate;
pub mod incidents;
pub mod link;
pub mod lock;
pub mod preflight;
pub mod random;

pub mod audit;
pub mod codes;
pub mod outcome;
pub mod pressure;
pub mod repair;
pub mod resources;
pub mod waiting;

pub mod tag;
mod tollgate;
pub use tollgate::{Init, OpenError, Packed, RETENTION_DEFAULT, Signpost, Tollgate};
