//! What becomes of jobs when nothing goes wrong but the jobs.

use crate::harness::{CAMPAIGN, Space, redeem, redemptions, shared};

#[tokio::test]
async fn every_job_is_settled_once_and_a_duplicate_is_replayed() {
    let space = Space::on(shared()).await;
    let jobs = redemptions("j", 3_000);
    space.enqueue(&jobs).await;
    space.enqueue(&jobs[..100]).await;
    let mut worker = space.worker(&[]);
    let stats = space.drained().await;
    assert_eq!(space.issued().await, 3_000);
    assert_eq!((stats.head.replayed, stats.head.seq), (100, 3_001), "seq: the campaign, and each job");

    space.enqueue(&[redeem("j1", "someone else")]).await;
    worker.says(r#"field="customer""#).await;
    assert_eq!(space.drained().await.head.mismatched, 1);
    assert_eq!(worker.drained().await, Some(0));
    assert!(!worker.log().contains("panicked"), "{CAMPAIGN}");
}
