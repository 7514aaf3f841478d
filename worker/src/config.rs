//! What a worker needs to know, whoever said so: the command line, or a test of every order.

use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use tollgate::connect::{RedisOptions, Safety};
use tollgate::ids::{Namespace, QueueName};

use crate::log::LogFormat;
use crate::payout::options::PayoutConfig;

/// Settle calls in flight: one runs in Redis while the next is put together or read. More would wait in Redis's
/// queue and nowhere else.
pub(crate) const SETTLES_MAX: usize = 2;

/// Which queues to serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Queues {
    /// Every queue that the namespace has or gets, all with the same weight.
    All,
    /// These.
    Named(Vec<(QueueName, u32)>),
}

impl Queues {
    /// Whether a queue is one of them.
    pub(crate) fn names(&self, queue: &QueueName) -> bool {
        match self {
            Self::All => true,
            Self::Named(named) => named.iter().any(|(name, _)| name == queue),
        }
    }
}

impl fmt::Display for Queues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Named(queues) => {
                let queues: Vec<_> =
                    queues.iter().map(|(queue, weight)| format!("{queue},{weight}")).collect();
                f.write_str(&queues.join(" "))
            }
        }
    }
}

/// What the program needs.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) redis: RedisOptions,
    pub(crate) unsafe_redis: Safety,
    pub(crate) namespace: Namespace,
    pub(crate) queues: Queues,
    pub(crate) concurrency: usize,
    pub(crate) batch: RangeInclusive<usize>,
    pub(crate) claim_idle: Duration,
    pub(crate) drain_timeout: Duration,
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) payout: PayoutConfig,
    pub(crate) log_format: LogFormat,
}
