//! Workers on a Redis Cluster: a node dies, slots move, and the partitions elsewhere go on.

use tollgate::instant::Instant;
use tollgate::job::Job;
use tollgate::kinds::Redeem;
use tollgate::quantity::Quantity;
use tollgate_testkit::cluster::{Cluster, Settings};

use crate::harness::{Space, redemptions, until};

const JOBS: usize = 2_000;
const PARTITIONS: u16 = 8;

/// Two workers and a namespace of eight partitions on three masters.
async fn fleet(cluster: &Cluster) -> (Space, [crate::harness::Worker; 2]) {
    let space = Space::at(cluster.url(), PARTITIONS).await;
    let workers = [0, 1].map(|_| space.worker(&["--batch", "50", "--listen", "0"]));
    for worker in &workers {
        worker.says("consumer=").await;
    }
    (space, workers)
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_follow_slots_that_move_under_load_and_nothing_is_issued_twice() {
    let cluster = Cluster::start();
    let (space, mut workers) = fleet(&cluster).await;
    let jobs = redemptions("j", JOBS);
    space.enqueue_until_sent(&jobs[..JOBS / 2]).await;
    until("the first to be decided", async || (space.issued().await > 0).then_some(())).await;
    // The partition of the campaign goes once around.
    let slot = cluster.slot_of(&space.keys().head()).unwrap();
    for _ in 0..3 {
        let now = cluster.node_of_slot(slot).unwrap();
        let next = cluster.masters().into_iter().find(|node| *node > now).unwrap_or(0);
        cluster.migrate_slot(slot, next).unwrap();
    }
    space.enqueue_until_sent(&jobs).await;
    space.drained().await;
    assert_eq!(space.issued().await, JOBS as u64);
    for worker in &mut workers {
        let (_, page) = worker.page("/metrics").await;
        assert!(page.contains("tollgate_redis_redirects_total{kind=\"moved\"}"), "{page}");
        assert_eq!(worker.drained().await, Some(0), "{}", worker.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_dies_is_named_and_its_partitions_go_on_at_the_replica() {
    let mut cluster = Cluster::start();
    let (space, mut workers) = fleet(&cluster).await;
    let jobs = redemptions("j", JOBS);
    space.enqueue_until_sent(&jobs[..JOBS / 2]).await;
    until("the first to be decided", async || (space.issued().await > 0).then_some(())).await;
    let dead = cluster.node_of_slot(cluster.slot_of(&space.keys().head()).unwrap()).unwrap();
    let name = format!("node 127.0.0.1:{}", cluster.port(dead));
    cluster.kill(dead);
    for worker in &workers {
        worker.says(&name).await;
    }
    // What the old master took and had not passed on is lost as a whole; so all are sent again, under their ids.
    space.enqueue_until_sent(&jobs).await;
    space.drained().await;
    assert_eq!(space.issued().await, JOBS as u64);
    for worker in &mut workers {
        until("readiness", async || worker.page("/readyz").await.0.contains("200").then_some(())).await;
        assert_eq!(worker.drained().await, Some(0), "{}", worker.log());
    }
}

/// What is to be done at its time, and what comes in, is done in the partitions elsewhere while a node stands still, also
/// by a worker whose hands were full of that node's jobs.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stands_still_holds_up_its_own_partitions_only() {
    let mut cluster = Cluster::of(&Settings { replicas: 0, ..Settings::default() });
    let space = Space::at(cluster.url(), PARTITIONS).await;
    let mut worker = space.worker(&["--batch", "50", "--concurrency", "2", "--listen", "0"]);
    worker.says("consumer=").await;
    let well = cluster.node_of_slot(cluster.slot_of(&space.keys().head()).unwrap()).unwrap();
    let meta = format!("{}:meta", space.tollgate.namespace());
    let own = cluster.node_of_slot(cluster.slot_of(&meta).unwrap()).unwrap();
    let still = (0..cluster.count()).find(|node| *node != well && *node != own).unwrap();
    let name = format!("127.0.0.1:{}", cluster.port(still));
    // A campaign in each partition, so that batches of that node are on their way when it stops.
    for n in 0..40 {
        space.create_campaign(&format!("c{n}"), 1000).await;
    }
    let elsewhere: Vec<_> = (0..40).flat_map(|n| of_campaign(&format!("c{n}"), 20)).collect();
    space.enqueue_until_sent(&elsewhere).await;
    cluster.stop(still);
    worker.says(&name).await;

    let at = Instant::from_ms(Instant::now().ms() + 500);
    let soon = redemptions("soon", 30).into_iter().map(|job| Job { at, ..job });
    space.enqueue_until_sent(&soon.collect::<Vec<_>>()).await;
    space.enqueue_until_sent(&redemptions("now", 30)).await;
    until("what is elsewhere to be done", async || (space.issued().await == 60).then_some(())).await;

    cluster.cont(still);
    let (_, page) = worker.page("/metrics").await;
    assert!(page.contains("tollgate_"), "{page}");
    until("readiness", async || worker.page("/readyz").await.0.contains("200").then_some(())).await;
    assert_eq!(worker.drained().await, Some(0), "{}", worker.log());
    let report = tollgate_audit::audit(&space.tollgate, &[], &|_| {}).await.unwrap();
    assert_eq!(report.verdict, tollgate_audit::Verdict::Pass, "{report:#?}");
}

fn of_campaign(campaign: &str, count: usize) -> Vec<Job> {
    let redeem = |n| {
        let request = Redeem {
            campaign: campaign.parse().unwrap(),
            customer: format!("u{n}").parse().unwrap(),
            quantity: Quantity::ONE,
        };
        Job { id: format!("{campaign}-{n}").parse().unwrap(), at: None, request: request.into() }
    };
    (0..count).map(redeem).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_begins_while_the_namespaces_own_key_is_away_says_so_and_waits() {
    let mut cluster = Cluster::of(&Settings { replicas: 0, ..Settings::default() });
    let space = Space::at(cluster.url(), PARTITIONS).await;
    let meta = format!("{}:meta", space.tollgate.namespace());
    let own = cluster.node_of_slot(cluster.slot_of(&meta).unwrap()).unwrap();
    cluster.kill(own);
    let mut worker = space.worker(&[]);
    worker.says(&format!("node 127.0.0.1:{}", cluster.port(own))).await;
    worker.says(&format!("{meta} is on that node")).await;
    cluster.restart(own).unwrap();
    worker.says("ready").await;
    space.enqueue_until_sent(&redemptions("j", 20)).await;
    until("the jobs to be done", async || (space.issued().await == 20).then_some(())).await;
    assert_eq!(worker.drained().await, Some(0), "{}", worker.log());
}
