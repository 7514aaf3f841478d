//! `tollgate-chaos race` (`make race`): well-known races run for real, with every well-known cure, on real stores, and
//! the damage counted. The life of a run is [`play()`]; the life of a request is `serve.rs`.
//!
//! Exit code 0: every cure that promises safety was safe, and the naive one was caught in each scenario; 1: a safe
//! cure did damage, the naive one was never caught, or it could not be run; 4: as 0, but something was left out,
//! since its server is not installed.

mod cure;
mod hands;
mod judge;
mod lock;
mod matrix;
mod options;
mod paused_holder;
mod play;
mod report;
mod sabotage;
mod scenario;
mod serve;
mod servers;
mod stop;
mod store;
mod timeline;
mod trace;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use self::cure::Cure;
use self::hands::Hands;
use self::matrix::{Cell, Matrix};
use self::play::{Rules, Run};
use self::report::{Report, Row, Setting};
use self::scenario::Scenario;
use self::servers::Servers;
use crate::stage::{self, Redis, Stage, complain, print};

pub(crate) use self::options::Args;
pub(crate) use self::paused_holder::hold;

/// How long a lock lasts without a sign of life: far longer than anything here takes.
const LOCK_TTL: Duration = Duration::from_secs(30);
/// Workers of the job system.
const WORKERS: usize = 2;
/// Holders that are stopped at the same time: they only wait.
const STOPPED_AT_ONCE: usize = 12;

/// Plays it.
pub(crate) async fn run(args: Args) -> ExitCode {
    let matrix = args.matrix();
    if matrix.cells.is_empty() {
        complain("error: none of these cures makes sense there");
        matrix.senseless.iter().for_each(|other| {
            complain(format_args!(
                "  {} in {} on {}: {}",
                other.cure,
                other.scenario.name(),
                other.store.name(),
                other.why
            ));
        });
        return ExitCode::from(2);
    }
    let report = stage::perform(Redis::one("everysec"), async |stage| play(stage, &args, matrix).await).await;
    report.map_or(ExitCode::FAILURE, |report| report.exit_code())
}

async fn play(stage: &Stage, args: &Args, matrix: Matrix) -> anyhow::Result<Report> {
    if let Some(dir) = &args.report {
        report::check_dir(dir).with_context(|| format!("--report {}", dir.display()))?;
    }
    #[allow(irrefutable_let_patterns, reason = "there may be one kind alone")]
    let Redis::One(redis) = stage.redis() else { bail!("the lab plays on one server") };
    let servers = Servers::start(&matrix.cells, redis.socket().to_owned()).await?;
    let played = play_on(&servers, stage, args, matrix).await;
    // What went wrong first is told first.
    let clean = servers.clean_up().await;
    let report = played?;
    clean.map(|()| report)
}

async fn play_on(servers: &Servers, stage: &Stage, args: &Args, matrix: Matrix) -> anyhow::Result<Report> {
    let cells: Vec<Cell> =
        matrix.cells.iter().copied().filter(|cell| servers.addresses.serve(*cell)).collect();
    ensure!(!cells.is_empty(), "none of the servers that this takes can be had: {}", servers.missing());
    let with_jobs = cells.iter().any(|cell| cell.cure == Cure::Tollgate);
    let mut workers = Vec::new();
    if with_jobs {
        stage.producer(&["init"]).await?;
        workers = stage.workers(WORKERS, &[]).await?;
    }

    let mut report = Report::new(Setting::new(args, servers), matrix.senseless);
    if !args.json {
        print(report.head());
    }
    let most = args.concurrency.iter().copied().max().unwrap_or(2) as usize;
    let mut lab = Lab {
        args,
        servers,
        hands: (0..most.max(STOPPED_AT_ONCE))
            .map(|_| Hands::new(servers.addresses.clone(), LOCK_TTL))
            .collect(),
        bar: progress(cells.len() as u64),
    };
    for scenario in Scenario::ALL {
        let cells: Vec<Cell> = cells.iter().copied().filter(|cell| cell.scenario == scenario).collect();
        if cells.is_empty() {
            continue;
        }
        let rows = lab.rows(&cells).await?;
        report.add(scenario, rows);
        if !args.json {
            lab.bar.suspend(|| print(report.last_scenario()));
        }
    }
    lab.bar.finish_and_clear();
    drop(lab);
    for worker in workers {
        worker.drain().await?;
    }
    if with_jobs {
        report.audited(stage.audit(&[]).await?);
    }
    if let Some(dir) = &args.report {
        let page = report.write_page(dir).with_context(|| format!("--report {}", dir.display()))?;
        complain(format_args!("report: {}", page.display()));
    }
    print(if args.json { report.json()? } else { report.verdict() });
    Ok(report)
}

/// What the cells are played with.
struct Lab<'a> {
    args: &'a Args,
    servers: &'a Servers,
    hands: Vec<Hands>,
    bar: ProgressBar,
}

impl Lab<'_> {
    /// Plays cells, and answers their rows in the same order.
    async fn rows(&mut self, cells: &[Cell]) -> anyhow::Result<Vec<Row>> {
        let mut rows: Vec<Row> = Vec::new();
        for &cell in cells.iter().filter(|cell| !cell.stopped) {
            self.tell(cell);
            let mut runs = Vec::new();
            for &concurrency in &self.args.concurrency {
                runs.push(self.crowd(cell, concurrency as usize).await?);
            }
            rows.push(Row { cell, runs });
            self.bar.inc(1);
        }
        if let Some(pause) = self.args.pause {
            let stopped: Vec<Cell> = cells.iter().copied().filter(|cell| cell.stopped).collect();
            rows.extend(self.stopped(&stopped, pause).await?);
        }
        rows.sort_by_key(|row| cells.iter().position(|cell| *cell == row.cell));
        Ok(rows)
    }

    async fn crowd(&mut self, cell: Cell, concurrency: usize) -> anyhow::Result<Run> {
        let Args { seed, think, time, rounds, .. } = *self.args;
        let hands = self.hands.split_off(self.hands.len() - concurrency);
        let played = play::crowd(cell, hands, Rules { seed, think, time, rounds }).await;
        let (hands, run) = played.with_context(|| cell.name())?;
        self.hands.extend(hands);
        Ok(run)
    }

    /// Each plays with a holder that only waits, so many can at once.
    async fn stopped(&mut self, cells: &[Cell], pause: Duration) -> anyhow::Result<Vec<Row>> {
        let hands = tokio::sync::Mutex::new(std::mem::take(&mut self.hands));
        let rows = stream::iter(cells)
            .map(async |&cell| {
                let mut own = hands.lock().await.pop().context("no hands are free")?;
                let run = play::stopped(cell, &mut own, &self.servers.addresses, pause).await;
                hands.lock().await.push(own);
                self.tell(cell);
                self.bar.inc(1);
                anyhow::Ok(Row { cell, runs: vec![run.with_context(|| cell.name())?] })
            })
            .buffer_unordered(STOPPED_AT_ONCE)
            .try_collect()
            .await;
        self.hands = hands.into_inner();
        rows
    }

    fn tell(&self, cell: Cell) {
        self.bar.set_message(cell.name());
    }
}

/// A bar over `of` steps, on stderr, that says which one is under way.
fn progress(of: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("  {bar:30} {pos} of {len}  {elapsed}  {wide_msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(of), ProgressDrawTarget::stderr()).with_style(style)
}
