//! The lock of each account: servers that are down, keys that are no lock, a worker that holds one for long.

use std::time::Instant;

use redis::FromRedisValue;
use rustix::process::Signal;
use tollgate::connect::{Endpoint, RedisOptions, Server};
use tollgate::embedded::Temporary;
use tollgate::keys::Keys;

use super::{Payouts, redis};
use crate::bank::Answer;
use crate::harness::{private, until};

/// Says something to a lock server.
async fn on<T: FromRedisValue>(redis: &Temporary, words: &[&str]) -> T {
    let options = RedisOptions { url: Some(redis.url()), ..RedisOptions::default() };
    let mut command = redis::Cmd::new();
    words.iter().for_each(|word| _ = command.arg(*word));
    let mut link = Server::open(Endpoint::parse(&options).unwrap()).link().await.unwrap();
    link.query(&command).await.unwrap()
}

fn lock_key(payouts: &Payouts, account: &str) -> String {
    let name = tollgate::ids::LockName::payouts(&account.parse().unwrap());
    Keys::lock(payouts.space.tollgate.namespace(), &name)
}

fn lock_flags(servers: &[Temporary]) -> Vec<String> {
    servers.iter().flat_map(|server| ["--lock-redis".to_owned(), server.url()]).collect()
}

#[tokio::test]
async fn lock_servers_that_are_down_are_said_once_and_payouts_go_on_when_they_are_back() {
    let redis = redis();
    let mut servers: Vec<Temporary> = (0..3).map(|_| private(&[])).collect();
    servers.iter_mut().for_each(Temporary::kill);
    let payouts = Payouts::open(&redis, &[Answer::Pay]).await;
    let names: Vec<String> = (0..40).map(|n| format!("p{n}")).collect();
    for name in &names {
        payouts.open_account(name).await;
        payouts.withdraw(&[name.as_str()], name).await;
    }
    let flags = lock_flags(&servers);
    let flags: Vec<&str> = flags.iter().map(String::as_str).chain(["--listen", "127.0.0.1:0"]).collect();
    let worker = payouts.worker(&flags, "");
    let failed = async || (worker.figure("tollgate_payout_locks_failed_total").await >= 4).then_some(());
    until("several attempts to fail", failed).await;
    // One line for the worker, one for each server, one at the start; forty payouts and each attempt add none.
    let lines = worker.log().lines().filter(|line| line.contains("WARN")).count();
    assert!(lines <= 6, "{lines} warnings: {}", worker.log());
    assert_eq!(worker.said("locks_unavailable"), 1, "{}", worker.log());
    assert_eq!(worker.figure("tollgate_lock_servers{state=\"failing\"}").await, 3);
    let (_, page) = worker.page("/readyz").await;
    assert!(page.contains("locks_unavailable"), "{page}");

    servers.iter_mut().for_each(|server| server.restart().unwrap());
    for name in &names {
        payouts.until_fate(name, "paid").await;
    }
    let ready = async || worker.page("/readyz").await.0.contains("200").then_some(());
    until("the worker to be ready", ready).await;
}

#[tokio::test]
async fn a_key_that_never_expires_is_told_with_who_wrote_it_and_stops_no_other_account() {
    for foreign in [&["SET", "by-hand"][..], &["LPUSH", "a list"]] {
        let redis = redis();
        let lock_redis = private(&[]);
        let payouts = Payouts::open(&redis, &[Answer::Pay]).await;
        payouts.open_account("a2").await;
        let key = lock_key(&payouts, "a1");
        let _: redis::Value = on(&lock_redis, &[foreign[0], &key, foreign[1]]).await;
        payouts.withdraw(&["p1"], "a1").await;
        payouts.withdraw(&["p2"], "a2").await;
        let url = lock_redis.url();
        let worker = payouts.worker(&["--lock-redis", &url, "--listen", "127.0.0.1:0"], "");
        payouts.until_fate("p2", "paid").await;
        worker.says("account_locked").await;
        let (code, page) = worker.page("/readyz").await;
        assert!(code.contains("200"), "other accounts are paid: {code}");
        for part in ["account_locked", "`a1`", "none of ours", &key, "1 of 1 nodes answer"] {
            assert!(page.contains(part), "{part}: {page}");
        }
        let told = if foreign[0] == "SET" { "by-hand" } else { "another type" };
        assert!(page.contains(told), "{page}");
        assert_eq!(worker.figure("tollgate_payout_locks_waiting").await, 1);
        assert!(worker.figure("tollgate_payout_locks_longest_wait_seconds").await > 0);
        // On a busy machine it may have answered late once.
        let is_well =
            async || (worker.figure("tollgate_lock_servers{state=\"failing\"}").await == 0).then_some(());
        until("the lock server to be well", is_well).await;

        let _: u64 = on(&lock_redis, &["DEL", &key]).await;
        payouts.until_fate("p1", "paid").await;
        let quiet = async || (worker.figure("tollgate_payout_locks_waiting").await == 0).then_some(());
        until("nobody to wait", quiet).await;
    }
}

#[tokio::test]
async fn a_lock_that_another_keeps_for_long_is_told_with_its_owner_and_its_end() {
    let redis = redis();
    let lock_redis = private(&[]);
    let payouts = Payouts::open(&redis, &[Answer::Pay]).await;
    let key = lock_key(&payouts, "a1");
    let () = on(&lock_redis, &["SET", &key, "w-other/0123", "PX", "600000"]).await;
    payouts.withdraw(&["p1"], "a1").await;
    let url = lock_redis.url();
    let worker = payouts.worker(&["--lock-redis", &url, "--listen", "127.0.0.1:0"], "");
    worker.says("account_locked").await;
    let (_, page) = worker.page("/readyz").await;
    assert!(page.contains("held by w-other for at most"), "{page}");
    assert!(!page.contains("DEL"), "it goes by itself: {page}");
}

#[tokio::test]
async fn a_lock_server_that_evicts_or_counts_twice_is_refused_at_the_start() {
    let redis = redis();
    let payouts = Payouts::open(&redis, &[Answer::Pay]).await;
    let evicting = private(&["--maxmemory-policy", "volatile-lru"]);
    let url = evicting.url();
    let mut worker = payouts.worker(&["--lock-redis", &url], "");
    assert_eq!(worker.ended().await.code(), Some(3), "{}", worker.log());
    assert!(worker.log().contains("evicts_keys"), "{}", worker.log());
    let begun = Instant::now();
    let warned = payouts.worker(&["--lock-redis", &url, "--allow-unsafe-redis"], "");
    payouts.withdraw(&["p1"], "a1").await;
    payouts.until_fate("p1", "paid").await;
    assert!(warned.log().contains("evicts_keys"), "{} after {:?}", warned.log(), begun.elapsed());
}

#[tokio::test]
async fn a_worker_without_any_trouble_says_nothing_of_locks() {
    let redis = redis();
    let servers: Vec<Temporary> = (0..3).map(|_| private(&[])).collect();
    let payouts = Payouts::open(&redis, &[Answer::Pay]).await;
    let flags = lock_flags(&servers);
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let mut worker = payouts.worker(&flags, "");
    payouts.withdraw(&["p1", "p2", "p3"], "a1").await;
    for id in ["p1", "p2", "p3"] {
        payouts.until_fate(id, "paid").await;
    }
    worker.signal(Signal::TERM);
    worker.ended().await;
    assert!(!worker.log().contains("WARN"), "{}", worker.log());
}
