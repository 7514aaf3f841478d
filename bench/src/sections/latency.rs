//! (d) From the enqueue of one job to its settle, at a steady rate, with one worker that is otherwise idle.
//!
//! Settled is seen from outside: a connection of its own waits on the journal (XREAD BLOCK) and matches the ids of
//! the lines with the instants at which their jobs were about to be sent. What is measured so includes the way of
//! the news to this process; PING on a third connection, meanwhile, says how much that is at least.

#![allow(clippy::disallowed_methods, reason = "what is measured here is Redis itself, beside Tollgate")]

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use redis::Connection;

use crate::cost::median;
use crate::fixture::{Fixture, Workload};
use crate::private::Private;
use crate::process::Worker;
use crate::report::Row;
use crate::scale::Scale;
use crate::talk::talk;

const RATE: u32 = 500;
const JOBS: u64 = 5_000;
/// Sent first and not counted: connections open, caches fill.
const WARM_UP: u64 = 500;
/// A job that takes longer than this counts as lost and fails the run.
const SETTLED_WITHIN: Duration = Duration::from_secs(10);
const PING_EVERY: Duration = Duration::from_millis(10);
const AIM_P50_MS: f64 = 0.5;
const AIM_P99_MS: f64 = 2.0;

/// Milliseconds.
struct Quantiles {
    p50: f64,
    p99: f64,
}

pub(crate) fn run(scale: Scale) -> Result<Vec<Row>> {
    let (mut settled, mut pinged) = (Vec::new(), Vec::new());
    for round in 1..=scale.rounds.min(3) {
        let (ours, ping) = measure(scale.jobs(JOBS) + WARM_UP)?;
        talk!("round {round}: p50 {:.3} ms, p99 {:.3} ms", ours.p50, ours.p99);
        settled.push(ours);
        pinged.push(ping);
    }
    let p50 = median(settled.iter().map(|round| round.p50));
    let p99 = median(settled.iter().map(|round| round.p99));
    let row = |what: &str, ours: f64, ping: f64, aim: f64| Row {
        what: format!("{RATE} jobs/s, one worker, {what}"),
        ours: format!("{ours:.3} ms"),
        limit: format!("PING {ping:.3} ms"),
        aim: format!("under {aim} ms: {}", if ours < aim { "met" } else { "missed" }),
        ..Row::default()
    };
    Ok(vec![
        row("p50", p50, median(pinged.iter().map(|round| round.p50)), AIM_P50_MS),
        row("p99", p99, median(pinged.iter().map(|round| round.p99)), AIM_P99_MS),
    ])
}

/// p50 and p99 in milliseconds, of so many jobs.
pub(crate) fn at_rate(jobs: u64) -> Result<(f64, f64)> {
    let (ours, _) = measure(jobs + WARM_UP)?;
    Ok((ours.p50, ours.p99))
}

fn measure(jobs: u64) -> Result<(Quantiles, Quantiles)> {
    let private = Private::start()?;
    let mut fixture = Fixture::open(&private, Workload::Redeem)?;
    let logs = tempfile::tempdir()?;
    let worker = Worker::start(&private.url(), &logs.path().join("worker.log"))?;
    let (reader, pinger) = (private.connect()?, private.connect()?);
    let journal = fixture.keys().journal();
    let done = AtomicBool::new(false);
    let (sent, seen, pings) = std::thread::scope(|scope| {
        let seen = scope.spawn(|| watch(reader, &journal, jobs));
        let pings = scope.spawn(|| ping(pinger, &done));
        let sent = send(&mut fixture, jobs);
        let seen = seen.join().expect("the reader does not panic");
        done.store(true, Ordering::Relaxed);
        (sent, seen, pings.join().expect("the pinger does not panic"))
    });
    worker.stop()?;
    let (sent, seen) = (sent?, seen?);
    let mut settled = Histogram::<u64>::new(3)?;
    for (id, at) in sent.iter().skip(WARM_UP as usize) {
        let seen = seen.get(id).with_context(|| format!("{id} was not settled"))?;
        settled.record(micros(seen.duration_since(*at)))?;
    }
    Ok((quantiles(&settled), quantiles(&pings?)))
}

/// Sends jobs one by one at the rate, and says when each was about to go.
fn send(fixture: &mut Fixture, jobs: u64) -> Result<Vec<(String, Instant)>> {
    let begun = Instant::now();
    let mut sent = Vec::with_capacity(jobs as usize);
    for n in 0..jobs {
        let due = begun + Duration::from_secs(n) / RATE;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let job = Workload::Redeem.job(n)?;
        sent.push((job.id.to_string(), Instant::now()));
        fixture.enqueue(&[job])?;
    }
    Ok(sent)
}

/// Reads the journal until `jobs` redemptions have been in it, and says when each line was seen.
fn watch(mut reader: Connection, journal: &str, jobs: u64) -> Result<HashMap<String, Instant>> {
    type Entries = Vec<(String, Vec<(String, Vec<String>)>)>;
    let (mut last, mut seen) = (String::from("0"), HashMap::new());
    let mut moved = Instant::now();
    while (seen.len() as u64) < jobs {
        ensure!(moved.elapsed() < SETTLED_WITHIN, "nothing was settled for {SETTLED_WITHIN:?}");
        let entries: Option<Entries> =
            redis::cmd("XREAD").arg(&["BLOCK", "1000", "STREAMS", journal, &last]).query(&mut reader)?;
        let now = Instant::now();
        for (id, fields) in entries.into_iter().flatten().flat_map(|(_, entries)| entries) {
            let lines = fields.chunks(2).find(|pair| pair[0] == "lines").map(|pair| pair[1].as_str());
            let redemptions = lines.unwrap_or_default().lines().filter(|line| line.contains("\tredeem\t"));
            seen.extend(redemptions.filter_map(|line| Some((line.split('\t').next()?.to_owned(), now))));
            (last, moved) = (id, now);
        }
    }
    Ok(seen)
}

fn ping(mut pinger: Connection, done: &AtomicBool) -> Result<Histogram<u64>> {
    let mut pings = Histogram::<u64>::new(3)?;
    while !done.load(Ordering::Relaxed) {
        let begun = Instant::now();
        redis::cmd("PING").exec(&mut pinger)?;
        pings.record(micros(begun.elapsed()))?;
        std::thread::sleep(PING_EVERY);
    }
    Ok(pings)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn quantiles(micros: &Histogram<u64>) -> Quantiles {
    let ms = |quantile| micros.value_at_quantile(quantile) as f64 / 1e3;
    Quantiles { p50: ms(0.5), p99: ms(0.99) }
}
