//! Servers that are not fit for locks, or are one and the same, or a minority that fails: refused, told, counted.

use tollgate::failure::{Failure, Refusal};
use tollgate::lock::{LockError, LockNodes, LockOptions, Locks};

use super::{Fleet, long, ms, name};
use crate::harness::{SOON, servers, until};

fn unfit(error: &LockError) -> Vec<String> {
    let LockError::Broken { against, .. } = error else { panic!("{error}") };
    let unfit = against.broken.iter().filter(|broken| broken.failure.refusal() == Some(Refusal::UnsafeRedis));
    unfit.map(|broken| broken.failure.to_string()).collect()
}

#[tokio::test]
async fn a_server_that_evicts_or_follows_another_grants_nothing_until_it_is_mended() {
    for (wrong, right, code) in [
        (
            vec!["CONFIG", "SET", "maxmemory-policy", "volatile-lru"],
            vec!["CONFIG", "SET", "maxmemory-policy", "noeviction"],
            "evicts_keys",
        ),
        (vec!["REPLICAOF", "127.0.0.1", "1"], vec!["REPLICAOF", "NO", "ONE"], "is_replica"),
    ] {
        let redis = servers::private(&[]);
        let fleet = Fleet::of(std::slice::from_ref(&redis));
        let () = fleet.run(0, &wrong).await;
        let locks = fleet.locks();
        let told = unfit(&locks.acquire(&name(), &long()).await.unwrap_err());
        assert!(told.len() == 1 && told[0].contains(code), "{told:?}");
        let report = locks.nodes().check().await;
        assert!(!report.has_quorum() && report.to_string().contains(code), "{report}");
        assert_eq!(fleet.run::<u64>(0, &["DBSIZE"]).await, 0, "nothing was taken there");

        let () = fleet.run(0, &right).await;
        assert!(locks.nodes().check().await.has_quorum());
        let patient = LockOptions { retry_delay_max: ms(50), ..long() }.wait(SOON);
        locks.acquire(&name(), &patient).await.unwrap().release().await.unwrap();
    }
}

#[tokio::test]
async fn an_unfit_server_is_used_only_where_that_is_asked_for() {
    let redis = servers::private(&["--maxmemory-policy", "allkeys-lru"]);
    let fleet = Fleet::of(std::slice::from_ref(&redis));
    let locks = Locks::new(LockNodes::open(&fleet.urls, None).unwrap().allow_unfit(), fleet.ns.clone());
    locks.acquire(&name(), &long()).await.unwrap().release().await.unwrap();
    assert_eq!(locks.nodes().check().await.fit(), 0, "it is told all the same");
}

#[tokio::test]
async fn one_server_under_several_addresses_counts_once() {
    let port = servers::free_port();
    let redis = servers::private(&["--port", &port.to_string(), "--bind", "127.0.0.1"]);
    let other = servers::private(&[]);
    let tcp = format!("redis://127.0.0.1:{port}");
    // One of two counts, and the third is a server of its own: that is a quorum of two.
    let two = Fleet::at(vec![redis.url(), tcp.clone(), other.url()]);
    let locks = two.locks();
    let lock = locks.acquire(&name(), &long()).await.unwrap();
    until("the nodes to have answered", async || (two.left_overs().await >= 2).then_some(())).await;
    assert_eq!(lock.stands_on(), (2, 3));
    let report = locks.nodes().check().await;
    assert_eq!(report.fit(), 2, "{report}");
    assert!(report.to_string().contains("same_server"), "{report}");
    lock.release().await.unwrap();

    // The server alone is no majority of three, whatever it is called.
    let dead = format!("unix://{}/nobody.sock", other.dir().display());
    let locks = Fleet::at(vec![redis.url(), tcp, dead]).locks();
    let told = unfit(&locks.acquire(&name(), &long()).await.unwrap_err());
    assert!(told.len() == 1 && told[0].contains("same_server"), "{told:?}");
}

#[tokio::test]
async fn a_minority_that_fails_is_told_and_counted() {
    let mut servers = Fleet::start(3);
    let secret = servers::private(&[]);
    let () = super::query(&secret.url(), &["CONFIG", "SET", "requirepass", "secret"]).await;
    let urls = vec![servers[0].url(), secret.url(), servers[1].url()];
    let fleet = Fleet::at(urls.clone());
    let locks = fleet.locks();
    assert!(locks.nodes().states().iter().all(|state| state.failing.is_none()), "nobody was asked");
    let lock = locks.acquire(&name(), &long()).await.unwrap();
    let told = async || {
        let failing =
            locks.nodes().states().into_iter().filter_map(|state| Some((state.node, state.failing?.failure)));
        let failing: Vec<(String, Failure)> = failing.collect();
        (failing.len() == 1).then_some(failing)
    };
    let failing = until("the failing node to be known", told).await;
    assert_eq!(failing[0].0, urls[1]);
    assert_eq!(failing[0].1.refusal(), Some(Refusal::Credentials));
    until("the others to have granted it", async || (lock.stands_on() == (2, 3)).then_some(())).await;
    let report = locks.nodes().check().await;
    assert!(report.has_quorum() && report.fit() == 2, "{report}");
    assert!(report.to_string().contains("credentials"), "{report}");
    lock.release().await.unwrap();
    servers[0].kill();
    assert!(!locks.nodes().check().await.has_quorum());
}
