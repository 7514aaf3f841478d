//! Links that broke while idle, nodes that hang, answers later than a second, and too few links of our own.

use std::time::{Duration, Instant};

use tollgate::embedded::Temporary;
use tollgate::ids::LockName;
use tollgate::lock::{HeldLock, LockError, LockOptions, Locks};

use super::proxy::Proxy;
use super::{Fleet, LONG, by_hand, fine, long, ms, name};
use crate::harness::{SOON, servers, until};

fn named(n: usize) -> LockName {
    LockName::parse(format!("name {n}")).unwrap()
}

/// Several locks at once, so that each node has several links, which are idle then.
async fn many(locks: &Locks, options: &LockOptions) -> Vec<HeldLock> {
    let names: Vec<LockName> = (0..6).map(named).collect();
    let taken = names.iter().map(|name| locks.acquire(name, options));
    futures_util::future::join_all(taken).await.into_iter().map(Result::unwrap).collect()
}

async fn kill_clients(fleet: &Fleet) {
    for node in 0..fleet.urls.len() {
        let _: u64 = fleet.run(node, &["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await;
    }
}

async fn all_free(fleet: &Fleet, what: &str) {
    until(what, async || (fleet.left_overs().await == 0).then_some(())).await;
}

#[tokio::test]
async fn idle_links_that_broke_together_cost_no_release() {
    // Of its own: whose clients are killed, no other test uses.
    let servers = Fleet::start(3);
    let fleet = Fleet::of(&servers);
    let locks = fleet.locks();
    let held = many(&locks, &long()).await;
    kill_clients(&fleet).await;
    for lock in held {
        lock.release().await.unwrap();
    }
    all_free(&fleet, "every lock to be given back on every node").await;
}

#[tokio::test]
async fn idle_links_that_broke_together_cost_no_acquire_and_no_extension() {
    // Of its own: whose clients are killed, no other test uses.
    let servers = Fleet::start(3);
    let fleet = Fleet::of(&servers);
    let locks = fleet.locks();
    let held = many(&locks, &by_hand(LONG)).await;
    kill_clients(&fleet).await;
    for lock in &held {
        lock.extend().await.unwrap();
    }
    kill_clients(&fleet).await;
    for n in 10..16 {
        locks.acquire(&named(n), &long()).await.unwrap().release().await.unwrap();
    }
}

#[tokio::test]
async fn what_a_node_that_is_down_keeps_is_given_back_when_it_is_back() {
    let mut servers: Vec<Temporary> =
        (0..3).map(|_| servers::private(&["--appendfsync", "always"])).collect();
    let fleet = Fleet::of(&servers);
    let locks = fleet.locks();
    let held = many(&locks, &long()).await;
    until("every node to have granted all", async || (fleet.left_overs().await == 18).then_some(())).await;
    servers.iter_mut().for_each(Temporary::kill);
    for (n, lock) in held.into_iter().enumerate() {
        if n % 2 == 0 { lock.release().await.unwrap() } else { drop(lock) }
    }
    assert!(locks.finish(Duration::ZERO).await > 0, "there is something left to do");
    servers.iter_mut().for_each(|server| server.restart().unwrap());
    all_free(&fleet, "what the nodes have kept to be given back").await;
    assert_eq!(locks.finish(SOON).await, 0);
}

#[tokio::test]
async fn a_take_that_hung_nodes_execute_later_is_given_back() {
    let servers = Fleet::start(3);
    let fleet = Fleet::of(&servers);
    let locks = fleet.locks();
    locks.acquire(&name(), &long()).await.unwrap().release().await.unwrap();
    all_free(&fleet, "the nodes to be free").await;
    servers.iter().for_each(Temporary::pause);
    let impatient = LockOptions { node_timeout: ms(100), ..LockOptions::of_ttl(LONG) };
    let error = locks.acquire(&name(), &impatient).await.unwrap_err();
    assert_eq!(error.code(), "lock_broken", "{error}");
    // Time itself is the subject: longer than any call and any late answer is waited for.
    tokio::time::sleep(ms(2_500)).await;
    servers.iter().for_each(Temporary::resume);
    let executed = async || {
        let stats: String = fleet.run(0, &["INFO", "commandstats"]).await;
        stats.contains("cmdstat_set:calls=2,").then_some(())
    };
    until("the late take to be executed", executed).await;
    assert_eq!(locks.finish(SOON).await, 0, "what was left to do");
    all_free(&fleet, "the late take to be given back").await;
}

#[tokio::test]
async fn what_is_dropped_at_the_end_of_main_is_given_back_by_finish() {
    let fleet = Fleet::shared(3);
    let locks = fleet.locks();
    let held = many(&locks, &long()).await;
    drop(held);
    assert_eq!(locks.finish(SOON).await, 0);
    assert_eq!(fleet.left_overs().await, 0);
}

#[tokio::test]
async fn a_node_timeout_above_a_second_is_waited_for() {
    let servers = Fleet::start(1);
    let fleet = Fleet::of(&servers);
    let locks = fleet.locks();
    locks.acquire(&name(), &long()).await.unwrap().release().await.unwrap();
    servers[0].pause();
    let resumed = tokio::spawn(async move {
        // Time itself is the subject: longer than a second, and than a connection usually waits.
        tokio::time::sleep(ms(1_800)).await;
        servers[0].resume();
        servers
    });
    let begun = Instant::now();
    let lock = locks.acquire(&name(), &long()).await.unwrap();
    assert!(begun.elapsed() >= ms(1_500), "it was granted late, as it was meant to be");
    lock.release().await.unwrap();
    drop(resumed.await.unwrap());
}

#[tokio::test]
async fn more_locks_at_once_than_links_wait_for_their_links() {
    let servers = Fleet::start(3);
    let proxies: Vec<Proxy> = servers.iter().map(|server| Proxy::slow(server, ms(50))).collect();
    let fleet = Fleet::at(proxies.iter().map(|proxy| proxy.url()).collect());
    let locks = fleet.locks();
    // More than there are links to a node, each for a name of its own; none waits for another's release.
    let options = LockOptions { node_timeout: ms(2_000), ..LockOptions::of_ttl(LONG) };
    let names: Vec<LockName> = (0..200).map(named).collect();
    let taken = names.iter().map(|name| locks.with(name, &options, async |_| fine(())));
    for result in futures_util::future::join_all(taken).await {
        result.map_err(LockError::from).unwrap();
    }
}
