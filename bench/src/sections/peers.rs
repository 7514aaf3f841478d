//! (l) Other job systems on the same Redis: what they do with one idempotent decrement a job, beside a redemption.
//!
//! Relies on `bench/peers` (its README has the verbs that each of them knows), which `make bench-peers` builds.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tollgate_testkit::process::Running;

use crate::cost::{Cost, Rounds, median};
use crate::fixture::{Fixture, Workload};
use crate::ours::reached;
use crate::private::Private;
use crate::process::children_cpu;
use crate::report::{Row, compared};
use crate::scale::Scale;
use crate::sections::latency;
use crate::talk::talk;

const JOBS: u64 = 50_000;
const RATE: u64 = 500;
const JOBS_AT_RATE: u64 = 5_000;
const LOOK_EVERY: Duration = Duration::from_millis(10);
const STALLED_AFTER: Duration = Duration::from_secs(30);

struct Peer {
    name: &'static str,
    command: fn() -> Result<Vec<PathBuf>>,
}

const PEERS: [Peer; 2] = [
    Peer { name: "BullMQ", command: || Ok(vec!["node".into(), file("bench/peers/bullmq/peer.mjs")?]) },
    Peer { name: "apalis", command: || Ok(vec![file("target/peers/release/tollgate-bench-apalis")?]) },
];

pub(crate) fn run(scale: Scale) -> Result<Vec<Row>> {
    let (jobs, at_rate) = (scale.jobs(JOBS), scale.jobs(JOBS_AT_RATE));
    let mut rows = Vec::new();
    for peer in PEERS {
        let (mut drained, mut theirs) = (Rounds::default(), Rounds::default());
        let (mut waits, mut their_waits) = (Vec::new(), Vec::new());
        for round in 1..=scale.rounds.min(3) {
            drained.0.push(crate::ours::drain(Workload::Redeem, jobs, 1)?);
            theirs.0.push(peer.drain(jobs)?);
            waits.push(latency::at_rate(at_rate)?);
            their_waits.push(peer.latency(at_rate)?);
            talk!("{}, round {round}: {} times its rate", peer.name, drained.against(&theirs).rate);
        }
        let (weight, their_weight) = (weight(jobs)?, peer.weight(jobs)?);
        let row = |what: &str, unit: &str, ours: f64, other: f64| Row {
            what: format!("{}: {what}", peer.name),
            ours: format!("{ours:.3}{unit}"),
            limit: format!("{other:.3}{unit}"),
            ratio: format!("{:.2}", other / ours),
            ..Row::default()
        };
        let at = |quantiles: &[(f64, f64)], pick: fn(&(f64, f64)) -> f64| median(quantiles.iter().map(pick));
        rows.push(Row { what: format!("{}: {jobs} jobs drained", peer.name), ..compared(&drained, &theirs) });
        rows.push(row("a waiting job", " bytes", weight, their_weight));
        rows.push(row("p50 at 500 jobs/s", " ms", at(&waits, |w| w.0), at(&their_waits, |w| w.0)));
        rows.push(row("p99 at 500 jobs/s", " ms", at(&waits, |w| w.1), at(&their_waits, |w| w.1)));
    }
    Ok(rows)
}

/// Bytes in Redis of one of our jobs that waits.
fn weight(jobs: u64) -> Result<f64> {
    let mut private = Private::start()?;
    let mut fixture = Fixture::open(&private, Workload::Redeem)?;
    let empty = private.memory()?;
    fixture.load(Workload::Redeem, jobs)?;
    Ok(private.memory()?.saturating_sub(empty) as f64 / jobs as f64)
}

impl Peer {
    fn start(&self, private: &Private, words: &[String]) -> Result<Running> {
        let command = (self.command)()?;
        let mut process = Command::new(&command[0]);
        process
            .args(&command[1..])
            .args(&words[..1])
            .arg(private.socket())
            .args(&words[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        Running::spawn(&mut process).with_context(|| format!("{} cannot be started", command[0].display()))
    }

    /// Runs a verb to its end; answers what it printed.
    fn run(&self, private: &Private, words: &[String]) -> Result<String> {
        let mut process = self.start(private, words)?;
        let mut said = String::new();
        process.stdout.take().context("its output")?.read_to_string(&mut said)?;
        let status = process.wait()?;
        ensure!(status.success(), "{} {}: {status}", self.name, words.join(" "));
        Ok(said)
    }

    fn load(&self, private: &Private, jobs: u64) -> Result<()> {
        self.run(private, &["load".to_owned(), jobs.to_string()]).map(drop)
    }

    fn weight(&self, jobs: u64) -> Result<f64> {
        let mut private = Private::start()?;
        let empty = private.memory()?;
        self.load(&private, jobs)?;
        Ok(private.memory()?.saturating_sub(empty) as f64 / jobs as f64)
    }

    /// The rate from the first jobs that are seen to be done, as with ours.
    fn drain(&self, jobs: u64) -> Result<Cost> {
        let mut private = Private::start()?;
        self.load(&private, jobs)?;
        let _: String = private.ask(&["SET", "counter", &jobs.to_string()])?;
        let (redis_before, client_before) = (private.cpu()?, children_cpu()?);
        let worker = self.start(&private, &["drain".to_owned()])?;
        let mut first = None;
        let moved = reached(jobs, LOOK_EVERY, STALLED_AFTER, || {
            let left: u64 = private.ask(&["GET", "counter"])?;
            if left != jobs {
                first.get_or_insert_with(|| (left, Instant::now()));
            }
            Ok(jobs.saturating_sub(left))
        })
        .with_context(|| self.name)?;
        // What is finished behind the effect, a result or a lock, is part of it.
        std::thread::sleep(LOOK_EVERY * 10);
        let redis_cpu = private.cpu()? - redis_before;
        drop(worker);
        let (left, begun) = first.context("it is done")?;
        Ok(Cost {
            jobs: left.max(1),
            wall: moved.duration_since(begun).max(LOOK_EVERY),
            redis_cpu: redis_cpu / jobs as f64,
            client_cpu: (children_cpu()? - client_before) / jobs as f64,
        })
    }

    /// p50 and p99 from the call that sends to the effect, in milliseconds.
    fn latency(&self, jobs: u64) -> Result<(f64, f64)> {
        let private = Private::start()?;
        let said = self.run(&private, &["latency".to_owned(), jobs.to_string(), RATE.to_string()])?;
        let mut figures = said.split_whitespace().map(str::parse);
        let mut next =
            || figures.next().with_context(|| format!("{} says {said:?}", self.name))?.context("a figure");
        Ok((next()?, next()?))
    }
}

fn file(path: &str) -> Result<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name(path);
    ensure!(path.is_file(), "{} is missing\nhint: make bench-peers", path.display());
    Ok(path)
}
