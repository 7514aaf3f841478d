//! `tollgate-chaos demo` (`make demo`): a private Redis, three workers, 40,000 jobs with duplicates among them, one
//! worker killed in the middle; coupons, withdrawals, and a [`concert`] with carts that expire. Then what was asked, issued,
//! refused and replayed, and the audit's verdict.
//!
//! Uses the two programs as anybody would, by their command lines alone ([`stage`]). Leaves nothing running,
//! also on Ctrl-C and on failure. Exit code 0: PASS; 1: FAIL, INVALID (nothing was reclaimed or replayed, so
//! nothing was shown) or it could not be run.

mod burst;
mod concert;
mod report;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use indicatif::ProgressBar;

use burst::Burst;
use report::Report;

use crate::stage::{self, Redis, Stage, Stats, Worker, print, thousands};

const WORKERS: usize = 3;
#[cfg(feature = "cluster")]
const CLUSTER_PARTITIONS: &str = "64";
/// Which of them is killed.
const VICTIM: usize = 1;
/// How long the demo waits for anything, on however slow a machine.
const WITHIN: Duration = Duration::from_secs(60);

/// What it plays on.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// On a private Redis Cluster of three masters and three replicas, with 64 partitions.
    #[cfg(feature = "cluster")]
    #[arg(long)]
    cluster: bool,
}

/// Plays it.
pub(crate) async fn run(args: Args) -> ExitCode {
    let report = stage::perform(redis(args).await, play).await;
    report.map_or(ExitCode::FAILURE, |report| report.print())
}

#[cfg_attr(
    not(feature = "cluster"),
    allow(unused_variables, clippy::unused_async, reason = "there is one kind then")
)]
async fn redis(args: Args) -> anyhow::Result<Redis> {
    #[cfg(feature = "cluster")]
    if args.cluster {
        return tokio::task::spawn_blocking(Redis::cluster).await?;
    }
    Redis::one("everysec")
}

async fn play(stage: &Stage) -> anyhow::Result<Report> {
    let burst = burst::make();
    print(format_args!(
        "Tollgate: {} jobs on {WORKERS} workers, one of which is killed\n",
        thousands(burst.sent)
    ));
    stage.say_build();
    stage.say("redis", stage.redis());

    set_up(stage, &burst).await?;
    let mut workers = stage.workers(WORKERS, &[]).await?;
    let pids: Vec<String> = workers.iter().map(|worker| worker.pid().to_string()).collect();
    stage.say("workers", format_args!("{WORKERS} started, pids {}", pids.join(", ")));

    let bar = stage.progress("settled", burst.sent);
    let begun = Instant::now();
    let (sent, killed) = tokio::join!(
        stage.enqueue(&burst.jobs),
        kill_in_the_middle(stage, &mut workers[VICTIM], burst.sent, &bar)
    );
    sent.context("sending the burst")?;
    let killed = killed?;
    let in_hand = killed.as_ref().map_or(0, |killed| killed.in_hand);
    let rest = until(stage, &bar, |stats| stats.waiting == 0 && stats.in_flight <= in_hand).await;
    let settled = rest.context("the workers do not get through the burst")?.entries_settled();
    let seconds = begun.elapsed().as_secs_f64();
    let rest = until(stage, &bar, |stats| stats.waiting + stats.in_flight == 0).await;
    rest.context("what the killed worker held is not taken over")?;
    bar.finish_and_clear();

    say_what_was_done(stage, &burst, settled, seconds);
    if let Some(killed) = killed {
        say_who_was_killed(stage, &killed);
    }
    let concert = concert::play(stage).await.context("the concert")?;
    let settled = until(stage, &bar, |stats| stats.waiting + stats.in_flight == 0).await;
    let stats = settled.context("the concert's jobs are not settled")?;
    for worker in workers {
        worker.drain().await?;
    }
    Report::read(stage, &burst, concert, &stats, in_hand).await
}

/// Makes what the burst is about.
async fn set_up(stage: &Stage, burst: &Burst) -> anyhow::Result<()> {
    match stage.redis() {
        Redis::One(_) => stage.producer(&["init"]).await?,
        #[cfg(feature = "cluster")]
        Redis::Cluster(_) => stage.producer(&["init", "--partitions", CLUSTER_PARTITIONS]).await?,
    };
    stage.enqueue(&burst.resources).await.context("creating the campaign and the accounts")?;
    let seats = stage.dir().join("seats.csv");
    tokio::fs::write(&seats, concert::seats()).await?;
    stage.producer(&["inventory", "create", "concert"]).await?;
    let seats = seats.to_str().context("a directory whose name is not UTF-8")?;
    stage.producer(&["inventory", "load", "concert", "--items-file", seats]).await?;
    stage.say(
        "resources",
        format_args!(
            "a campaign of {} coupons, {} accounts of {}.00 USD, a concert of {} seats",
            burst::COUPONS,
            burst::ACCOUNTS,
            burst::BALANCE / 100,
            concert::SEATS
        ),
    );
    Ok(())
}

fn say_what_was_done(stage: &Stage, burst: &Burst, settled: u64, seconds: f64) {
    let rate = thousands((settled as f64 / seconds) as u64);
    stage.say(
        "sent",
        format_args!("{} jobs, {} of them duplicates", thousands(burst.sent), thousands(burst.duplicates)),
    );
    stage.say(
        "settled",
        format_args!(
            "{} jobs in {seconds:.2} s: {rate} jobs/s, everything on this machine",
            thousands(settled)
        ),
    );
}

/// Now that all is settled.
fn say_who_was_killed(stage: &Stage, Killed { pid, in_hand, at }: &Killed) {
    let jobs = if *in_hand == 1 { "job" } else { "jobs" };
    stage.say(
        "killed",
        format_args!("worker {} (pid {pid}) by SIGKILL, with {in_hand} {jobs} in flight", VICTIM + 1),
    );
    stage.say(
        "reclaimed",
        format_args!("by the others, all settled {:.1} s after the kill", at.elapsed().as_secs_f64()),
    );
}

struct Killed {
    pid: u32,
    in_hand: u64,
    at: Instant,
}

/// Kills a worker that has work in flight, when an eighth of the burst is settled. It is frozen first: then what
/// it has in flight can be counted, and is certain to be settled by others.
async fn kill_in_the_middle(
    stage: &Stage,
    victim: &mut Worker,
    sent: u64,
    bar: &ProgressBar,
) -> anyhow::Result<Option<Killed>> {
    loop {
        let stats = until(stage, bar, |stats| stats.entries_settled() >= sent / 8).await?;
        victim.freeze()?;
        let in_hand = stage.in_hand(victim).await?;
        if in_hand > 0 {
            victim.kill().await?;
            return Ok(Some(Killed { pid: victim.pid(), in_hand, at: Instant::now() }));
        }
        victim.thaw()?;
        if stats.entries_settled() == sent {
            return Ok(None);
        }
    }
}

/// Waits for a state of the namespace, and moves the bar meanwhile.
async fn until(stage: &Stage, bar: &ProgressBar, enough: impl Fn(&Stats) -> bool) -> anyhow::Result<Stats> {
    let begun = Instant::now();
    loop {
        let stats = stage.stats().await?;
        bar.set_position(stats.entries_settled());
        if enough(&stats) {
            return Ok(stats);
        }
        ensure!(
            begun.elapsed() < WITHIN,
            "waited {WITHIN:?}; {} waiting, {} in flight",
            stats.waiting,
            stats.in_flight
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
