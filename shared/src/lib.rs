//! Tollgate: Redis-backed settlement of jobs that spend something scarce.
//!
//! In layers, each of which relies on those before it: [`protocol`], [`connection`], [`scripts`], [`reads`],
//! [`procedures`], [`lock`]; [`Tollgate`] is a namespace.

pub mod connection;
pub mod procedures;
pub mod protocol;
pub mod reads;
pub mod scripts;

#[cfg(feature = "sabotage")]
pub mod sabotage;

pub mod embedded;
pub mod env;
pub mod incidents;
pub mod lock;

mod tollgate;
pub use tollgate::{Init, OpenError, Packed, RETENTION_DEFAULT, Signpost, Tollgate};

#[cfg(feature = "explore")]
pub use connection::gate;
pub use connection::{backoff, connect, failure, link, preflight, random};
pub use procedures::{codes, receipts};
pub use protocol::{
    amount, code, codes_name, envelope, fingerprint, ids, input, instant, job, keys, kinds, partition,
    payout_key, quantity, resource, span, spelling, tag,
};
pub use reads::{coupon, discovery, fetch, journal, outcome, parked, pressure, resources, waiting, workers};
