//! Redis breaks, restarts, forgets, fills up, or stops answering: nothing is lost, and work resumes by itself.

use crate::harness::{Space, private, redemptions, until};
use crate::proxy::Proxy;

#[tokio::test(flavor = "multi_thread")]
async fn redis_killed_and_restarted_under_load_while_scripts_are_flushed() {
    let mut redis = private(&["--appendfsync", "always"]);
    let space = Space::on(&redis).await;
    let workers = [space.worker(&["--batch", "50"]), space.worker(&["--batch", "50"])];
    const ROUNDS: usize = 3;
    for round in 0..ROUNDS {
        space.enqueue_until_sent(&redemptions(&format!("r{round}-"), 2_000)).await;
        let seq = until("some settled jobs", async || {
            space.cmd(&["SCRIPT", "FLUSH"]).await;
            let seq = space.stats().await.head.seq;
            (seq > 1 + 2_000 * round as u64 + 100).then_some(seq)
        })
        .await;
        redis.kill();
        // An outage that is over before a worker's second attempt goes by without a word: this one lasts until
        // each has spoken.
        for worker in &workers {
            worker.says("it is tried again").await;
        }
        redis.restart().unwrap();
        assert!(space.stats().await.head.seq >= seq, "a decided job was lost");
    }
    let stats = space.drained().await;
    assert_eq!((space.issued().await, stats.head.seq), (6_000, 6_001));
    for mut worker in workers {
        // The other one may have drained the queue while this one still paused between two attempts.
        worker.says("resumed").await;
        // Each outage is said at its beginning and at its end, not for every attempt.
        let (begun, over) = (worker.said("it is tried again"), worker.said("resumed"));
        assert!((1..=3 * ROUNDS).contains(&begun) && over >= 1, "{begun} and {over}: {}", worker.log());
        assert_eq!(worker.drained().await, Some(0));
    }
}

#[tokio::test]
async fn out_of_memory_issues_nothing_and_heals_by_itself() {
    let redis = private(&[]);
    let space = Space::on(&redis).await;
    space.enqueue(&redemptions("j", 1_000)).await;
    space.cmd(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let mut worker = space.worker(&["--listen", "0", "--batch", "100"]);
    until("more refusals than there are batches", async || {
        (worker.figure(r#"tollgate_redis_failures_total{kind="out_of_memory"}"#).await > 10).then_some(())
    })
    .await;
    assert_eq!(space.issued().await, 0);
    let stats = space.stats().await;
    // Two in the slots, one that waits for a slot, one that was being read.
    assert!(Space::in_flight(&stats) <= 400, "it goes on fetching: {stats:?}");
    assert_eq!(worker.said("it is tried again"), 1, "{}", worker.log());
    assert!(worker.page("/readyz").await.0.contains("503"));
    space.cmd(&["CONFIG", "SET", "maxmemory", "0"]).await;
    space.drained().await;
    assert_eq!(space.issued().await, 1_000);
    worker.says("resumed").await;
    assert_eq!(worker.drained().await, Some(0));
}

#[tokio::test]
async fn a_damaged_head_stops_the_partition_until_it_is_repaired() {
    let redis = private(&[]);
    let space = Space::on(&redis).await;
    let worker = space.worker(&[]);
    worker.says("ready").await;
    let head = space.keys().head();
    let aside = format!("{head}-aside");
    space.cmd(&["RENAME", &head, &aside]).await;
    space.enqueue(&redemptions("j", 10)).await;
    worker.says("not initialised").await;
    space.cmd(&["RENAME", &aside, &head]).await;
    space.drained().await;
    assert_eq!(space.issued().await, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn half_open_connections_are_noticed_and_what_was_served_on_them_is_not_lost() {
    let redis = private(&[]);
    let space = Space::on(&redis).await;
    let proxy = Proxy::start(redis.socket());
    // A claim would take half a minute, longer than this test waits: it must be the worker itself.
    let worker = space.worker_at(&proxy.url(), &["--claim-idle", "10m"], "");
    space.enqueue(&redemptions("before", 100)).await;
    space.drained().await;
    proxy.swallow();
    // The reader waits in Redis: it is served, and does not hear of it.
    space.enqueue(&redemptions("lost", 100)).await;
    until("entries that were served to nobody", async || {
        (Space::in_flight(&space.stats().await) > 0).then_some(())
    })
    .await;
    space.enqueue(&redemptions("after", 100)).await;
    space.drained().await;
    assert_eq!(space.issued().await, 300);
    worker.says("resumed").await;
}
