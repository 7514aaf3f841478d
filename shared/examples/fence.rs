//! Two holders of one lock, of whom the first was stopped for too long: the fence refuses its write.
//!
//! `cargo run -p tollgate --example fence`, on the Redis of REDIS_URL or on a private server.

use std::time::Duration;

use tollgate::Tollgate;
use tollgate::ids::LockName;
use tollgate::lock::LockOptions;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tollgate = Tollgate::builder().connect().await?;
    let (locks, name) = (tollgate.locks(), LockName::parse("stock of A-12")?);
    let options = LockOptions::of_ttl(Duration::from_secs(2)).wait(Duration::from_secs(10));
    let stock = tollgate.guarded(name.clone());

    // The first holder reads under its fence, and is then stopped for longer than its lease.
    let first = locks.acquire(&name, &options).await?;
    let old_fence = stock.mint().await?;
    let before = stock.read().await?;
    first.release().await?;

    // The second holder changes the value meanwhile.
    let second = locks.acquire(&name, &options).await?;
    let fence = stock.mint().await?;
    stock.write(&fence, b"7 left").await?;
    println!("the second holder wrote: 7 left (before: {before:?})");

    // The first one wakes up and goes on where it stood.
    match stock.write(&old_fence, b"8 left").await {
        Ok(()) => println!("the first holder overwrote it"),
        Err(error) => println!("the first holder is refused: {error}"),
    }
    let now = stock.read().await?.unwrap_or_default();
    println!("what is there: {}", String::from_utf8_lossy(&now));
    second.release().await?;
    locks.finish(Duration::from_secs(1)).await;
    Ok(())
}
