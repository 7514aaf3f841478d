//! A worker dies at every point of a job's life; another one finishes, and every effect happens once.

use futures_util::future::join_all;
use tollgate::instant::Instant;
use tollgate::job::Job;

use crate::harness::{Space, redeem, redemptions, shared, until};

/// Jobs that pass every point: plain ones, poison, one that is for later, and a duplicate.
async fn enqueue_some_of_all(space: &Space) {
    space.enqueue(&redemptions("j", 60)).await;
    space.add("job", br#"{"id":"bad","kind":"redeem"}"#).await;
    let at = Instant::from_ms(Instant::now().ms() + 300);
    space.enqueue(&[Job { at, ..redeem("later", "c") }, redeem("j5", "c5")]).await;
}

async fn assert_each_happened_once(space: &Space, point: &str) {
    until("the delayed job", async || (space.fate("later").await == "redeemed").then_some(())).await;
    let stats = space.drained().await;
    assert_eq!((space.issued().await, stats.head.seq), (61, 62), "{point}");
    assert_eq!((stats.dead, stats.scheduled), (1, 0), "{point}");
    assert!(space.fate("bad").await.starts_with("dead:"), "{point}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abort_at_any_point_loses_and_doubles_nothing() {
    const POINTS: [&str; 6] =
        ["after_fetch", "after_decode", "before_settle", "after_settle", "before_park", "after_park"];
    join_all(POINTS.map(async |point| {
        let space = Space::on(shared()).await;
        enqueue_some_of_all(&space).await;
        let mut victim = space.worker_with(&["--batch", "20"], &format!("{point}:abort"));
        assert!(!victim.ended().await.success(), "{point}");
        // The next one dies holding what it claimed from the first.
        let mut second = space.worker_with(&["--batch", "20"], "after_claim:abort");
        if point != "after_settle" && point != "after_park" {
            assert!(!second.ended().await.success(), "{point}");
        }
        drop(second);
        let _worker = space.worker(&[]);
        assert_each_happened_once(&space, point).await;
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_any_time_loses_and_doubles_nothing() {
    let space = Space::on(shared()).await;
    enqueue_some_of_all(&space).await;
    space.enqueue(&redemptions("j", 60)).await;
    for batch in ["1", "7", "30"] {
        let worker = space.worker(&["--batch", batch]);
        worker.says("ready").await;
        drop(worker); // SIGKILL
    }
    let _worker = space.worker(&[]);
    assert_each_happened_once(&space, "kill").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_at_any_point_costs_only_its_job() {
    const POINTS: [&str; 4] = ["after_fetch", "after_decode", "before_settle", "after_settle"];
    join_all(POINTS.map(async |point| {
        let space = Space::on(shared()).await;
        let mut jobs = redemptions("j", 40);
        jobs.insert(20, redeem("bad", "c"));
        space.enqueue(&jobs).await;
        let mut worker = space.worker_with(&[], &format!("{point}:panic:id=bad"));
        let stats = space.drained().await;
        if point == "after_settle" {
            // It was decided; the panic came too late to matter.
            assert_eq!((space.issued().await, stats.dead), (41, 0), "{point}");
        } else {
            assert_eq!((space.issued().await, stats.dead), (40, 1), "{point}");
            assert_eq!(space.fate("bad").await, "dead:worker_lost", "{point}");
        }
        assert_eq!(worker.drained().await, Some(0), "the worker lives on: {point}");
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_kills_its_workers_ends_in_dead_and_no_other_does() {
    let space = Space::on(shared()).await;
    let mut jobs = redemptions("good", 199);
    jobs.insert(100, redeem("bad", "c"));
    space.enqueue(&jobs).await;
    // What a supervisor does.
    let mut deaths = 0;
    let mut worker = space.worker_with(&[], "after_decode:abort:id=bad");
    let stats = until("199 settled and one dead", async || {
        if !worker.is_running() {
            deaths += 1;
            worker = space.worker_with(&[], "after_decode:abort:id=bad");
        }
        let stats = space.stats().await;
        (stats.dead > 0 && Space::in_flight(&stats) == 0).then_some(stats)
    })
    .await;
    assert_eq!((space.issued().await, stats.dead, stats.head.seq), (199, 1, 200));
    assert_eq!(space.fate("bad").await, "dead:worker_lost");
    assert_eq!(deaths, 5, "twice with others, three times alone");
}
