//! The checks before the first job, against real servers that lack one thing each.

use tollgate::connect::{Endpoint, RedisOptions, Server};
use tollgate::embedded::Temporary;
use tollgate::partition::Partition;
use tollgate::preflight::{Report, Tier};

use crate::harness::{cmd, servers, until};

async fn report(redis: &Temporary, tier: Tier) -> Report {
    let mut link = servers::open(redis).link().await.unwrap();
    link.preflight(tier).await.unwrap()
}

fn refusals(report: &Report) -> Vec<&'static str> {
    report.refusals().map(|finding| finding.code).collect()
}

#[tokio::test]
async fn our_own_server_is_fit() {
    let redis = servers::private(&[]);
    let report = report(&redis, Tier::Memory).await;
    assert!(report.findings.is_empty(), "{report:?}");
    assert!(report.version.unwrap().contains('.'));
}

#[tokio::test]
async fn eviction_and_a_missing_aof_are_refused() {
    let redis = servers::private(&["--maxmemory-policy", "allkeys-lru", "--appendonly", "no"]);
    let report = report(&redis, Tier::Memory).await;
    assert_eq!(refusals(&report), ["evicts_keys", "aof_off"]);
    assert!(report.findings[0].to_string().contains("CONFIG SET maxmemory-policy noeviction"));
}

#[tokio::test]
async fn the_fsync_tier_needs_fsync_always() {
    let redis = servers::private(&[]);
    assert_eq!(refusals(&report(&redis, Tier::Fsync).await), ["fsync_too_weak"]);
    let redis = servers::private(&["--appendfsync", "always"]);
    assert!(report(&redis, Tier::Fsync).await.is_fit());
}

#[tokio::test]
async fn a_replica_is_refused() {
    let redis = servers::private(&[]);
    let mut link = servers::open(&redis).link().await.unwrap();
    // The master does not exist: a replica without its master still says that it is one.
    link.run(&cmd(&["REPLICAOF", "127.0.0.1", "1"])).await.unwrap();
    until("the replica's role", async || {
        let report = link.preflight(Tier::Memory).await.unwrap();
        (refusals(&report) == ["is_replica"]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_user_without_config_is_judged_by_info() {
    let redis = servers::private(&["--maxmemory-policy", "allkeys-lru"]);
    let mut admin = servers::open(&redis).link().await.unwrap();
    admin.run(&cmd(&["ACL", "SETUSER", "w", "on", ">pw", "~*", "+@all", "-config"])).await.unwrap();
    admin.run(&cmd(&["ACL", "SETUSER", "blind", "on", ">pw", "~*", "+xadd"])).await.unwrap();
    let login = |user: &str| {
        let url = format!("{}?user={user}&pass=pw", redis.url());
        let options = RedisOptions { url: Some(url), ..RedisOptions::default() };
        Server::open(Endpoint::parse(&options).unwrap())
    };
    let mut link = login("w").link().await.unwrap();
    let report = link.preflight(Tier::Memory).await.unwrap();
    assert_eq!(refusals(&report), ["evicts_keys"]);
    let report = link.preflight(Tier::Fsync).await.unwrap();
    assert_eq!(report.warnings().map(|finding| finding.code).collect::<Vec<_>>(), ["unchecked"]);

    let mut link = login("blind").link().await.unwrap();
    let report = link.preflight(Tier::Memory).await.unwrap();
    assert!(report.is_fit());
    let warning = report.warnings().next().unwrap();
    assert!(warning.reason.contains("version") && warning.reason.contains("eviction"), "{warning}");
}

/// A namespace as a service has it.
async fn service(server: Server) -> tollgate::Tollgate {
    let name = tollgate::ids::Namespace::parse("service").unwrap();
    let (one, retention) = (tollgate::partition::Partitions::ONE, tollgate::RETENTION_DEFAULT);
    tollgate::Tollgate::init(server, name, one, retention).await.unwrap()
}

#[tokio::test]
async fn the_library_refuses_a_server_that_became_unsafe_with_the_next_connection_and_takes_it_back() {
    let redis = servers::private(&[]);
    let gate = service(servers::open(&redis)).await;
    let mut link = gate.server().link().await.unwrap();
    gate.now(&mut link, Partition::FIRST).await.unwrap();
    let mut admin = servers::open(&redis).link().await.unwrap();
    admin.run(&cmd(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"])).await.unwrap();
    // The connection that is open is asked once a minute; another one at once.
    let mut other = gate.server().blocking_link(std::time::Duration::from_millis(10)).await.unwrap();
    let failure = other.run(&cmd(&["PING"])).await.unwrap_err();
    assert_eq!(failure.refusal(), Some(tollgate::failure::Refusal::UnsafeRedis), "{failure}");
    assert!(failure.to_string().contains("evicts_keys") && !failure.may_have_happened(), "{failure}");
    // From then on the one that was open is refused, too.
    let failure = gate.now(&mut link, Partition::FIRST).await.unwrap_err();
    assert_eq!(failure.refusal(), Some(tollgate::failure::Refusal::UnsafeRedis), "{failure}");
    let opened = tollgate::Tollgate::open(gate.server().clone(), gate.namespace().clone()).await;
    assert!(opened.unwrap_err().to_string().contains("evicts_keys"));

    gate.server().inspect(tollgate::connect::Safety::Warn);
    gate.now(&mut link, Partition::FIRST).await.unwrap();
    gate.server().inspect(tollgate::connect::Safety::Refuse);
    admin.run(&cmd(&["CONFIG", "SET", "maxmemory-policy", "noeviction"])).await.unwrap();
    until("the server to be used again", async || gate.now(&mut link, Partition::FIRST).await.ok()).await;
}

#[tokio::test]
async fn a_service_with_few_rights_is_inspected_as_far_as_it_may_ask() {
    let redis = servers::private(&["--maxmemory-policy", "allkeys-lru"]);
    let mut admin = servers::open(&redis).link().await.unwrap();
    admin
        .run(&cmd(&["ACL", "SETUSER", "blind", "on", ">pw", "~*", "+@all", "-info", "-config"]))
        .await
        .unwrap();
    let url = format!("{}?user=blind&pass=pw", redis.url());
    let options = RedisOptions { url: Some(url), ..RedisOptions::default() };
    let gate = service(Server::open(Endpoint::parse(&options).unwrap())).await;
    let mut link = gate.server().link().await.unwrap();
    gate.now(&mut link, Partition::FIRST).await.unwrap();
    let found = gate.server().found().borrow().clone().unwrap();
    let warnings: Vec<_> = found.report(Tier::Memory).warnings().map(|finding| finding.code).collect();
    assert_eq!((warnings.as_slice(), &found.run_id), (["unchecked"].as_slice(), &None));
}

#[tokio::test]
async fn a_server_is_asked_once_a_minute_also_without_a_new_connection() {
    let redis = servers::private(&[]);
    let gate = service(servers::open(&redis)).await;
    let mut link = gate.server().link().await.unwrap();
    gate.now(&mut link, Partition::FIRST).await.unwrap();
    let mut admin = servers::open(&redis).link().await.unwrap();
    admin.run(&cmd(&["CONFIG", "SET", "appendonly", "no"])).await.unwrap();
    // Not yet: it was asked when it was opened.
    gate.now(&mut link, Partition::FIRST).await.unwrap();
    tokio::time::pause();
    tokio::time::advance(std::time::Duration::from_secs(60)).await;
    tokio::time::resume();
    let refusal = gate.now(&mut link, Partition::FIRST).await.unwrap_err();
    assert!(refusal.to_string().contains("aof_off"), "{refusal}");
}
