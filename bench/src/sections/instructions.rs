//! (k) Instructions of redis-server for each job, against the bare batch: a figure that repeats, whatever else the
//! machine does.
//!
//! Callgrind counts, from when everything waits in the stream until all of it is settled, the worker's start included.
//! Each drain is measured with few jobs and with many; the difference is what the jobs between cost, so what a start
//! costs is not in it. Batches are of one size.
//! Relies on a server that runs under callgrind: `make bench-instructions` starts it so.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tollgate::ids::CustomerId;
use tollgate::job::Job;
use tollgate::kinds::{JobRequest, Redeem};

use crate::fixture::{ACCOUNTS, Fixture, ITEMS, Workload};
use crate::limit;
use crate::ours::reached;
use crate::private::Private;
use crate::process::Worker;
use crate::report::Row;
use crate::scale::Scale;
use crate::talk::talk;

const FEW: u64 = 2_000;
const MANY: u64 = 10_000;
/// So seldom that asking costs nothing beside a job.
const LOOK_EVERY: Duration = Duration::from_millis(500);
const STALLED_AFTER: Duration = Duration::from_secs(60);
/// The serverCron of a server that is slowed down fifty times would run fifty times as often for each job.
const SETTINGS: [&str; 2] = ["--hz", "1"];

/// What was reached: a line for each name, bare / ours. In the same change that makes it worse, with its reason.
const RECORD: &str = include_str!("../../instructions.txt");
/// How far below the record is a failure.
const WORSE: f64 = 0.97;

#[derive(Debug, Clone, Copy)]
struct Measure {
    name: &'static str,
    jobs: Jobs,
    workload: Workload,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Jobs {
    Fresh,
    /// Each was decided before.
    Decided,
    /// Each but the first is refused.
    OfOneCustomer,
}

const WITHDRAW: Workload = Workload::Withdraw { accounts: ACCOUNTS };
const ONE_LINE: Workload = Workload::Purchase { items: ITEMS, lines: 1 };
const FIVE_LINES: Workload = Workload::Purchase { items: ITEMS, lines: 5 };
const MEASURES: [Measure; 6] = [
    Measure { name: "redemptions", jobs: Jobs::Fresh, workload: Workload::Redeem },
    Measure { name: "withdrawals", jobs: Jobs::Fresh, workload: WITHDRAW },
    Measure { name: "replays", jobs: Jobs::Decided, workload: Workload::Redeem },
    Measure { name: "refusals", jobs: Jobs::OfOneCustomer, workload: Workload::Redeem },
    Measure { name: "purchases of one line", jobs: Jobs::Fresh, workload: ONE_LINE },
    Measure { name: "purchases of five lines", jobs: Jobs::Fresh, workload: FIVE_LINES },
];

/// What one job costs.
#[derive(Debug, Clone, Copy)]
struct Price {
    instructions: f64,
    /// Of append-only file.
    bytes: f64,
}

pub(crate) fn run(scale: Scale) -> Result<Vec<Row>> {
    let bare =
        |workload| price(scale, |jobs| bare(workload, jobs)).inspect(|price| tell("the bare batch", *price));
    let (redeem, withdraw) = (bare(Workload::Redeem)?, bare(WITHDRAW)?);
    let mut rows = Vec::new();
    for measure in MEASURES {
        // A purchase is compared with the one decrement of a redemption, however many lines it has.
        let limit = if measure.workload == WITHDRAW { withdraw } else { redeem };
        let ours = price(scale, |jobs| ours(measure, jobs))?;
        tell(measure.name, ours);
        let name = measure.name;
        rows.push(row(name, format!("{name}: instructions"), ours.instructions, limit.instructions)?);
        let bytes = format!("{name}: bytes of append-only file");
        rows.push(row(&format!("{name} aof"), bytes, ours.bytes, limit.bytes)?);
    }
    Ok(rows)
}

fn tell(name: &str, price: Price) {
    talk!("{name}: {:.0} instructions and {:.0} bytes a job", price.instructions, price.bytes);
}

fn row(name: &str, what: String, ours: f64, limit: f64) -> Result<Row> {
    let (ratio, recorded) = (limit / ours, recorded(name)?);
    let is_worse = ratio < recorded * WORSE;
    let verdict = if is_worse { "WORSE" } else { "held" };
    Ok(Row {
        what,
        ours: format!("{ours:.0}"),
        limit: format!("{limit:.0}"),
        ratio: format!("{ratio:.3}"),
        aim: format!("recorded {recorded:.3}: {verdict}"),
        is_worse,
        ..Row::default()
    })
}

fn recorded(name: &str) -> Result<f64> {
    let line = RECORD.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.and_then(|figure| figure.parse().ok())
        .with_context(|| format!("bench/instructions.txt has no line \"{name}: FIGURE\""))
}

/// The price of one job among those between few and many.
fn price(scale: Scale, mut drain: impl FnMut(u64) -> Result<Price>) -> Result<Price> {
    let (few, many) = (scale.jobs(FEW), scale.jobs(MANY));
    let (less, more) = (drain(few)?, drain(many)?);
    let each = |of: fn(&Price) -> f64| (of(&more) - of(&less)) / (many - few) as f64;
    Ok(Price { instructions: each(|price| price.instructions), bytes: each(|price| price.bytes) })
}

fn ours(measure: Measure, jobs: u64) -> Result<Price> {
    let mut private = Private::with(&SETTINGS)?;
    let mut fixture = Fixture::open(&private, measure.workload)?;
    let mut backlog = (0..jobs).map(|n| measure.workload.job(n)).collect::<Result<Vec<Job>>>()?;
    match measure.jobs {
        Jobs::Fresh => {}
        Jobs::Decided => fixture.settle_directly(&backlog)?,
        Jobs::OfOneCustomer => backlog.iter_mut().try_for_each(of_one_customer)?,
    }
    backlog.chunks(1_000).try_for_each(|jobs| fixture.enqueue(jobs))?;
    let head = fixture.keys().head();
    let batch = limit::BATCH.to_string();
    let logs = tempfile::tempdir()?;
    counted(&mut private, |private| {
        let options = ["--batch", &batch, "--batch-min", &batch];
        let mut worker = Worker::start_with(&private.url(), &options, &logs.path().join("worker.log"))?;
        acknowledged(private, &head, jobs, &mut worker).with_context(|| crate::ours::said(logs.path()))?;
        worker.stop()
    })
}

fn of_one_customer(job: &mut Job) -> Result<()> {
    if let JobRequest::Redeem(Redeem { customer, .. }) = &mut job.request {
        *customer = CustomerId::parse("c0000000")?;
    }
    Ok(())
}

/// Waits until so many entries are settled.
fn acknowledged(private: &mut Private, head: &str, jobs: u64, worker: &mut Worker) -> Result<()> {
    reached(jobs, LOOK_EVERY, STALLED_AFTER, || {
        let now = private.ask(&["HGET", head, "acked"])?;
        ensure!(now >= jobs || worker.is_running()?, "the worker has ended, at {now} of {jobs}");
        Ok(now)
    })
    .map(drop)
}

fn bare(workload: Workload, jobs: u64) -> Result<Price> {
    let mut private = Private::with(&SETTINGS)?;
    limit::load(&mut private, workload, jobs)?;
    counted(&mut private, |private| {
        let drained = limit::read_all(private.connect()?, "reader", workload, limit::BATCH)?;
        ensure!(drained == jobs, "drained {drained} of {jobs}");
        Ok(())
    })
}

/// What the server spends while something is done.
fn counted(private: &mut Private, work: impl FnOnce(&mut Private) -> Result<()>) -> Result<Price> {
    let pid = private.pid().context("the server has ended")?.to_string();
    let bytes = private.aof_bytes()?;
    control(&["--instr=on", &pid])?;
    work(private)?;
    control(&["--instr=off", &pid])?;
    control(&["--dump", &pid])?;
    Ok(Price { instructions: total(&private.data())?, bytes: (private.aof_bytes()? - bytes) as f64 })
}

pub(super) fn control(words: &[&str]) -> Result<()> {
    let done = Command::new("callgrind_control").args(words).output().context("callgrind_control")?;
    let said = String::from_utf8_lossy(&done.stdout);
    ensure!(
        done.status.success() && said.contains("OK"),
        "callgrind_control {} says: {said}{}\nhint: the server has to run under callgrind: make bench-instructions",
        words.join(" "),
        String::from_utf8_lossy(&done.stderr)
    );
    Ok(())
}

/// The sum in the file that callgrind wrote, which is removed: what is counted after it is in another one.
pub(super) fn total(directory: &Path) -> Result<f64> {
    for file in std::fs::read_dir(directory)? {
        let path = file?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("callgrind.out")) {
            let text = std::fs::read_to_string(&path)?;
            if let Some(figure) = text.lines().find_map(|line| line.strip_prefix("totals: ")) {
                std::fs::remove_file(&path)?;
                return figure.trim().parse().with_context(|| path.display().to_string());
            }
        }
    }
    bail!("callgrind wrote no totals into {}", directory.display())
}
