//! What a lock costs: acquire and release on 1, 3 and 5 servers of this machine, beside one plain SET NX PX and DEL.
//!
//! `cargo run --release -p tollgate --example lock -- [ROUNDS]`

use std::time::{Duration, Instant};

use tollgate::connect::{Endpoint, RedisOptions, Server};
use tollgate::embedded::Temporary;
use tollgate::ids::{LockName, Namespace};
use tollgate::lock::{LockNodes, LockOptions, Locks, WorkError};

type Error = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let rounds = std::env::args().nth(1).map_or(Ok(2_000), |text| text.parse())?;
    let servers = (0..5).map(|_| Temporary::start(&[])).collect::<Result<Vec<_>, _>>()?;
    let urls: Vec<String> = servers.iter().map(Temporary::url).collect();
    println!("{rounds} rounds, one after the other, over unix sockets");
    println!("{:<28} {:>9} {:>9}", "", "p50", "p99");
    report("SET NX PX + DEL, 1 server", plain(&urls[0], rounds).await?);
    for count in [1, 3, 5] {
        report(&format!("acquire + release, {count} nodes"), locked(&urls[..count], rounds).await?);
    }
    Ok(())
}

async fn locked(urls: &[String], rounds: usize) -> Result<Vec<Duration>, Error> {
    let locks = Locks::new(LockNodes::open(urls, None)?, Namespace::default());
    let name = LockName::parse("invoice 17")?;
    let options = LockOptions::default();
    // Opens the links and loads the scripts.
    locks.with(&name, &options, async |_| Ok::<_, Error>(())).await.map_err(WorkError::flat)?;
    let mut took = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let begun = Instant::now();
        locks.with(&name, &options, async |_| Ok::<_, Error>(())).await.map_err(WorkError::flat)?;
        took.push(begun.elapsed());
    }
    Ok(took)
}

async fn plain(url: &str, rounds: usize) -> Result<Vec<Duration>, Error> {
    let options = RedisOptions { url: Some(url.to_owned()), ..RedisOptions::default() };
    let mut link = Server::open(Endpoint::parse(&options)?).link().await?;
    let mut set = redis::cmd("SET");
    set.arg("plain").arg("token").arg("NX").arg("PX").arg(10_000);
    let mut del = redis::cmd("DEL");
    del.arg("plain");
    let mut took = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let begun = Instant::now();
        link.run(&set).await?;
        link.run(&del).await?;
        took.push(begun.elapsed());
    }
    Ok(took)
}

fn report(what: &str, mut took: Vec<Duration>) {
    took.sort();
    let at = |percent: usize| took.get(took.len() * percent / 100).copied().unwrap_or_default();
    println!("{what:<28} {:>6} µs {:>6} µs", at(50).as_micros(), at(99).as_micros());
}
