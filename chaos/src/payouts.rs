//! `tollgate-chaos payouts` (`make demo-payouts`): payouts through a bank that misbehaves, while workers are killed
//! every second and one is stopped past its lease; then our books against the bank's own file.
//!
//! Exit code 0: PASS; 1: FAIL, INVALID (too little went wrong to show anything), or it could not be run.

mod bank;
mod options;
mod report;
mod script;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

use crate::stage::{self, Redis, Stage, Worker, print, thousands};
use bank::Bank;
use report::{Faults, Report};

pub(crate) use options::Args;

/// How long a request may take: the bank hangs for longer.
const TIMEOUT: &str = "400ms";
/// How long a worker is stopped: past its lease, which is a second longer than a request.
const STOPPED_FOR: Duration = Duration::from_secs(3);
/// Between two kills.
const KILL_EVERY: Duration = Duration::from_secs(1);
/// Kills at most; then the fleet is left alone to finish.
const KILLS_MAX: usize = 20;

/// Plays it.
pub(crate) async fn run(args: Args) -> ExitCode {
    let report = stage::perform(Redis::one("always"), async |stage| play(stage, &args).await).await;
    report.map_or(ExitCode::FAILURE, |report| report.print(&args))
}

/// One open payout, of `payout ls --json`.
#[derive(Deserialize)]
struct Open {
    state: String,
}

async fn play(stage: &Stage, args: &Args) -> anyhow::Result<Report> {
    let script = script::write(args.payouts, args.accounts, args.seed);
    print(format_args!(
        "Tollgate: {} payouts from {} accounts, {} workers, a bank that misbehaves in seven ways, {} each\n",
        thousands(args.payouts),
        args.accounts,
        args.workers,
        args.rate
    ));
    stage.say_build();
    stage.say("redis", format_args!("{}, appendfsync always", stage.redis()));
    let bank = Bank::open(stage, args).await?;
    stage.say("bank", format_args!("{}, seed {}", bank.url(), args.seed));
    stage.producer(&["init"]).await?;
    stage.enqueue(&script.accounts).await.context("opening the accounts")?;

    let url = bank.url().to_owned();
    let options = [
        "--payout-url",
        &url,
        "--payout-timeout",
        TIMEOUT,
        "--payout-backoff",
        "100ms",
        "--payout-pause",
        "200ms",
        "--payout-retry",
        &args.retry,
        "-c",
        "50",
    ];
    let mut workers = stage.workers(args.workers as usize, &options).await?;
    let begun = Instant::now();
    stage.enqueue(&script.payouts).await.context("sending the payouts")?;

    let bar = stage.progress("ended", args.payouts);
    let mut storm = Storm::new(args.seed);
    loop {
        storm.strike(stage, &mut workers, &options).await?;
        let stats = stage.stats().await?;
        let open: Vec<Open> = stage.json(&["payout", "ls"]).await?;
        let on_their_way = open.iter().filter(|payout| payout.state != "needs_review").count() as u64;
        let unsettled = stats.waiting + stats.in_flight + on_their_way;
        bar.set_position(args.payouts.saturating_sub(unsettled));
        if unsettled == 0 && storm.is_over() {
            break;
        }
        ensure!(begun.elapsed() < args.within, "{unsettled} payouts are not over after {:?}", args.within);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bar.finish_and_clear();
    let took = begun.elapsed();
    for worker in workers {
        worker.drain().await?;
    }
    Report::read(stage, &bank, storm.faults, took).await
}

/// Kills a worker every second and starts another in its place; stops one past its lease, once.
struct Storm {
    random: ChaCha8Rng,
    next_kill: Instant,
    stopped: Option<(usize, Instant)>,
    faults: Faults,
}

/// Kills without which nothing was shown.
const KILLS_MIN: usize = 3;

impl Storm {
    fn new(seed: u64) -> Self {
        let next_kill = Instant::now() + KILL_EVERY;
        Self { random: ChaCha8Rng::seed_from_u64(seed), next_kill, stopped: None, faults: Faults::default() }
    }

    /// Whether enough has happened, and nobody is stopped any more.
    fn is_over(&self) -> bool {
        self.faults.kills >= KILLS_MIN && self.faults.stops > 0 && self.stopped.is_none()
    }

    async fn strike(
        &mut self,
        stage: &Stage,
        workers: &mut [Worker],
        options: &[&str],
    ) -> anyhow::Result<()> {
        if let Some((number, until)) = self.stopped
            && Instant::now() >= until
        {
            workers[number].thaw()?;
            self.stopped = None;
        }
        if Instant::now() < self.next_kill || self.faults.kills >= KILLS_MAX {
            return Ok(());
        }
        self.next_kill = Instant::now() + KILL_EVERY;
        if self.faults.stops == 0 {
            let number = self.random.random_range(0..workers.len());
            workers[number].freeze()?;
            self.stopped = Some((number, Instant::now() + STOPPED_FOR));
            self.faults.stops += 1;
            return Ok(());
        }
        let number = self.random.random_range(0..workers.len());
        // The stopped one is to wake up and find that it is late.
        if self.stopped.is_some_and(|(stopped, _)| stopped == number) {
            return Ok(());
        }
        workers[number].kill().await?;
        workers[number] = stage.worker(number + 1, options)?;
        self.faults.kills += 1;
        Ok(())
    }
}
