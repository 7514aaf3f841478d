//! The checks before the first job, against real servers that lack one thing each.

use tollgate::connect::{Endpoint, RedisOptions, Server};
use tollgate::embedded::Temporary;
use tollgate::preflight::{self, Report, Tier};

use crate::harness::{TestRedis, cmd, until};

async fn report(redis: &Temporary, tier: Tier) -> Report {
    let mut link = TestRedis::server(redis).link().await.unwrap();
    preflight::check(&mut link, tier).await.unwrap()
}

fn refusals(report: &Report) -> Vec<&'static str> {
    report.refusals().map(|finding| finding.code).collect()
}

#[tokio::test]
async fn our_own_server_is_fit() {
    let redis = TestRedis::private(&[]);
    let report = report(&redis, Tier::Memory).await;
    assert!(report.findings.is_empty(), "{report:?}");
    assert!(report.version.unwrap().contains('.'));
}

#[tokio::test]
async fn eviction_and_a_missing_aof_are_refused() {
    let redis = TestRedis::private(&["--maxmemory-policy", "allkeys-lru", "--appendonly", "no"]);
    let report = report(&redis, Tier::Memory).await;
    assert_eq!(refusals(&report), ["evicts_keys", "aof_off"]);
    assert!(report.findings[0].to_string().contains("CONFIG SET maxmemory-policy noeviction"));
}

#[tokio::test]
async fn the_fsync_tier_needs_fsync_always() {
    let redis = TestRedis::private(&[]);
    assert_eq!(refusals(&report(&redis, Tier::Fsync).await), ["fsync_too_weak"]);
    let redis = TestRedis::private(&["--appendfsync", "always"]);
    assert!(report(&redis, Tier::Fsync).await.is_fit());
}

#[tokio::test]
async fn a_replica_is_refused() {
    let redis = TestRedis::private(&[]);
    let mut link = TestRedis::server(&redis).link().await.unwrap();
    // The master does not exist: a replica without its master still says that it is one.
    link.run(&cmd(&["REPLICAOF", "127.0.0.1", "1"])).await.unwrap();
    until("the replica's role", async || {
        let report = preflight::check(&mut link, Tier::Memory).await.unwrap();
        (refusals(&report) == ["is_replica"]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_user_without_config_is_judged_by_info() {
    let redis = TestRedis::private(&["--maxmemory-policy", "allkeys-lru"]);
    let mut admin = TestRedis::server(&redis).link().await.unwrap();
    admin.run(&cmd(&["ACL", "SETUSER", "w", "on", ">pw", "~*", "+@all", "-config"])).await.unwrap();
    admin.run(&cmd(&["ACL", "SETUSER", "blind", "on", ">pw", "~*", "+xadd"])).await.unwrap();
    let login = |user: &str| {
        let url = format!("{}?user={user}&pass=pw", redis.url());
        let options = RedisOptions { url: Some(url), ..RedisOptions::default() };
        Server::open(Endpoint::parse(&options).unwrap())
    };
    let mut link = login("w").link().await.unwrap();
    let report = preflight::check(&mut link, Tier::Memory).await.unwrap();
    assert_eq!(refusals(&report), ["evicts_keys"]);
    let report = preflight::check(&mut link, Tier::Fsync).await.unwrap();
    assert_eq!(report.warnings().map(|finding| finding.code).collect::<Vec<_>>(), ["unchecked"]);

    let mut link = login("blind").link().await.unwrap();
    let report = preflight::check(&mut link, Tier::Memory).await.unwrap();
    assert!(report.is_fit());
    let warning = report.warnings().next().unwrap();
    assert!(warning.reason.contains("version") && warning.reason.contains("eviction"), "{warning}");
}
