//! Sends one job, and waits for its outcome if asked: what `redeem` and `withdraw` share.

use std::time::Duration;

use tollgate::ids::{JobId, QueueName};
use tollgate::instant::Instant;

use crate::arguments;

/// What was typed.
#[derive(Debug, clap::Args)]
pub(super) struct SendArgs {
    /// Makes the job repeatable: the same key has one effect [default: a fresh UUIDv7]
    #[arg(long, value_name = "KEY")]
    id: Option<JobId>,
    /// The queue
    #[arg(long, value_name = "NAME", default_value = tollgate::ids::DEFAULT_QUEUE)]
    queue: QueueName,
    /// Not before this time has passed
    #[arg(long = "in", value_name = "TIME", conflicts_with = "at", value_parser = arguments::duration)]
    delay: Option<Duration>,
    /// Not before this instant (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = arguments::time)]
    at: Option<Instant>,
    /// Wait for the outcome, so long at most
    #[arg(long, value_name = "TIME", num_args = 0..=1, default_missing_value = "5s", value_parser = arguments::duration)]
    wait: Option<Duration>,
}
