//! The command line of a run.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;

use super::cure::{Kind, Store};
use super::matrix::Matrix;
use super::scenario::Scenario;
use crate::span::Span;

/// As many users at once as the servers here have connections for.
const CONCURRENCY_MAX: u64 = 64;

/// The run.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "CONSUL_ADDR=HOST:PORT names a Consul whose lock is played, too; without it Consul is left out."
)]
pub(crate) struct Args {
    /// Only this scenario; repeatable
    #[arg(long = "scenario", value_name = "NAME")]
    pub(super) scenarios: Vec<Scenario>,
    /// Only this cure; repeatable
    #[arg(long = "cure", value_name = "NAME")]
    pub(super) cures: Vec<Kind>,
    /// Only on this store; repeatable
    #[arg(long = "store", value_name = "NAME")]
    pub(super) stores: Vec<Store>,
    /// Users at once; each cell is played at each of these
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "2,8,32",
          value_parser = clap::value_parser!(u64).range(2..=CONCURRENCY_MAX))]
    pub(super) concurrency: Vec<u64>,
    /// Between reading and writing, drawn from the seed; 0 for none
    #[arg(long, value_name = "SPAN", default_value = "0..2ms", value_parser = think)]
    pub(super) think: Span,
    /// How long each cell is played at each concurrency; a round that has begun is played to its end
    #[arg(long, value_name = "TIME", default_value = "40ms", value_parser = time)]
    pub(super) time: Duration,
    /// Rounds that each cell is played at least at each concurrency, however long they take
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub(super) rounds: u64,
    /// Also stop a holder of each lock until its lock has ended and another is done, for this long at most [default of
    /// a bare --pause: 3s]
    #[arg(long, value_name = "TIME", num_args = 0..=1, default_missing_value = "3s",
          value_parser = pause)]
    pub(super) pause: Option<Duration>,
    /// The seed of the requests and of the pauses between reading and writing
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,
    /// Print one JSON document instead of tables
    #[arg(long)]
    pub(super) json: bool,
    /// Write a page with charts, index.html, into this directory
    #[arg(long, value_name = "DIR")]
    pub(super) report: Option<PathBuf>,
}

/// Long enough for any user; a cell asks one after the other.
const THINK_MAX: Duration = Duration::from_secs(1);

fn think(text: &str) -> Result<Span, String> {
    let span = Span::parse(text)?;
    if span.most() > THINK_MAX { Err("must be at most 1s".to_owned()) } else { Ok(span) }
}

fn time(text: &str) -> Result<Duration, String> {
    between(text, Duration::from_millis(1)..=Duration::from_secs(60), "must be from 1ms to 1m")
}

/// The lock of a holder that is stopped lasts a second, and its end takes its service another.
fn pause(text: &str) -> Result<Duration, String> {
    between(text, Duration::from_secs(2)..=Duration::from_secs(60), "must be from 2s to 1m")
}

fn between(text: &str, allowed: RangeInclusive<Duration>, rule: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| format!("{rule}: {error}"))?;
    if allowed.contains(&duration) { Ok(duration) } else { Err(rule.to_owned()) }
}

impl Args {
    /// What is to be played.
    pub(super) fn matrix(&self) -> Matrix {
        /// Each once, in our order.
        fn or_all<T: Copy + PartialEq>(chosen: &[T], all: &[T]) -> Vec<T> {
            all.iter().copied().filter(|one| chosen.is_empty() || chosen.contains(one)).collect()
        }
        Matrix::new(
            &or_all(&self.scenarios, &Scenario::ALL),
            &or_all(&self.cures, Kind::value_variants()),
            &or_all(&self.stores, &Store::ALL),
            self.pause.is_some(),
        )
    }
}
