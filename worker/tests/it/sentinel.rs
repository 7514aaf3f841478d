//! Workers of a master that Sentinels watch, when it dies.

use tollgate_testkit::sentinel::Watched;

use crate::harness::{Space, redemptions, until};

const JOBS: usize = 2_000;

#[tokio::test(flavor = "multi_thread")]
async fn workers_and_producers_go_on_at_the_new_master_and_no_coupon_is_issued_twice() {
    let mut watched = Watched::start();
    let space = Space::at(watched.url(), 1).await;
    let mut workers = [0, 1].map(|_| space.worker(&["--batch", "50", "--listen", "0"]));
    for worker in &workers {
        worker.says("consumer=").await;
    }
    let jobs = redemptions("j", JOBS);
    space.enqueue_until_sent(&jobs[..JOBS / 2]).await;
    until("the first to be decided", async || (space.issued().await > 0).then_some(())).await;
    watched.server(0).kill();
    // What the old master took and had not passed on is lost as a whole; so all are sent again, under their ids.
    space.enqueue_until_sent(&jobs).await;
    space.drained().await;
    assert_eq!(space.issued().await, JOBS as u64);
    for worker in &mut workers {
        until("readiness", async || worker.page("/readyz").await.0.contains("200").then_some(())).await;
        assert!(worker.is_running());
        assert_eq!(worker.drained().await, Some(0), "{}", worker.log());
    }
}
