//! (j) A lock that many want: entries and commands a second, by waiters, nodes and delay.
//!
//! Each waiter takes the lock, works for a millisecond and gives it back, again and again. Once all of them in one
//! process, and once each as a process of its own (with links and a queue of its own). Beside it the most that is
//! possible, one holder right after the other (work and two round trips, the release's and the next take's), and what
//! the retry rule of redsync and node-redlock comes to: everybody asks every node, releases on all of them after a
//! failure, and tries again after a random pause, 50 to 250 ms, whatever came of it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use futures_util::future::join_all;
use tokio::runtime::Runtime;
use tollgate::connect::{Endpoint, RedisOptions, Server};
use tollgate::embedded::Temporary;
use tollgate::ids::{LockName, Namespace};
use tollgate::link::Link;
use tollgate::lock::{LockNodes, LockOptions, Locks, WorkError};

use crate::delay::{self, Delay};
use crate::report::Row;
use crate::scale::Scale;

const WAITERS: [usize; 4] = [1, 10, 50, 200];
const NODES: [usize; 3] = [1, 3, 5];
/// One way, each with as much jitter as half of it.
const DELAYS: [Duration; 3] = [Duration::ZERO, Duration::from_millis(10), Duration::from_millis(80)];
const WORK: Duration = Duration::from_millis(1);
const TTL: Duration = Duration::from_secs(10);
/// Longer by this many round trips, so that slow links have their share of entries.
const MEASURED: (Duration, u32) = (Duration::from_secs(2), 20);
/// Not counted, and longer by so many delays: links open, and pauses grow to what they are for long.
const WARM_UP: (Duration, u32) = (Duration::from_secs(1), 140);
/// Of the rate of one node with the same waiters.
const AIM: f64 = 0.5;

/// How those who want it go about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    OneProcess,
    ProcessEach,
    /// See above; the rule, not the libraries.
    FixedPauses,
}

#[derive(Debug, Clone, Copy, Default)]
struct Rates {
    entries: f64,
    commands: f64,
}

pub(crate) fn run(scale: Scale) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for delay in DELAYS {
        for manner in [Manner::OneProcess, Manner::ProcessEach, Manner::FixedPauses] {
            for waiters in WAITERS {
                let mut by_nodes = Vec::new();
                for nodes in NODES {
                    let rates = measure(manner, waiters, nodes, delay, scale)?;
                    let Rates { entries, commands } = rates;
                    let who = shown(manner, waiters, delay);
                    eprintln!("{who}, on {nodes}: {entries:.1} entries/s, {commands:.0} commands/s");
                    by_nodes.push(rates);
                }
                rows.push(row((manner, waiters, delay), &by_nodes));
            }
        }
    }
    Ok(rows)
}

fn shown(manner: Manner, waiters: usize, delay: Duration) -> String {
    let manner = match manner {
        Manner::OneProcess => "one process",
        Manner::ProcessEach => "a process each",
        Manner::FixedPauses => "fixed pauses",
    };
    let plural = if waiters == 1 { "" } else { "s" };
    format!("{} ms, {waiters} waiter{plural}, {manner}", delay.as_millis())
}

/// The rates on 1, 3 and 5 nodes, in this order.
fn row((manner, waiters, delay): (Manner, usize, Duration), by_nodes: &[Rates]) -> Row {
    // A jitter of up to half the delay makes a way a quarter longer on average.
    let round_trip = (delay + delay / 4) * 2;
    let best = 1.0 / (WORK + round_trip * 2).as_secs_f64();
    let one_node = by_nodes.first().copied().unwrap_or_default();
    let each = |text: &dyn Fn(&Rates) -> String| by_nodes.iter().map(text).collect::<Vec<_>>().join(" / ");
    let ratios = by_nodes.iter().skip(1).map(|rates| rates.entries / one_node.entries);
    let worst = ratios.clone().fold(f64::INFINITY, f64::min);
    let aim = match manner {
        Manner::FixedPauses => String::new(),
        _ => format!("{AIM} of one node: {}", if worst >= AIM { "met" } else { "missed" }),
    };
    Row {
        what: shown(manner, waiters, delay),
        ours: format!(
            "{} entries/s; {} commands/s",
            each(&|rates| format!("{:.1}", rates.entries)),
            each(&|rates| format!("{:.0}", rates.commands))
        ),
        limit: format!("{best:.1} entries/s"),
        ratio: ratios.map(|ratio| format!("{ratio:.2}")).collect::<Vec<_>>().join(" / "),
        aim,
        ..Row::default()
    }
}

fn measure(manner: Manner, waiters: usize, nodes: usize, delay: Duration, scale: Scale) -> Result<Rates> {
    let servers =
        (0..nodes).map(|_| Temporary::start(&["--appendonly", "no"])).collect::<Result<Vec<_>, _>>()?;
    let runtime = Runtime::new()?;
    let dir = tempfile::tempdir()?;
    let urls = runtime.block_on(async { far(&servers, dir.path(), delay) })?;
    let measured = MEASURED.0 + delay * 2 * MEASURED.1;
    let measured = if scale.is_quick() { measured / 4 } else { measured };
    let times = (WARM_UP.0 + delay * WARM_UP.1, measured);
    let rates = runtime.block_on(contend(manner, waiters, (&urls, &servers), times));
    // Whoever still waits goes with its runtime.
    runtime.shutdown_timeout(Duration::from_millis(100));
    rates
}

fn far(servers: &[Temporary], dir: &Path, delay: Duration) -> Result<Vec<String>> {
    if delay.is_zero() {
        return Ok(servers.iter().map(Temporary::url).collect());
    }
    let mut urls = Vec::new();
    for (n, server) in servers.iter().enumerate() {
        let at = dir.join(format!("{n}.sock"));
        delay::listen(&at, server.socket(), Delay { least: delay, jitter: delay / 2 })?;
        urls.push(format!("unix://{}", at.display()));
    }
    Ok(urls)
}

async fn contend(
    manner: Manner,
    waiters: usize,
    (urls, servers): (&[String], &[Temporary]),
    (warm_up, measured): (Duration, Duration),
) -> Result<Rates> {
    let (entries, ends) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let open = || Ok::<_, anyhow::Error>(Locks::new(LockNodes::open(urls, None)?, Namespace::default()));
    let shared = open()?;
    for _ in 0..waiters {
        let locks = if manner == Manner::ProcessEach { open()? } else { shared.clone() };
        let (entries, ends, urls) = (Arc::clone(&entries), Arc::clone(&ends), urls.to_vec());
        tokio::spawn(async move {
            match manner {
                Manner::FixedPauses => fixed_pauses(&urls, &entries, &ends).await,
                _ => in_turn(&locks, &entries, &ends).await,
            }
        });
    }
    tokio::time::sleep(warm_up).await;
    let (entries_before, commands_before, begun) =
        (entries.load(Ordering::Relaxed), commands(servers).await?, Instant::now());
    tokio::time::sleep(measured).await;
    let seconds = begun.elapsed().as_secs_f64();
    let rates = Rates {
        entries: (entries.load(Ordering::Relaxed) - entries_before) as f64 / seconds,
        commands: (commands(servers).await? - commands_before) as f64 / seconds,
    };
    ends.store(true, Ordering::Relaxed);
    Ok(rates)
}

async fn in_turn(locks: &Locks, entries: &AtomicU64, ends: &AtomicBool) -> Result<()> {
    let name = LockName::parse("wanted by all")?;
    let options = LockOptions::of_ttl(TTL).wait(Duration::from_secs(60));
    let options = LockOptions { node_timeout: Duration::from_secs(1), ..options };
    while !ends.load(Ordering::Relaxed) {
        let work = async |_| {
            tokio::time::sleep(WORK).await;
            entries.fetch_add(1, Ordering::Relaxed);
            Ok::<_, anyhow::Error>(())
        };
        locks.with(&name, &options, work).await.map_err(WorkError::flat)?;
    }
    Ok(())
}

/// How many commands the servers were sent; what a script calls is part of its command.
async fn commands(servers: &[Temporary]) -> Result<u64> {
    let mut sum = 0;
    for server in servers {
        let mut link = link(&server.url()).await?;
        let stats: String = query(&mut link, &["INFO", "commandstats"]).await?;
        for name in ["set", "evalsha", "evalsha_ro"] {
            let prefix = format!("cmdstat_{name}:calls=");
            let line = stats.lines().find_map(|line| line.strip_prefix(&prefix)?.split(',').next());
            sum += line.and_then(|calls| calls.parse::<u64>().ok()).unwrap_or(0);
        }
    }
    Ok(sum)
}

async fn link(url: &str) -> Result<Link> {
    let options = RedisOptions { url: Some(url.to_owned()), ..RedisOptions::default() };
    Ok(Server::open(Endpoint::parse(&options)?).link().await?)
}

#[allow(clippy::disallowed_methods, reason = "what is measured here is Redis itself, beside Tollgate")]
async fn query<T: redis::FromRedisValue>(link: &mut Link, words: &[&str]) -> Result<T> {
    let mut command = redis::Cmd::new();
    words.iter().for_each(|word| _ = command.arg(*word));
    Ok(link.query(&command).await?)
}

/// What deletes a key if its value is the token: the release of every Redlock.
const RELEASE: &str =
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";

async fn fixed_pauses(urls: &[String], entries: &AtomicU64, ends: &AtomicBool) -> Result<()> {
    let mut links = Vec::new();
    for url in urls {
        links.push(link(url).await?);
    }
    let ttl = TTL.as_millis().to_string();
    while !ends.load(Ordering::Relaxed) {
        let token = format!("{:032x}", rand::random::<u128>());
        let take = ["SET", "wanted by all", &token, "NX", "PX", &ttl];
        let taken = join_all(links.iter_mut().map(|link| query::<Option<String>>(link, &take))).await;
        let granted = taken.into_iter().filter(|answer| matches!(answer, Ok(Some(_)))).count();
        let held = granted > urls.len() / 2;
        if held {
            tokio::time::sleep(WORK).await;
            entries.fetch_add(1, Ordering::Relaxed);
        }
        let release = ["EVAL", RELEASE, "1", "wanted by all", &token];
        join_all(links.iter_mut().map(|link| query::<i64>(link, &release))).await;
        if !held {
            tokio::time::sleep(Duration::from_millis(rand::random_range(50..250))).await;
        }
    }
    Ok(())
}
