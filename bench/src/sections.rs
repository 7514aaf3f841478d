//! What is measured: one file for each section.

mod backlog;
mod contention;
mod drain;
mod enqueue;
mod fleet;
mod idle;
mod instructions;
mod latency;
mod lock;
mod memory;
mod partitions;
mod payouts;
mod peers;

use anyhow::Result;
use clap::ValueEnum;

use crate::fixture::{ACCOUNTS, Workload};
use crate::report::Row;
use crate::scale::Scale;

/// A section of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Section {
    /// (a) The producer against redis-benchmark.
    Enqueue,
    /// (b) Redemptions against the bare batch.
    Redeem,
    /// (c) Withdrawals against the bare batch.
    Withdraw,
    /// (d) From enqueue to settled.
    Latency,
    /// (e) What a job weighs in Redis.
    Memory,
    /// (f) The rate at growing backlogs.
    Backlog,
    /// (g) Several worker processes.
    Fleet,
    /// (h) Locks on several nodes.
    Lock,
    /// (i) Payouts through a bank that takes its time.
    Payouts,
    /// (j) A lock that many want.
    Contention,
    /// (k) Instructions of a redis-server that runs under callgrind, against the bare batch.
    Instructions,
    /// (l) BullMQ and apalis on the same Redis.
    Peers,
    /// (m) A fleet that has nothing to do.
    Idle,
    /// (n) Partitions, on one Redis and on three masters that run under callgrind.
    Partitions,
}

impl Section {
    /// What `make bench` runs.
    pub(crate) const PUBLISHED: [Self; 10] = [
        Self::Enqueue,
        Self::Redeem,
        Self::Withdraw,
        Self::Latency,
        Self::Memory,
        Self::Backlog,
        Self::Fleet,
        Self::Lock,
        Self::Payouts,
        Self::Contention,
    ];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Enqueue => "(a) enqueue, against redis-benchmark -c 1 -P 200 XADD",
            Self::Redeem => "(b) redemptions, against the bare batch",
            Self::Withdraw => "(c) withdrawals, against the bare batch",
            Self::Latency => "(d) latency from enqueue to settled",
            Self::Memory => "(e) memory in Redis",
            Self::Backlog => "(f) drain rate by backlog",
            Self::Fleet => "(g) worker processes",
            Self::Lock => "(h) lock: acquire and release, against one SET NX PX and DEL",
            Self::Payouts => "(i) payouts by -c, 1,000 accounts, a bank of 20 ms; limit: c / 20 ms",
            Self::Contention => {
                "(j) a lock that many want, on 1 / 3 / 5 nodes, against one holder right after the other"
            }
            Self::Idle => "(m) idle: Redis of 100 workers that have nothing to do; limit: before they came",
            Self::Partitions => "(n) partitions: redis-server for one job, and for a second without any",
            Self::Instructions => "(k) redis-server for one job, against the bare batch; batches of 100",
            Self::Peers => {
                "(l) other job systems on the same Redis; limit: the other, ratio above 1: ours is better"
            }
        }
    }

    pub(crate) fn run(self, scale: Scale) -> Result<Vec<Row>> {
        match self {
            Self::Enqueue => enqueue::run(scale),
            Self::Redeem => drain::run(scale, Workload::Redeem),
            Self::Withdraw => drain::run(scale, Workload::Withdraw { accounts: ACCOUNTS }),
            Self::Latency => latency::run(scale),
            Self::Memory => memory::run(scale),
            Self::Backlog => backlog::run(scale),
            Self::Fleet => fleet::run(scale),
            Self::Lock => lock::run(scale),
            Self::Payouts => payouts::run(scale),
            Self::Contention => contention::run(scale),
            Self::Idle => idle::run(scale),
            Self::Instructions => instructions::run(scale),
            Self::Peers => peers::run(scale),
            Self::Partitions => partitions::run(scale),
        }
    }
}
