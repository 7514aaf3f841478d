//! Answers that come late or never.

use std::time::{Duration, Instant};

use tollgate::connect::{Endpoint, RedisOptions, Server};
use tollgate::lock::{LockNodes, LockOptions, Locks};

use super::proxy::{Lose, Proxy};
use super::{Fleet, LONG, by_hand, long, ms, name};
use crate::harness::{SOON, servers, until};

/// One node behind a proxy, whose late answers are waited for as long as a slow machine may need.
fn behind(proxy: &Proxy) -> (Fleet, Locks) {
    let fleet = Fleet::at(vec![proxy.url()]);
    let options =
        RedisOptions { url: Some(proxy.url()), response_timeout: Some(SOON), ..RedisOptions::default() };
    let nodes = LockNodes::with_data(Server::open(Endpoint::parse(&options).unwrap()));
    let locks = Locks::new(nodes, fleet.ns.clone());
    (fleet, locks)
}

/// Occurs in a take and in nothing else that is sent.
const TAKE: &str = "NX";
/// Occurs in every call about a lock, but not where a script is loaded.
const CALL: &str = ":lock:user:";

#[tokio::test]
async fn a_release_that_is_lost_or_whose_reply_is_lost_is_made_again() {
    let redis = servers::private(&[]);
    let proxy = Proxy::new(&redis);
    let (fleet, locks) = behind(&proxy);
    // The script is known to the server from here on: one request is one release.
    locks.acquire(&name(), &long()).await.unwrap().release().await.unwrap();
    for lose in [Lose::Request, Lose::Reply] {
        let lock = locks.acquire(&name(), &long()).await.unwrap();
        proxy.lose(lose, CALL);
        lock.release().await.unwrap();
        assert!(proxy.has_lost());
        assert_eq!(fleet.left_overs().await, 0);
        locks.acquire(&name(), &long()).await.unwrap().release().await.unwrap();
    }
}

#[tokio::test]
async fn a_take_that_is_lost_or_whose_reply_is_lost_is_made_again_and_ours() {
    let redis = servers::private(&[]);
    let proxy = Proxy::new(&redis);
    let (fleet, locks) = behind(&proxy);
    for lose in [Lose::Request, Lose::Reply] {
        proxy.lose(lose, TAKE);
        let lock = locks.acquire(&name(), &long()).await.unwrap();
        assert!(proxy.has_lost());
        lock.extend().await.unwrap();
        lock.release().await.unwrap();
        assert_eq!(fleet.left_overs().await, 0);
    }
}

#[tokio::test]
async fn an_extension_that_is_lost_or_whose_reply_is_lost_is_made_again() {
    let redis = servers::private(&[]);
    let proxy = Proxy::new(&redis);
    let (_, locks) = behind(&proxy);
    let lock = locks.acquire(&name(), &by_hand(LONG)).await.unwrap();
    lock.extend().await.unwrap();
    for lose in [Lose::Request, Lose::Reply] {
        proxy.lose(lose, CALL);
        let before = lock.lease().valid_until();
        assert!(lock.extend().await.unwrap() > before);
        assert!(proxy.has_lost());
    }
    lock.release().await.unwrap();
}

#[tokio::test]
async fn a_late_grant_of_a_cancelled_acquire_is_given_back() {
    let redis = servers::private(&[]);
    let proxy = Proxy::new(&redis);
    let (_, locks) = behind(&proxy);
    let sets = async || {
        let stats: String = super::query(&redis.url(), &["INFO", "commandstats"]).await;
        stats.contains("cmdstat_set:calls=1,").then_some(())
    };
    let lock = locks.acquire(&name(), &long()).await.unwrap();
    lock.release().await.unwrap();
    let () = super::query(&redis.url(), &["CONFIG", "RESETSTAT"]).await;

    proxy.hold(TAKE);
    let cut = tokio::time::timeout(ms(50), locks.acquire(&name(), &long())).await;
    assert!(cut.is_err());
    proxy.open();
    until("the late take to be executed", sets).await;
    let free = async || (super::query::<u64>(&redis.url(), &["DBSIZE"]).await == 0).then_some(());
    until("it to be given back", free).await;
}

#[tokio::test]
async fn a_late_grant_of_an_acquire_that_gave_up_is_given_back() {
    let redis = servers::private(&[]);
    let proxy = Proxy::new(&redis);
    let (_, locks) = behind(&proxy);
    locks.acquire(&name(), &long()).await.unwrap().release().await.unwrap();
    let () = super::query(&redis.url(), &["CONFIG", "RESETSTAT"]).await;
    proxy.hold(TAKE);
    let impatient = LockOptions { node_timeout: ms(50), ..LockOptions::of_ttl(LONG) };
    let error = locks.acquire(&name(), &impatient).await.unwrap_err();
    assert_eq!(error.code(), "lock_broken", "{error}");
    proxy.open();
    let quiet = async || {
        let stats: String = super::query(&redis.url(), &["INFO", "commandstats"]).await;
        let empty = super::query::<u64>(&redis.url(), &["DBSIZE"]).await == 0;
        (stats.contains("cmdstat_set:calls=1,") && empty).then_some(())
    };
    until("the late take to be executed and given back", quiet).await;
}

#[tokio::test]
async fn validity_counts_from_before_the_first_send() {
    let redis = servers::private(&[]);
    let proxy = Proxy::new(&redis);
    let (_, locks) = behind(&proxy);
    locks.acquire(&name(), &long()).await.unwrap().release().await.unwrap();
    proxy.hold(TAKE);
    let waiting = tokio::spawn(async move { locks.acquire(&name(), &long()).await.unwrap() });
    // Time itself is the subject: the grant is on its way for so long.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let opened_at = Instant::now();
    proxy.open();
    let lock = waiting.await.unwrap();
    assert!(lock.lease().valid_until() < opened_at + LONG - LONG / 100 - ms(2));
    lock.release().await.unwrap();
}
