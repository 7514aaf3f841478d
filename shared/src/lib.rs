//! Coupons, withdrawals and payouts on Redis that happen once: however often a job is sent, whoever crashes, however late
//! an answer comes.
//!
//! A request has an id of the caller's own. Whoever asks again under that id gets the decision that was made, and no
//! second effect: effect, receipt, journal line and acknowledgement are one step of Redis. So every call here may be
//! repeated, and after a lost answer it should be.
//!
//! # The five types to know
//!
//! | type | what it is |
//! |---|---|
//! | [`Tollgate`] | an open namespace: [`connect`](Tollgate::connect), then ask |
//! | [`ids::JobId`] | the name of one request; [`JobId::fresh`](ids::JobId::fresh) makes one, or parse your own |
//! | the requests of [`kinds`] | [`Redeem`](kinds::Redeem), [`Withdraw`](kinds::Withdraw), [`Payout`](kinds::Payout); a [`Job`](job::Job) is an id with one of them |
//! | [`Decision`], [`Outcome`](outcome::Outcome) | what was decided at once; what became of a job in a queue |
//! | [`Error`] | why there is no answer, and whether to ask again |
//!
//! # Quick start: decided at once
//!
//! No queue and no worker: one call of Redis, about half a millisecond. What a web handler wants.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! use tollgate::ids::JobId;
//! use tollgate::kinds::CampaignCreate;
//! use tollgate::quantity::{Limit, Quantity};
//! use tollgate::Tollgate;
//!
//! # let redis = tollgate::embedded::Embedded::temporary()?;
//! # let url = redis.url();
//! let tollgate = Tollgate::connect(&url).await?; // "redis://127.0.0.1", say
//! let three = Limit::new(3).ok_or("a limit")?;
//! tollgate.create_campaign(&CampaignCreate::new("summer".parse()?, three)).await?;
//!
//! let order = JobId::parse("order-17")?;
//! let first = tollgate.redeem(&order, "summer".parse()?, "c42".parse()?, Quantity::ONE).await?;
//! let again = tollgate.redeem(&order, "summer".parse()?, "c42".parse()?, Quantity::ONE).await?;
//! assert!(first.is_applied() && again.replayed && again.seq == first.seq);
//! let summer = tollgate.campaign(&"summer".parse()?).await?.ok_or("a campaign")?;
//! assert_eq!(summer.issued, 1);
//! # Ok(()) })
//! # }
//! ```
//!
//! # Through a queue
//!
//! For bursts, for jobs with a time, and where the sender shall not wait: workers (`tollgate-worker`) decide them.
//!
//! ```no_run
//! # async fn example(tollgate: tollgate::Tollgate) -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//! use tollgate::ids::{JobId, QueueName};
//! use tollgate::job::Job;
//! use tollgate::kinds::Withdraw;
//! use tollgate::outcome::OutcomeClass;
//!
//! let amount = tollgate::amount::Amount::from_minor(12_50).ok_or("an amount")?;
//! let request = Withdraw { account: "a1".parse()?, amount, currency: "USD".parse()? }.into();
//! let job = Job { id: JobId::fresh(), at: None, request };
//! tollgate.send(&QueueName::default(), std::slice::from_ref(&job)).await?;
//!
//! let outcome = tollgate.wait(&job.id, Duration::from_secs(5)).await?;
//! if outcome.class == OutcomeClass::NotDecided {
//!     println!("no worker has come to it yet; ask again by its id, or send it again");
//! }
//! # Ok(()) }
//! ```
//!
//! # A lock, and a fence for what a lock cannot protect
//!
//! A holder that was stopped continues when its lease is long over. Where the effect compares a [`Fence`](lock::Fence), it is
//! refused; see [`lock`].
//!
//! ```no_run
//! # async fn example(tollgate: tollgate::Tollgate) -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//! use tollgate::ids::LockName;
//! use tollgate::lock::LockOptions;
//!
//! let name = LockName::parse("invoice 17")?;
//! let options = LockOptions::of_ttl(Duration::from_secs(10));
//! let lock = tollgate.locks().acquire(&name, &options).await?;
//! let invoice = tollgate.guarded(name);
//! let fence = invoice.mint().await?; // from now on older holders are refused
//! let text = invoice.read().await?.unwrap_or_default();
//! invoice.write(&fence, &[text, b"printed\n".to_vec()].concat()).await?;
//! lock.release().await?;
//! # Ok(()) }
//! ```
//!
//! # Errors, and whether to ask again
//!
//! [`Error::may_have_happened`]: nobody knows whether it did; ask again under the same id. Otherwise nothing happened.
//! [`Error::is_transient`]: the same call may succeed later by itself. Everything else wants somebody to mend something, and
//! says what. Any call may be dropped at any time; what that means is said where it is not obvious.
//!
//! # Layers
//!
//! `protocol` (pure), `connection`, `scripts` (one typed wrapper a Lua file), `reads`, `procedures`, [`lock`], and on top
//! [`Tollgate`]. What the programs of the workspace need besides is not part of this documentation and may change with any
//! release.

#![warn(clippy::missing_errors_doc)]

mod connection;
mod procedures;
mod protocol;
mod reads;
#[doc(hidden)]
pub mod scripts;

#[doc(hidden)]
#[cfg(feature = "sabotage")]
pub mod sabotage;

pub mod embedded;
#[doc(hidden)]
pub mod env;
pub mod lock;
#[doc(hidden)]
pub mod random;

mod client;
mod tollgate;

pub use client::{Builder, Decision, Error};
pub use tollgate::{Init, OpenError, RETENTION_DEFAULT, Tollgate};
#[doc(hidden)]
pub use tollgate::{NamespaceMeta, Packed};

pub use connection::{connect, failure};
pub use procedures::{codes, stock};
pub use protocol::{
    amount, code, ids, input, instant, job, kinds, lines, options, partition, quantity, reason, resource,
    span_ms, stock_name,
};
pub use reads::{case, inventory, journal, orders, outcome, resources, tickets};

#[doc(hidden)]
#[cfg(feature = "explore")]
pub use connection::gate;
#[doc(hidden)]
pub use connection::{backoff, commands, link, preflight};
#[doc(hidden)]
pub use procedures::receipts;
#[doc(hidden)]
pub use protocol::{
    codes_name, envelope, fingerprint, item_counts, keys, payout_key, row, span, spelling, tag, ticket_ranges,
};
#[doc(hidden)]
pub use reads::abreast::abreast;
#[doc(hidden)]
pub use reads::{coupon, discovery, fetch, parked, pressure, waiting, workers};
