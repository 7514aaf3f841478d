//! What real worker processes do with a backlog.
//!
//! The rate is read from the journal: server time and count between the first settle of the drain and the last, so
//! that starting a process is not part of it. CPU is that of the whole run, starts included.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::cost::Cost;
use crate::fixture::{Fixture, Workload};
use crate::private::Private;
use crate::process::{Worker, children_cpu};

/// How long nothing may move before a run counts as failed.
const STALLED_AFTER: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Loads `jobs` into a fresh server and drains them with this many worker processes.
pub(crate) fn drain(workload: Workload, jobs: u64, workers: usize) -> Result<Cost> {
    let mut private = Private::start()?;
    let mut fixture = Fixture::open(&private, workload)?;
    fixture.load(workload, jobs)?;
    let (head, journal) = (fixture.keys().head(), fixture.keys().journal());
    let logs = tempfile::tempdir()?;
    let seq_before = seq(&mut private, &head)?;
    let (redis_before, workers_before) = (private.cpu()?, children_cpu()?);
    let mut fleet = (0..workers)
        .map(|n| Worker::start(&private.url(), &logs.path().join(format!("worker-{n}.log"))))
        .collect::<Result<Vec<_>>>()?;
    wait(&mut private, &head, seq_before + jobs, &mut fleet).with_context(|| said(logs.path()))?;
    let redis_cpu = private.cpu()? - redis_before;
    fleet.into_iter().try_for_each(Worker::stop).with_context(|| said(logs.path()))?;
    let client_cpu = children_cpu()? - workers_before;

    let after = format!("({seq_before}-9");
    let (first_seq, first_ms) = entry(&mut private, &["XRANGE", &journal, &after, "+", "COUNT", "1"])?;
    let (last_seq, last_ms) = entry(&mut private, &["XREVRANGE", &journal, "+", "-", "COUNT", "1"])?;
    ensure!(last_seq == seq_before + jobs, "the journal ends at {last_seq}, not at {}", seq_before + jobs);
    Ok(Cost {
        jobs: last_seq - first_seq,
        wall: Duration::from_millis((last_ms - first_ms).max(1)),
        redis_cpu: redis_cpu / jobs as f64,
        client_cpu: client_cpu / jobs as f64,
    })
}

/// Waits until `seq_last` is decided.
pub(crate) fn wait(private: &mut Private, head: &str, seq_last: u64, fleet: &mut [Worker]) -> Result<()> {
    reached(seq_last, LOOK_EVERY, STALLED_AFTER, || {
        let now = seq(private, head)?;
        for worker in fleet.iter_mut() {
            ensure!(now >= seq_last || worker.is_running()?, "a worker has ended, at {now} of {seq_last}");
        }
        Ok(now)
    })
    .map(drop)
}

/// Looks again and again until `target` is reached; answers when it was seen to move last.
///
/// # Errors
/// What a look fails with, and that nothing has moved for `stalled_after`.
pub(crate) fn reached(
    target: u64,
    look_every: Duration,
    stalled_after: Duration,
    mut look: impl FnMut() -> Result<u64>,
) -> Result<Instant> {
    let (mut seen, mut moved) = (0, Instant::now());
    loop {
        let now = look()?;
        if now != seen {
            (seen, moved) = (now, Instant::now());
        }
        if now >= target {
            return Ok(moved);
        }
        ensure!(
            moved.elapsed() < stalled_after,
            "nothing was settled for {stalled_after:?}, at {now} of {target}"
        );
        std::thread::sleep(look_every);
    }
}

pub(crate) fn seq(private: &mut Private, head: &str) -> Result<u64> {
    private.ask(&["HGET", head, "seq"])
}

/// The seq and the time of one journal entry.
pub(crate) fn entry(private: &mut Private, command: &[&str]) -> Result<(u64, u64)> {
    let found: Vec<(String, Vec<String>)> = private.ask(command)?;
    let (id, fields) = found.into_iter().next().context("the journal has no such entry")?;
    let at_ms = fields.chunks(2).find(|pair| pair[0] == "at_ms").map(|pair| pair[1].parse());
    let seq = id.strip_suffix("-0").context("a journal entry of another kind")?;
    Ok((seq.parse()?, at_ms.context("a journal entry without its time")??))
}

/// What the workers wrote last.
pub(crate) fn said(logs: &std::path::Path) -> String {
    let mut said = String::from("the workers said:");
    for file in std::fs::read_dir(logs).into_iter().flatten().flatten() {
        if file.path().extension().is_none_or(|kind| kind != "log") {
            continue;
        }
        let text = std::fs::read_to_string(file.path()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        for line in &lines[lines.len().saturating_sub(5)..] {
            said.push_str("\n  ");
            said.push_str(line);
        }
    }
    said
}
