//! What can be said of a run of payouts.

use std::time::Duration;

/// The run.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// How many payouts
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(super) payouts: u64,
    /// From how many accounts
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub(super) accounts: u64,
    /// How many workers
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u64).range(2..=16))]
    pub(super) workers: u64,
    /// How often the bank misbehaves, for each of seven ways
    #[arg(long, value_name = "RATE", default_value = "5%")]
    pub(super) rate: String,
    /// After an unknown attempt: same-key, or never
    #[arg(long, value_name = "RULE", default_value = "same-key", value_parser = ["same-key", "never"])]
    pub(super) retry: String,
    /// The bank forgets each key as soon as it has paid
    #[arg(long)]
    pub(super) forget_keys: bool,
    /// The seed of the jobs, of the bank and of the kills
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,
    /// How long the run may take in all
    #[arg(long, value_name = "TIME", default_value = "3m", value_parser = humantime::parse_duration)]
    pub(super) within: Duration,
}
