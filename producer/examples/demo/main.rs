//! `make demo`: a private Redis, three workers, 20,000 jobs with duplicates among them, one worker killed in the
//! middle; then what was asked, issued, refused and replayed, and the audit's verdict.
//!
//! Uses the two programs as anybody would, by their command lines alone ([`stage`]). Leaves nothing running,
//! also on Ctrl-C and on failure. Exit code 0: PASS; 1: FAIL, INVALID (nothing was reclaimed or replayed, so
//! nothing was shown) or it could not be run.

mod burst;
mod report;
mod stage;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio::signal::unix::{SignalKind, signal};

use crate::report::Report;
use crate::stage::{Stage, Stats, complain, print, thousands};

const WORKERS: usize = 3;
/// Which of them is killed.
const VICTIM: usize = 1;
/// The burst is sent in so many parts; the kill comes after the first.
const WAVES: usize = 4;
/// How long the demo waits for anything, on however slow a machine.
const WITHIN: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> ExitCode {
    let stage = match Stage::set().await {
        Ok(stage) => stage,
        Err(error) => {
            complain(format_args!("error: {error:#}"));
            return ExitCode::FAILURE;
        }
    };
    let played = tokio::select! {
        played = play(&stage) => played,
        () = interrupted() => Err(anyhow::anyhow!("interrupted")),
    };
    let exit = match &played {
        Ok(report) => report.print(),
        Err(error) => {
            complain(format_args!("\nerror: {error:#}"));
            ExitCode::FAILURE
        }
    };
    if played.is_err() {
        stage.print_logs();
    }
    exit
}

async fn interrupted() {
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let [Ok(mut int), Ok(mut term), Ok(mut hup)] = kinds.map(signal) else { return };
    tokio::select! { _ = int.recv() => {}, _ = term.recv() => {}, _ = hup.recv() => {} }
}

async fn play(stage: &Stage) -> anyhow::Result<Report> {
    let burst = burst::make(WAVES);
    print(format_args!(
        "Tollgate: {} jobs on {WORKERS} workers, one of which is killed\n",
        thousands(burst.sent)
    ));
    stage.say("redis", format_args!("a private server in {}", stage.dir().display()));

    stage.enqueue(&burst.resources).await.context("creating the campaign and the accounts")?;
    stage.say(
        "resources",
        format_args!(
            "a campaign of {} coupons, {} accounts of {}.00 USD",
            burst::COUPONS,
            burst::ACCOUNTS,
            burst::BALANCE / 100
        ),
    );

    let mut workers = stage.workers(WORKERS).await?;
    let pids: Vec<String> = workers.iter().map(|worker| worker.pid().to_string()).collect();
    stage.say("workers", format_args!("{WORKERS} started, pids {}", pids.join(", ")));

    let bar = stage.progress(burst.sent);
    let begun = Instant::now();
    let mut in_hand = 0;
    for (number, wave) in burst.waves.iter().enumerate() {
        // A frozen worker is still served: Redis answers the read that it was waiting in. So what it has in hand
        // when it is killed is certain to be neither lost nor settled by it. Should its read just have ended,
        // the next wave tries again.
        let freeze = number > 0 && in_hand == 0;
        if freeze {
            workers[VICTIM].freeze()?;
        }
        stage.enqueue(wave).await?;
        bar.set_position(stage.stats().await?.entries_settled());
        if freeze {
            in_hand = stage.in_hand(&workers[VICTIM]).await?;
            if in_hand == 0 { workers[VICTIM].thaw()? } else { workers[VICTIM].kill().await? }
        }
    }
    let killed_at = Instant::now();
    let rest = until(stage, |stats| {
        bar.set_position(stats.entries_settled());
        stats.waiting == 0 && stats.pending <= in_hand
    });
    let drained = rest.await.context("the workers do not get through the burst")?;
    let (settled, took) = (drained.entries_settled(), begun.elapsed());
    if in_hand > 0 {
        bar.suspend(|| {
            stage.say(
                "killed",
                format_args!(
                    "worker {} (pid {}) by SIGKILL, {} jobs in its hands",
                    VICTIM + 1,
                    workers[VICTIM].pid(),
                    thousands(in_hand)
                ),
            )
        });
    }
    let stats = until(stage, |stats| {
        bar.set_position(stats.entries_settled());
        stats.waiting + stats.pending == 0
    });
    let stats = stats.await.context("what the killed worker held is not taken over")?;
    bar.finish_and_clear();
    if in_hand > 0 {
        stage.say(
            "reclaimed",
            format_args!(
                "{} jobs by the others, {:.1} s later",
                thousands(in_hand),
                killed_at.elapsed().as_secs_f64()
            ),
        );
    }
    stage.say(
        "throughput",
        format_args!(
            "{} jobs/s: {} jobs in {:.2} s, producer and Redis on the same machine",
            thousands((settled as f64 / took.as_secs_f64()) as u64),
            thousands(settled),
            took.as_secs_f64()
        ),
    );

    for worker in workers {
        worker.drain().await?;
    }
    Report::read(stage, &burst, &stats, in_hand).await
}

async fn until(stage: &Stage, mut enough: impl FnMut(&Stats) -> bool) -> anyhow::Result<Stats> {
    let begun = Instant::now();
    loop {
        let stats = stage.stats().await?;
        if enough(&stats) {
            return Ok(stats);
        }
        ensure!(
            begun.elapsed() < WITHIN,
            "waited {WITHIN:?}; {} waiting, {} pending",
            stats.waiting,
            stats.pending
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
