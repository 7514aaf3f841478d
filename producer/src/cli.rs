//! What can be typed: the global options and the commands, as clap reads them.
//!
//! First of two steps: single values are checked here by the parsers of their types (an id, a time, a number),
//! so a wrong one is exit code 2 before anything is connected. What needs several values at once (an amount and
//! its currency, a window) is checked by the command, before it connects.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};
use tollgate::env;
use tollgate::ids::{Actor, DEFAULT_NAMESPACE, Namespace};

#[cfg(feature = "watch")]
use crate::commands::watch;
use crate::commands::{
    account, audit, burst, campaign, dead, enqueue, init, job, journal, lookup, payout, queue, receipts,
    redeem, redis, repair, stats, withdraw, worker,
};

/// Coupons and money, each spent exactly once: the command line of Tollgate
#[derive(Debug, Parser)]
#[command(name = "tollgate-producer", version, max_term_width = 100, subcommand_required = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The options of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The Redis to use: redis://, rediss:// or unix://; without it a private server under .tollgate/
    #[arg(long, global = true, value_name = "URL", env = env::REDIS_URL, hide_env_values = true)]
    pub(crate) redis_url: Option<String>,
    /// A PEM file with the authorities that rediss:// trusts instead of the system's
    #[arg(long, global = true, value_name = "FILE", env = env::REDIS_CA_FILE)]
    pub(crate) redis_ca: Option<PathBuf>,
    /// A PEM file with our own certificate, where the server asks for one
    #[arg(long, global = true, value_name = "FILE", env = env::REDIS_CERT_FILE, requires = "redis_key")]
    pub(crate) redis_cert: Option<PathBuf>,
    /// The key of that certificate
    #[arg(long, global = true, value_name = "FILE", env = env::REDIS_KEY_FILE, requires = "redis_cert")]
    pub(crate) redis_key: Option<PathBuf>,
    /// Use a Redis that may lose or evict data; only warn of what is wrong with it
    #[arg(long, global = true, action = ArgAction::SetTrue)]
    pub(crate) allow_unsafe_redis: bool,
    /// The first part of every key
    #[arg(long, global = true, value_name = "NAME", env = env::TOLLGATE_NAMESPACE, default_value = DEFAULT_NAMESPACE)]
    pub(crate) namespace: Namespace,
    /// The name that the journal keeps for an operation [default: the Redis user's]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) by: Option<Actor>,
    /// Print data as JSON, a stable contract (docs/cli-json.md), and messages on stderr too, one object a line
    #[arg(long, global = true, action = ArgAction::SetTrue)]
    pub(crate) json: bool,
    /// Print nothing on stderr but errors, warnings and the id of a change
    #[arg(long, global = true, action = ArgAction::SetTrue)]
    pub(crate) quiet: bool,
}

/// The commands, in the order of a user's need.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Initialise the namespace, or change its retention
    Init(init::Args),
    /// Create, show, change, close and list campaigns
    Campaign(campaign::Args),
    /// Open, show, close and list accounts, and deposit money
    Account(account::Args),
    /// Enqueue one redemption
    Redeem(redeem::Args),
    /// Enqueue one withdrawal
    Withdraw(withdraw::Args),
    /// Enqueue a file of jobs, one JSON object a line
    Enqueue(enqueue::Args),
    /// Generate load: seeded, repeatable, with duplicates
    Burst(burst::Args),
    /// What became of jobs
    Lookup(lookup::Args),
    /// One job's history, and jobs that wait for their time
    Job(job::Args),
    /// Counters of the namespace, its queues and partitions
    Stats(stats::Args),
    /// Jobs that nobody could decide
    Dead(dead::Args),
    /// Open payouts: list, show, and decide those that need a person
    Payout(payout::Args),
    /// Queues: list, pause, resume
    Queue(queue::Args),
    /// Worker processes
    Worker(worker::Args),
    /// The journal of every decision
    Journal(journal::Args),
    /// Replay the journal and compare everything with it
    Audit(audit::Args),
    /// Live view in the terminal
    #[cfg(feature = "watch")]
    Watch(watch::Args),
    /// Receipts of old ids
    Receipts(receipts::Args),
    /// Restore from the journal what was changed by other means than Tollgate's
    Repair(repair::Args),
    /// The private redis-server that is used where no URL is given
    Redis(redis::Args),
    /// Print the completions of a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages
    Man {
        /// The directory to write them into
        dir: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_declaration_is_sound() {
        super::Cli::command().debug_assert();
    }
}
