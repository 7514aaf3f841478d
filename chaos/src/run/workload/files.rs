//! Files of jobs: sent by `enqueue`, whose process is killed at times, and then repeated as it was.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rand::RngExt;
use tokio::sync::watch;

use super::asking::pause;
use super::draw::{Pool, QUEUES, soon, unpack};
use super::load::Load;
use crate::run::client::Client;
use crate::run::history::{Job, Response};

/// How much more a flood is.
const FLOOD: usize = 10;

pub(super) async fn run(client: Arc<Client>, load: Load, mut ends: watch::Receiver<bool>) {
    let mut pool = Pool::new(client.seed ^ 0xf11e5);
    while pause(&mut ends, load.file_every).await {
        if client.quiet() {
            continue;
        }
        let queue = QUEUES[pool.random().random_range(0..QUEUES.len())];
        let flooded = client.load.flood.load(Ordering::Relaxed);
        let count = load.file * if flooded { FLOOD } else { 1 };
        let kill = pool.random().random_ratio(1, 5).then(|| pool.random().random_range(1..60));
        if let Err(problem) = send(&client, &mut pool, queue, count, load.payouts, kill).await {
            client
                .history
                .add(crate::run::history::Event::Unexpected { what: format!("enqueue: {problem:#}") });
        }
    }
}

/// Jobs in one file of a backlog.
const PART: usize = 5_000;

/// Sends so many jobs in large files.
pub(in crate::run) async fn backlog(client: &Client, count: usize, seed: u64) -> anyhow::Result<()> {
    let mut pool = Pool::new(seed);
    for begin in (0..count).step_by(PART) {
        send(client, &mut pool, QUEUES[0], PART.min(count - begin), false, None).await?;
    }
    client.count("jobs sent to nobody", count as u64);
    Ok(())
}

/// Sends a file; kills the sender after so many milliseconds and sends the file again.
pub(super) async fn send(
    client: &Client,
    pool: &mut Pool,
    queue: &str,
    count: usize,
    payouts: bool,
    kill: Option<u64>,
) -> anyhow::Result<()> {
    let mut jobs = Vec::new();
    let mut lines = String::new();
    for _ in 0..count {
        let job = pool.queued(payouts);
        let later = pool.random().random_ratio(1, 12).then(|| soon(pool.random().random_range(100..900)));
        lines.push_str(&unpack(&job, later.as_deref()));
        jobs.push(job);
    }
    let name = format!("jobs-{:016x}.ndjson", pool.random().random_range(0..u64::MAX));
    let path = client.programs.dir().join(&name);
    std::fs::write(&path, lines)?;
    let words = ["enqueue", &name, "--queue", queue, "--overload-wait", "4s", "--json"];
    if let Some(after) = kill {
        interrupted(client, &words, jobs.clone(), Duration::from_millis(after)).await?;
    }
    // Every line has an id of its own, so the same file may be sent as often as one likes.
    let total = jobs.len() as u64;
    let op = client.history.sent(jobs.clone());
    let ended = client.producer(&client.way(), &words, None).await;
    let counts = ended.last().filter(|value| value["accepted"].is_u64());
    let count = |name: &str| counts.as_ref().and_then(|counts| counts[name].as_u64()).unwrap_or(0);
    let answer = if count("accepted") == total {
        Response::Accepted
    } else if count("not_applied") == total {
        Response::NotApplied { why: ended.complaint() }
    } else {
        Response::Unknown { why: ended.complaint() }
    };
    if matches!(answer, Response::Unknown { .. }) {
        client.load.unknown.fetch_add(1, Ordering::Relaxed);
    }
    client.load.note(&jobs, &answer);
    client.history.told(op, answer);
    let _ = std::fs::remove_file(path);
    Ok(())
}

/// Sends it and is killed.
async fn interrupted(client: &Client, words: &[&str], jobs: Vec<Job>, after: Duration) -> anyhow::Result<()> {
    let op = client.history.sent(jobs);
    if client.interrupted(words, after).await? {
        client.load.unknown.fetch_add(1, Ordering::Relaxed);
    }
    client.history.told(op, Response::Unknown { why: "killed".to_owned() });
    Ok(())
}
