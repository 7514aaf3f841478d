//! (i) Payouts per second by workers and `-c`: a bank that takes 20 ms for each, every write forced to disk.
//!
//! All money is held before the workers start, so the payers alone are measured: from the first begin in the journal to
//! the last post. At most `-c` payouts of a worker are with the bank at a time: their sum divided by the bank's latency is
//! the limit, which no fleet reaches, since each attempt is on disk before its request and each answer after it. Nor does
//! the bank, which forces each payout to its own disk: what it makes of bare requests is measured in the same run.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::bank::Bank;
use crate::cost::{Spread, median};
use crate::fixture::Fixture;
use crate::ours::{entry, said, seq, wait};
use crate::private::Private;
use crate::process::Worker;
use crate::report::Row;
use crate::scale::Scale;
use crate::talk::talk;

/// How many workers, each with which `-c`: one alone, and as many payouts at the bank from three.
const FLEETS: [(u64, u64); 6] = [(1, 1), (1, 10), (1, 50), (1, 100), (3, 17), (3, 34)];
const ACCOUNTS: u64 = 1_000;
const PAYOUTS: u64 = 20_000;
/// Fewer where the limit itself would need longer than this.
const AT_MOST: Duration = Duration::from_secs(10);
const LATENCY: Duration = Duration::from_millis(20);
/// Of bare requests over each connection.
const ASKED: u64 = 100;
/// Decisions of one payout that goes well: begin and post.
const STEPS: u64 = 2;

pub(crate) fn run(scale: Scale) -> Result<Vec<Row>> {
    let mut rates = vec![Vec::new(); FLEETS.len()];
    let mut alone = vec![Vec::new(); FLEETS.len()];
    let mut forced = Vec::new();
    for round in 1..=scale.rounds.min(3) {
        forced.push(write()?.as_secs_f64() * 1e3);
        for ((fleet, rates), alone) in FLEETS.into_iter().zip(&mut rates).zip(&mut alone) {
            let most = (limit(fleet) * AT_MOST.as_secs_f64()) as u64;
            let rate = pay(fleet, scale.jobs(PAYOUTS.min(most)))?;
            let bare = bare(fleet)?;
            talk!("round {round}: {}: {rate:.0}/s, the bank alone {bare:.0}/s", name(fleet));
            rates.push(rate);
            alone.push(bare);
        }
    }
    let row = |what: String, fleet, rates: &[f64]| Row {
        what,
        ours: format!("{:.0}/s", median(rates.iter().copied())),
        limit: format!("{:.0}/s", limit(fleet)),
        ratio: Spread::of(rates.iter().map(|rate| rate / limit(fleet)).collect()).to_string(),
        ..Row::default()
    };
    let mut rows = Vec::new();
    for ((fleet, rates), alone) in FLEETS.into_iter().zip(rates).zip(alone) {
        rows.push(row(name(fleet), fleet, &rates));
        let connections = fleet.0 * fleet.1;
        rows.push(row(format!("for comparison: bare requests, {connections} at a time"), fleet, &alone));
    }
    rows.push(Row {
        what: "for comparison: one SET, forced to disk".to_owned(),
        limit: format!("{:.2} ms", median(forced.into_iter())),
        ..Row::default()
    });
    Ok(rows)
}

/// Payouts per second if nothing but the bank took time.
fn limit((workers, each): (u64, u64)) -> f64 {
    (workers * each) as f64 / LATENCY.as_secs_f64()
}

fn name((workers, each): (u64, u64)) -> String {
    if workers == 1 { format!("-c {each}") } else { format!("{workers} workers, -c {each} each") }
}

/// What the bank alone makes of as many requests at a time.
fn bare((workers, each): (u64, u64)) -> Result<f64> {
    let files = tempfile::tempdir()?;
    Bank::open(files.path(), LATENCY)?.alone(workers * each, ASKED)
}

/// The median time of one write that is forced to disk.
fn write() -> Result<Duration> {
    let mut private = Private::forced()?;
    let mut took = Vec::new();
    for _ in 0..200 {
        let begun = Instant::now();
        private.ask::<String>(&["SET", "key", "value"])?;
        took.push(begun.elapsed());
    }
    took.sort();
    Ok(took[took.len() / 2])
}

fn pay((workers, each): (u64, u64), payouts: u64) -> Result<f64> {
    let mut private = Private::forced()?;
    let fixture = Fixture::holding(&private, ACCOUNTS, payouts)?;
    let (head, journal, open) = (fixture.keys().head(), fixture.keys().journal(), fixture.keys().payouts());
    let files = tempfile::tempdir()?;
    let bank = Bank::open(files.path(), LATENCY)?;
    let before = seq(&mut private, &head)?;
    let options = ["--payout-url", bank.url(), "-c", &each.to_string()];
    let start = |n| {
        // The first one's log is what is shown of a fleet that fails.
        let log = if n == 0 { "worker.log".to_owned() } else { format!("worker-{n}.log") };
        Worker::start_with(&private.url(), &options, &files.path().join(log))
    };
    let mut fleet = (0..workers).map(start).collect::<Result<Vec<_>>>()?;
    wait(&mut private, &head, before + payouts * STEPS, &mut fleet).with_context(|| said(files.path()))?;
    fleet.into_iter().try_for_each(Worker::stop).with_context(|| said(files.path()))?;
    let left: u64 = private.ask(&["ZCARD", &open])?;
    ensure!(left == 0, "{left} payouts are still open\n{}", said(files.path()));

    let after = format!("({before}-9");
    let (_, first_ms) = entry(&mut private, &["XRANGE", &journal, &after, "+", "COUNT", "1"])?;
    let (_, last_ms) = entry(&mut private, &["XREVRANGE", &journal, "+", "-", "COUNT", "1"])?;
    Ok(payouts as f64 / Duration::from_millis((last_ms - first_ms).max(1)).as_secs_f64())
}
