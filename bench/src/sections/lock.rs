//! (h) Taking a lock and giving it back, on 1, 3 and 5 nodes, against one plain SET NX PX and DEL.
//!
//! All four take turns, one at a time, so that whatever else the machine does meets them alike. Measured twice: on
//! bare unix sockets, where every node's work is done by the same few cores and asking them at once gains little;
//! and behind links with a delay, as between machines, which is what the aim is about.

use std::time::{Duration, Instant};

use anyhow::Result;
use hdrhistogram::Histogram;
use tokio::runtime::Runtime;
use tollgate::connect::{Endpoint, RedisOptions, Server};
use tollgate::embedded::Temporary;
use tollgate::ids::{LockName, Namespace};
use tollgate::link::Link;
use tollgate::lock::{LockNodes, LockOptions, Locks};

use crate::cost::{Spread, median};
use crate::delay;
use crate::report::Row;
use crate::scale::Scale;
use crate::talk::talk;

const NODES: [usize; 3] = [1, 3, 5];
const TAKEN: u64 = 4_000;
/// So many behind a delay, which is the same each time.
const TAKEN_DELAYED: u64 = 500;
/// One way.
const DELAY: Duration = Duration::from_millis(1);
/// At most this many times a SET and DEL.
const AIM: f64 = 1.5;
/// Not counted: links open, scripts are loaded.
const WARM_UP: u64 = 20;
const TTL: Duration = Duration::from_secs(10);

/// One round: the plain pair, then the locks as in [`NODES`], in nanoseconds.
type Measured = Vec<Histogram<u64>>;

pub(crate) fn run(scale: Scale) -> Result<Vec<Row>> {
    let servers = (0..5).map(|_| Temporary::start(&[])).collect::<Result<Vec<_>, _>>()?;
    let runtime = Runtime::new()?;
    let dir = tempfile::tempdir()?;
    let near: Vec<String> = servers.iter().map(Temporary::url).collect();
    let mut far = Vec::new();
    for (n, server) in servers.iter().enumerate() {
        let at = dir.path().join(format!("{n}.sock"));
        runtime.block_on(async { delay::listen(&at, server.socket(), DELAY) })?;
        far.push(format!("unix://{}", at.display()));
    }
    let mut rows = Vec::new();
    let far_name = format!("links with {DELAY:?} each way");
    for (link, urls, taken) in [("unix socket", &near, TAKEN), (far_name.as_str(), &far, TAKEN_DELAYED)] {
        let rounds = (1..=scale.rounds)
            .map(|round| {
                let measured = runtime.block_on(measure(urls, scale.jobs(taken)))?;
                talk!("round {round}: {link}: {}", shown(&measured));
                Ok(measured)
            })
            .collect::<Result<Vec<_>>>()?;
        for (at, nodes) in NODES.iter().enumerate() {
            rows.extend([0.5, 0.99].map(|quantile| row(link, *nodes, &rounds, at + 1, quantile)));
        }
    }
    Ok(rows)
}

fn row(link: &str, nodes: usize, rounds: &[Measured], at: usize, quantile: f64) -> Row {
    let micros = |round: &Measured, at: usize| round[at].value_at_quantile(quantile) as f64 / 1e3;
    let ratio = Spread::of(rounds.iter().map(|round| micros(round, at) / micros(round, 0)).collect());
    let plural = if nodes == 1 { "" } else { "s" };
    Row {
        what: format!("{link}, {nodes} node{plural}, p{:.0}", quantile * 100.0),
        ours: format!("{:.0} µs", median(rounds.iter().map(|round| micros(round, at)))),
        limit: format!("SET + DEL {:.0} µs", median(rounds.iter().map(|round| micros(round, 0)))),
        aim: format!("at most {AIM}: {}", if ratio.median <= AIM { "met" } else { "missed" }),
        ratio: ratio.to_string(),
        ..Row::default()
    }
}

async fn measure(urls: &[String], taken: u64) -> Result<Measured> {
    let mut link = open(&urls[0]).await?;
    let locks = NODES
        .iter()
        .map(|nodes| Ok(Locks::new(LockNodes::open(&urls[..*nodes], None)?, Namespace::default())))
        .collect::<Result<Vec<_>>>()?;
    // A name for each: a release that is still on its way to the slowest node must not meet the next.
    let names =
        NODES.iter().map(|n| Ok(LockName::parse(format!("bench {n}"))?)).collect::<Result<Vec<_>>>()?;
    let options = LockOptions::of_ttl(TTL);
    let mut measured = vec![Histogram::<u64>::new(3)?; 1 + NODES.len()];
    for n in 0..WARM_UP + taken {
        let mut took = Vec::with_capacity(measured.len());
        let begun = Instant::now();
        plain(&mut link).await?;
        took.push(begun.elapsed());
        for (locks, name) in locks.iter().zip(&names) {
            let begun = Instant::now();
            // No work in between; whether the lease was long enough is not the question.
            let _ = locks.acquire(name, &options).await?.release().await;
            took.push(begun.elapsed());
        }
        if n >= WARM_UP {
            for (histogram, took) in measured.iter_mut().zip(took) {
                histogram.record(u64::try_from(took.as_nanos())?)?;
            }
        }
    }
    Ok(measured)
}

async fn open(url: &str) -> Result<Link> {
    let options = RedisOptions { url: Some(url.to_owned()), ..RedisOptions::default() };
    Ok(Server::open(Endpoint::parse(&options)?).link().await?)
}

/// What a lock costs that asks one server and hopes: on a link of the same kind as ours.
#[allow(clippy::disallowed_methods, reason = "what is measured here is Redis itself, beside Tollgate")]
async fn plain(link: &mut Link) -> Result<()> {
    let mut set = redis::cmd("SET");
    set.arg("plain").arg("token").arg("NX").arg("PX").arg(TTL.as_millis() as u64);
    let mut del = redis::cmd("DEL");
    del.arg("plain");
    link.run(&set).await?;
    link.run(&del).await?;
    Ok(())
}

fn shown(measured: &Measured) -> String {
    let micros = |histogram: &Histogram<u64>| format!("{} µs", histogram.value_at_quantile(0.5) / 1_000);
    measured.iter().map(micros).collect::<Vec<_>>().join(", ")
}
