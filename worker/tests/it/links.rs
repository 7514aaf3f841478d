//! Links that are slow, and replies that cannot be right.

use crate::harness::{Space, private, redemptions, until};
use crate::proxy::Proxy;
use rustix::process::Signal;
use tollgate::ids::QueueName;
use tollgate::workers;
use tollgate_testkit::proxy::Weather;

/// Large jobs over a link on which a batch takes longer than an answer may: all of them are decided, each once.
#[tokio::test(flavor = "multi_thread")]
async fn large_jobs_over_a_slow_link_are_decided() {
    let redis = private(&[]);
    let space = Space::on(&redis).await;
    // A hundred of 60 KB at a megabyte a second: six seconds, and an answer may take five.
    let proxy = Proxy::start(redis.socket());
    proxy.set(Weather { bytes_a_second: Some(1_000_000), ..Weather::default() });
    for job in redemptions("j", 100) {
        let padded = job.encode().replacen('{', &format!("{{{}", " ".repeat(60_000)), 1);
        space.add("job", padded.as_bytes()).await;
    }
    // A claim would take ten minutes: it must be the worker itself that reads again what it missed.
    let mut worker = space.worker_at(&proxy.url(), &["--claim-idle", "10m"], "");
    let mut settled = 0;
    until("some jobs", async || {
        settled = space.issued().await;
        (settled > 0).then_some(())
    })
    .await;
    let stats = space.drained().await;
    assert_eq!((space.issued().await, stats.head.seq), (100, 101));
    assert_eq!(worker.drained().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_whose_id_came_garbled_is_read_again_and_settled() {
    let redis = private(&[]);
    let space = Space::on(&redis).await;
    let garbled: (&[u8], &[u8]) = (b"-0\r\n*2\r\n$3\r\njob", b"x0\r\n*2\r\n$3\r\njob");
    let proxy = Proxy::start(redis.socket());
    proxy.garble(garbled.0, garbled.1);
    space.enqueue(&redemptions("j", 10)).await;
    let mut worker = space.worker_at(&proxy.url(), &["--claim-idle", "10m", "--listen", "0"], "");
    let stats = space.drained().await;
    assert_eq!((space.issued().await, stats.head.seq), (10, 11));
    until("readiness", async || worker.page("/readyz").await.0.contains("200").then_some(())).await;
    assert!(proxy.has_garbled(), "this run shows nothing");
    assert_eq!(worker.drained().await, Some(0));
}

/// A take that was given up may be executed later, when what its reply had lost was read again already: then a row is in
/// flight under a worker that has not heard of it.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_late_take_brought_is_read_again_by_the_only_worker() {
    let redis = private(&[]);
    let space = Space::on(&redis).await;
    let mut worker = space.worker(&["--claim-idle", "10m"]);
    let (keys, queue) = (space.keys(), QueueName::default());
    let name = until("its name", async || {
        let mut link = space.tollgate.server().link().await.unwrap();
        Some(workers::beats(&mut link, keys).await.unwrap().pop()?.consumer)
    })
    .await;
    // Redis serves it once more while it stands still, in whatever it waits for: what comes after that is for us.
    worker.signal(Signal::STOP);
    let mut sent = 0;
    until("a take in its name that it did not make", async || {
        sent += 1;
        space.enqueue(&redemptions(&format!("late-{sent}-"), 1)).await;
        (space.take_as(&name, keys, &queue, 100).await > 0).then_some(())
    })
    .await;
    worker.signal(Signal::CONT);
    assert_eq!(space.drained().await.head.seq, sent + 1);
    assert_eq!(worker.drained().await, Some(0));
}
