//! The line behind a lock that several processes want: who is next, who asks whom, and what becomes of a place.

use std::time::Duration;

use tokio::task::JoinHandle;
use tollgate::lock::{HeldLock, LockError, LockOptions, Locks};

use super::proxy::{Lose, Proxy};
use super::waiting::calls;
use super::{Fleet, LONG, by_hand, long, ms, name};
use crate::harness::{SOON, until};

fn patient() -> LockOptions {
    LockOptions { retry_delay_max: ms(50), ..long() }.wait(SOON)
}

/// Who is next keeps its place for longer than any of these tests waits.
fn sticky() -> LockOptions {
    LockOptions { retry_delay_max: SOON / 2 + ms(1_000), ..long() }.wait(LONG)
}

fn wait_for(locks: &Locks) -> JoinHandle<Result<HeldLock, LockError>> {
    wait_as(locks, patient())
}

fn wait_as(locks: &Locks, options: LockOptions) -> JoinHandle<Result<HeldLock, LockError>> {
    let locks = locks.clone();
    tokio::spawn(async move { locks.acquire(&name(), &options).await })
}

/// Held on every node.
async fn held(fleet: &Fleet) -> HeldLock {
    let held = fleet.locks().acquire(&name(), &by_hand(LONG)).await.unwrap();
    until("the last node to grant it", async || (fleet.left_overs().await == fleet.urls.len()).then_some(()))
        .await;
    held
}

/// Who is next, and on which node.
async fn next(fleet: &Fleet) -> Option<(usize, String)> {
    for node in 0..fleet.urls.len() {
        let next: Option<String> = fleet.run(node, &["GET", &fleet.next_key(&name())]).await;
        if let Some(next) = next {
            return Some((node, next));
        }
    }
    None
}

async fn somebody_next(fleet: &Fleet) -> (usize, String) {
    until("somebody to be next", async || next(fleet).await).await
}

async fn nobody_next(fleet: &Fleet) {
    until("nobody to be next", async || next(fleet).await.is_none().then_some(())).await;
}

#[tokio::test]
async fn of_all_who_wait_one_is_next_and_the_others_ask_one_node() {
    let servers = Fleet::start(3);
    let fleet = Fleet::of(&servers);
    let held = held(&fleet).await;
    let first = wait_for(&fleet.locks().owned_by("first"));
    let (line, waiter) = somebody_next(&fleet).await;
    assert!(waiter.starts_with("first/"), "{waiter}");
    let second = wait_for(&fleet.locks().owned_by("second"));
    let asked = calls(&fleet, line, "evalsha").await;
    until("both to have asked often", async || {
        (calls(&fleet, line, "evalsha").await > asked + 40).then_some(())
    })
    .await;
    assert_eq!(next(&fleet).await, Some((line, waiter)), "it stays the first one's turn");
    // Each asked all of them at its first attempt, and whoever is next at every fourth: the rest ask one node.
    for node in (0..3).filter(|node| *node != line) {
        let (few, many) = (calls(&fleet, node, "set").await, calls(&fleet, line, "evalsha").await);
        assert!(few < many / 2, "{few} and {many}");
    }
    held.release().await.unwrap();
    let first = first.await.unwrap().unwrap();
    let owners = fleet.owners(&name()).await;
    assert!(owners.iter().flatten().all(|owner| owner.starts_with("first/")), "{owners:?}");
    let (_, waiter) = somebody_next(&fleet).await;
    assert!(waiter.starts_with("second/"), "{waiter}");
    first.release().await.unwrap();
    second.await.unwrap().unwrap().release().await.unwrap();
    until("nothing to be left", async || (fleet.left_overs().await == 0).then_some(())).await;
}

#[tokio::test]
async fn a_free_lock_is_kept_for_whoever_is_next_until_that_place_ends() {
    let servers = Fleet::start(3);
    let fleet = Fleet::of(&servers);
    let held = held(&fleet).await;
    let gone = wait_for(&fleet.locks());
    somebody_next(&fleet).await;
    gone.abort();
    nobody_next(&fleet).await;
    // Somebody else is next, and dies: on every node, since on a slow machine the line may be another one's by now.
    let key = fleet.next_key(&name());
    for node in 0..3 {
        let () = fleet.run(node, &["SET", &key, "dead/1", "PX", "600000"]).await;
    }
    let asked = async || {
        let mut sum = 0;
        for node in 0..3 {
            sum += calls(&fleet, node, "evalsha").await;
        }
        sum
    };
    let waiting = wait_for(&fleet.locks());
    let before = asked().await;
    held.release().await.unwrap();
    until("it to have asked again and again", async || (asked().await > before + 10).then_some(())).await;
    assert!(!waiting.is_finished());
    for node in 0..3 {
        let _: bool = fleet.run(node, &["PEXPIRE", &key, "1"]).await;
    }
    waiting.await.unwrap().unwrap().release().await.unwrap();
}

#[tokio::test]
async fn what_is_no_place_in_line_keeps_nobody_out() {
    let servers = Fleet::start(3);
    let fleet = Fleet::of(&servers);
    let key = fleet.next_key(&name());
    for words in [&["SET", &key, "without an end"][..], &["LPUSH", &key, "a list"]] {
        let held = held(&fleet).await;
        let waiting = wait_for(&fleet.locks());
        // At once: the waiter may ask in between.
        let instead = "redis.call('DEL', KEYS[1]); return redis.call(unpack(ARGV))";
        for node in 0..3 {
            let words = [&["EVAL", instead, "1", &key][..], words].concat();
            let _: redis::Value = fleet.run(node, &words).await;
        }
        held.release().await.unwrap();
        waiting.await.unwrap().unwrap().release().await.unwrap();
        for node in 0..3 {
            let _: i64 = fleet.run(node, &["DEL", &key]).await;
        }
        until("nothing to be left", async || (fleet.left_overs().await == 0).then_some(())).await;
    }
}

#[tokio::test]
async fn whoever_gives_up_leaves_its_place() {
    let servers = Fleet::start(3);
    let fleet = Fleet::of(&servers);
    let held = held(&fleet).await;
    let locks = fleet.locks();
    let (first, second) = (wait_as(&locks, sticky()), wait_as(&locks, sticky()));
    let (_, waiter) = somebody_next(&fleet).await;
    first.abort();
    until("one to wait", async || locks.waiting().iter().any(|all| all.waiters == 1).then_some(())).await;
    let (_, same) = somebody_next(&fleet).await;
    assert_eq!(same, waiter, "it is the place of the process, and somebody in it still waits");
    second.abort();
    nobody_next(&fleet).await;
    held.release().await.unwrap();
}

#[tokio::test]
async fn who_is_next_gets_it_also_where_the_node_that_keeps_the_line_is_taken_or_goes() {
    let mut servers = Fleet::start(3);
    let fleet = Fleet::of(&servers);
    let held = held(&fleet).await;
    let waiting = wait_as(&fleet.locks(), sticky());
    let (line, _) = somebody_next(&fleet).await;
    // Something stays on that one node: the other two are a quorum.
    let () = fleet.run(line, &["SET", &fleet.key(&name()), "left-over", "PX", "600000"]).await;
    held.release().await.unwrap();
    let lock = waiting.await.unwrap().unwrap();
    nobody_next(&fleet).await;
    let waiting = wait_for(&fleet.locks());
    somebody_next(&fleet).await;
    servers[line].kill();
    lock.release().await.unwrap();
    waiting.await.unwrap().unwrap().release().await.unwrap();
}

#[tokio::test]
async fn a_take_in_line_whose_reply_is_lost_is_made_again() {
    let servers = Fleet::start(3);
    let proxies: Vec<Proxy> = servers.iter().map(Proxy::new).collect();
    let fleet = Fleet::at(proxies.iter().map(|proxy| proxy.url()).collect());
    for lose in [Lose::Request, Lose::Reply] {
        let held = held(&fleet).await;
        let waiting = wait_for(&fleet.locks());
        let (line, _) = somebody_next(&fleet).await;
        proxies[line].lose(lose, ":lock:next:");
        until("a call to be lost", async || proxies[line].has_lost().then_some(())).await;
        // The release, or the take that follows it: whichever comes first.
        proxies[line].lose(lose, ":lock:next:");
        held.release().await.unwrap();
        waiting.await.unwrap().unwrap().release().await.unwrap();
        until("nothing to be left", async || (fleet.left_overs().await == 0).then_some(())).await;
    }
}

#[tokio::test]
async fn what_this_process_has_just_given_back_is_nobody_elses() {
    let servers = Fleet::start(3);
    // The node that hears of the releases late is the first that answers.
    let proxies =
        [Proxy::new(&servers[0]), Proxy::slow(&servers[1], ms(100)), Proxy::slow(&servers[2], ms(100))];
    let fleet = Fleet::at(proxies.iter().map(|proxy| proxy.url()).collect());
    let locks = fleet.locks();
    let turn = async || locks.acquire(&name(), &patient()).await.unwrap().release().await.unwrap();
    let asked = async || {
        let mut asked = 0;
        for node in 0..3 {
            asked += calls(&fleet, node, "set").await;
        }
        asked
    };
    turn().await;
    until("all to have been asked", async || (asked().await == 3).then_some(())).await;
    // It still has the lock when that is wanted again.
    proxies[0].hold("EVALSHA");
    for _ in 0..3 {
        turn().await;
    }
    // Nobody was met by that: all nodes are asked at once, each time, and none for a place in line.
    until("all to have been asked each time", async || (asked().await == 12).then_some(())).await;
    proxies[0].open();
    until("nothing to be left", async || (fleet.left_overs().await == 0).then_some(())).await;
    assert_eq!(locks.finish(SOON).await, 0);
}

#[tokio::test]
async fn two_processes_with_a_crowd_each_take_turns() {
    let fleet = Fleet::shared(3);
    let turns = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let crowds = ["a", "b"].map(|who| {
        let (locks, turns) = (fleet.locks().owned_by(who), std::sync::Arc::clone(&turns));
        async move {
            let one = || async {
                for _ in 0..10 {
                    let lock = locks.acquire(&name(), &patient()).await.unwrap();
                    turns.lock().unwrap().push(who);
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    lock.release().await.unwrap();
                }
            };
            tokio::join!(one(), one(), one())
        }
    });
    futures_util::future::join_all(crowds).await;
    let turns = turns.lock().unwrap().clone();
    assert_eq!(turns.len(), 60);
    // While both want it, neither has it for all its crowd.
    let last_of = |who| turns.iter().rposition(|turn| *turn == who).unwrap();
    let both = last_of("a").min(last_of("b"));
    let changes = turns[..both].windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert!(changes >= 6, "{turns:?}");
}
