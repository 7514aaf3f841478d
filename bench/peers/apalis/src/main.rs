//! apalis, for `make bench-peers`: see bench/peers/README.md for the three verbs.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use apalis::prelude::*;
use apalis_redis::{Config, ConnectionManager, RedisStorage};
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};

const CHUNK: u64 = 1_000;
/// Entries that are fetched at once, and jobs that run at once.
const BATCH: usize = 100;
/// It asks for new jobs as often as this; 100 ms by default.
const POLL_EVERY: Duration = Duration::from_millis(1);
/// One idempotent decrement: KEYS counter; the id of the job.
const JOB: &str =
    "if redis.call('SET', ARGV[1], 1, 'NX', 'EX', 86400) then return redis.call('DECR', KEYS[1]) end";

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Decrement {
    id: String,
    /// Microseconds since 1970.
    sent: u64,
}

impl Decrement {
    fn new(n: u64) -> Self {
        Self { id: format!("{n:08}-0000-7000-8000-000000000000"), sent: now() }
    }
}

#[derive(Clone)]
struct Peer {
    redis: ConnectionManager,
    script: redis::Script,
    /// Microseconds from sent to done, of each job.
    took: Arc<Mutex<Vec<u64>>>,
}

async fn decrement(job: Decrement, peer: Data<Peer>) -> Result<(), Error> {
    let mut redis = peer.redis.clone();
    let done: redis::RedisResult<Option<i64>> =
        peer.script.key("counter").arg(&job.id).invoke_async(&mut redis).await;
    done.map_err(|error| Error::Failed(Arc::new(Box::new(error))))?;
    if let Ok(mut took) = peer.took.lock() {
        took.push(now().saturating_sub(job.sent));
    }
    Ok(())
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| words.get(at).map_or(Ok(0), |word| word.parse::<u64>());
    let (count, rate) = (number(2)?, number(3)?);
    let socket = words.get(1).context("usage: load|drain|latency SOCKET [JOBS [JOBS-A-SECOND]]")?;
    let redis = apalis_redis::connect(format!("unix://{socket}")).await?;
    let config = Config::default().set_namespace("jobs").set_buffer_size(BATCH).set_poll_interval(POLL_EVERY);
    let mut storage = RedisStorage::<Decrement>::new_with_config(redis.clone(), config);
    let took = Arc::<Mutex<Vec<u64>>>::default();
    let peer = Peer { redis, script: redis::Script::new(JOB), took: Arc::clone(&took) };
    let worker = WorkerBuilder::new("bench")
        .data(peer)
        .concurrency(BATCH)
        .backend(storage.clone())
        .build_fn(decrement);
    match words[0].as_str() {
        "load" => {
            for first in (0..count).step_by(CHUNK as usize) {
                // It has no call for many; these share a connection and so its round trips.
                try_join_all((first..count.min(first + CHUNK)).map(|n| {
                    let mut storage = storage.clone();
                    async move { storage.push(Decrement::new(n)).await }
                }))
                .await?;
            }
        }
        "drain" => worker.run().await,
        "latency" => {
            tokio::spawn(worker.run());
            let begun = Instant::now();
            for n in 0..count {
                let due = begun + Duration::from_secs(n) / u32::try_from(rate)?;
                tokio::time::sleep(due.saturating_duration_since(Instant::now())).await;
                storage.push(Decrement::new(n)).await?;
            }
            let mut took = loop {
                let took = took.lock().map(|took| took.clone()).unwrap_or_default();
                if took.len() as u64 >= count {
                    break took;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            };
            // The first tenth warms up.
            took.drain(..took.len() / 10);
            took.sort_unstable();
            let at = |share: f64| took[(share * (took.len() - 1) as f64) as usize] as f64 / 1e3;
            println!("{:.3} {:.3}", at(0.5), at(0.99));
        }
        verb => bail!("{verb}: load, drain or latency"),
    }
    Ok(())
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64)
}
