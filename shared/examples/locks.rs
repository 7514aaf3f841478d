//! The code of docs/locks.md, which a test compares with this file. It is compiled with every warning denied, so what
//! the page shows drops no result. It calls servers that do not exist: to read, not to run.

use std::time::{Duration, Instant};

use tollgate::connect::{Endpoint, RedisOptions, Server};
use tollgate::ids::{LockName, Namespace};
use tollgate::lock::{Guarded, LockNodes, LockOptions, Locks, WorkError};

type Error = Box<dyn std::error::Error>;

async fn print_invoice(number: u32) -> Result<String, Error> {
    Ok(format!("invoice {number}"))
}

async fn send(letter: String, deadline: Instant) -> Result<usize, Error> {
    println!("{letter}, within {:?}", deadline.saturating_duration_since(Instant::now()));
    Ok(letter.len())
}

fn parse(value: Option<Vec<u8>>) -> u64 {
    value.and_then(|bytes| String::from_utf8(bytes).ok()?.parse().ok()).unwrap_or(1)
}

fn render(count: u64) -> Vec<u8> {
    count.to_string().into_bytes()
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let nodes = LockNodes::open(&["redis://lock-1", "redis://lock-2", "redis://lock-3"], None)?;
    let locks = Locks::new(nodes, Namespace::default());

    let name = LockName::parse("invoice 17")?;
    let options = LockOptions::of_ttl(Duration::from_secs(10))
        .wait(Duration::from_secs(30))
        .max_hold(Duration::from_secs(120));
    let sent = locks
        .with(&name, &options, async |lease| {
            let letter = print_invoice(17).await?;
            lease.check()?; // right before what cannot be taken back
            send(letter, lease.deadline()).await // an outside request ends before the lease does
        })
        .await
        .map_err(WorkError::flat)?;
    println!("{sent} characters");

    let url = RedisOptions { url: Some("redis://data".into()), ..RedisOptions::default() };
    let server = Server::open(Endpoint::parse(&url)?);
    let stock = Guarded::new(server, &Namespace::default(), name.clone());
    let written = locks
        .with(&name, &options, async |_| {
            let fence = stock.mint().await?; // first: from here on every older token is refused
            let count = parse(stock.read().await?); // then read
            stock.write(&fence, &render(count - 1)).await // then write
        })
        .await;
    match written {
        Ok(()) => println!("written"),
        Err(WorkError::Work(fenced)) => println!("another was faster: {fenced}"),
        Err(WorkError::Lock(lock)) => println!("not begun, or cancelled: {lock}"),
    }

    let left = locks.finish(Duration::from_secs(5)).await;
    println!("{left} locks are left to their TTL");
    Ok(())
}
