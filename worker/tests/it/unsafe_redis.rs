//! A Redis that becomes unsafe while workers use it: noticed with the next connection, refused, told, used again.

use tollgate::amount::Amount;
use tollgate::ids::{AccountId, JobId};
use tollgate::job::Job;
use tollgate::kinds::{AccountOpen, Fields, Payout};

use crate::bank::{Answer, Bank};
use crate::harness::{Space, Worker, private, redemptions, until};

/// Breaks every connection of the worker, so that it opens others.
async fn reconnect(space: &Space) {
    space.cmd(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await;
}

async fn until_told(worker: &Worker, status: &str, words: &str) {
    until(&format!("{status} and {words:?}"), async || {
        let (line, page) = worker.page("/readyz").await;
        (line.contains(status) && page.contains(words)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_it_unsafe_stops_jobs_until_it_is_mended() {
    for (unsafe_setting, safe_setting, code) in [
        (["maxmemory-policy", "volatile-lru"], ["maxmemory-policy", "noeviction"], "evicts_keys"),
        (["appendonly", "no"], ["appendonly", "yes"], "aof_off"),
    ] {
        let redis = private(&[]);
        let space = Space::on(&redis).await;
        let mut worker = space.worker(&["--listen", "0"]);
        until_told(&worker, "200", "ready").await;
        space.cmd(&[&["CONFIG", "SET"], &unsafe_setting[..]].concat()).await;
        reconnect(&space).await;
        until_told(&worker, "503", code).await;
        assert_eq!(worker.figure(r#"tollgate_incidents{kind="unsafe_redis"}"#).await, 1);
        space.enqueue(&redemptions("j", 20)).await;
        // Some rounds of every loop.
        let figure = r#"tollgate_redis_failures_total{kind="unsafe_redis"}"#;
        let refused = worker.figure(figure).await;
        until("some more refusals", async || (worker.figure(figure).await > refused + 10).then_some(()))
            .await;
        assert_eq!((space.issued().await, worker.said("unsafe_redis subject")), (0, 0), "{}", worker.log());
        let told = worker.log().lines().filter(|line| line.contains("WARN") && line.contains(code)).count();
        assert_eq!(told, 1, "it is said once: {}", worker.log());
        space.cmd(&[&["CONFIG", "SET"], &safe_setting[..]].concat()).await;
        space.drained().await;
        assert_eq!(space.issued().await, 20);
        until_told(&worker, "200", "ready").await;
        worker.says("resumed").await;
        assert_eq!(worker.drained().await, Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_becomes_a_replica_is_refused_and_another_process_is_told() {
    let mut redis = private(&["--appendfsync", "always"]);
    let space = Space::on(&redis).await;
    let mut worker = space.worker(&["--listen", "0"]);
    until_told(&worker, "200", "ready").await;
    space.cmd(&["REPLICAOF", "127.0.0.1", "1"]).await;
    reconnect(&space).await;
    until_told(&worker, "503", "is_replica").await;
    space.cmd(&["REPLICAOF", "NO", "ONE"]).await;
    until_told(&worker, "200", "ready").await;
    assert_eq!(worker.figure("tollgate_redis_changes_total").await, 0);
    redis.kill();
    redis.restart().unwrap();
    until("the change", async || (worker.figure("tollgate_redis_changes_total").await == 1).then_some(()))
        .await;
    worker.says("Redis is another process than before").await;
    assert_eq!(worker.drained().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn payouts_stop_below_their_tier_and_jobs_go_on() {
    let redis = private(&["--appendfsync", "always"]);
    let space = Space::on(&redis).await;
    let bank = Bank::open(&[Answer::Pay]).await;
    let account = AccountId::parse("a1").unwrap();
    let open = AccountOpen {
        account: account.clone(),
        balance: Amount::from_minor(1_000).unwrap(),
        currency: "USD".parse().unwrap(),
    };
    space.settle(&JobId::create_account(&account), &open).await;
    let payout = |id: &str| {
        let request = Payout {
            account: account.clone(),
            amount: Amount::from_minor(100).unwrap(),
            currency: "USD".parse().unwrap(),
            destination: "iban".parse().unwrap(),
        };
        Job { id: JobId::parse(id).unwrap(), at: None, request: request.into() }
    };
    let fate = async |id: &str| {
        space
            .fate_in(space.tollgate.keys(space.tollgate.partition_of(payout(id).request.resource())), id)
            .await
    };
    let mut worker = space.worker(&["--listen", "0", "--payout-url", &bank.url]);
    until_told(&worker, "200", "ready").await;
    space.enqueue(&[payout("p1")]).await;
    until("a payout", async || (fate("p1").await == "paid").then_some(())).await;

    space.cmd(&["CONFIG", "SET", "appendfsync", "everysec"]).await;
    reconnect(&space).await;
    until_told(&worker, "503", "durability_too_weak").await;
    space.enqueue(&[payout("p2")]).await;
    space.enqueue(&redemptions("j", 20)).await;
    space.drained().await;
    assert_eq!((space.issued().await, fate("p2").await.as_str()), (20, "held"));
    assert_eq!(bank.asked(), 1);

    space.cmd(&["CONFIG", "SET", "appendfsync", "always"]).await;
    reconnect(&space).await;
    until("the payout that waited", async || (fate("p2").await == "paid").then_some(())).await;
    assert_eq!(worker.drained().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_that_was_asked_for_it_is_used_and_told() {
    let redis = private(&["--maxmemory-policy", "allkeys-lru"]);
    let space = Space { tollgate: tolerant(&redis).await, url: redis.url() };
    space.create_campaign(crate::harness::CAMPAIGN, 1_000).await;
    let mut worker = space.worker(&["--listen", "0", "--allow-unsafe-redis"]);
    until_told(&worker, "200", "evicts_keys").await;
    worker.says("as --allow-unsafe-redis says").await;
    space.enqueue(&redemptions("j", 20)).await;
    space.drained().await;
    space.cmd(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]).await;
    reconnect(&space).await;
    worker.says("resumed").await;
    assert_eq!(worker.drained().await, Some(0));
}

/// A namespace of a client that takes any server.
async fn tolerant(redis: &tollgate::embedded::Temporary) -> tollgate::Tollgate {
    let server = crate::harness::server(redis);
    server.inspect(tollgate::connect::Safety::Warn);
    let name = tollgate::ids::Namespace::parse("tolerant").unwrap();
    let (one, retention) = (tollgate::partition::Partitions::ONE, tollgate::RETENTION_DEFAULT);
    tollgate::Tollgate::init(server, name, one, retention).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_by_name_is_shown_and_nothing_else_is_accepted() {
    let redis = private(&["--appendonly", "no"]);
    let space = Space { tollgate: tolerant(&redis).await, url: redis.url() };
    space.create_campaign(crate::harness::CAMPAIGN, 1_000).await;
    let mut worker = space.worker(&["--listen", "0", "--accept", "no-aof"]);
    until_told(&worker, "200", "accepted: the append-only file is off, which was accepted (no-aof)").await;
    assert_eq!(worker.figure(r#"tollgate_incidents{kind="unsafe_redis"}"#).await, 0);
    space.enqueue(&redemptions("j", 20)).await;
    space.drained().await;
    space.cmd(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]).await;
    reconnect(&space).await;
    until_told(&worker, "503", "evicts_keys").await;
    space.cmd(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]).await;
    until_told(&worker, "200", "accepted: ").await;
    assert_eq!(worker.said("which was accepted"), 1, "{}", worker.log());
    assert_eq!(worker.drained().await, Some(0));
}
