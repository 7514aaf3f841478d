//! What waiting costs the nodes, and what is told of it. Counts of commands, never rates.

use std::time::Instant;

use tollgate::lock::{Found, LockError, LockOptions, Locks, LostCause, Renewal, Waiting};

use super::{Fleet, LONG, by_hand, fine, long, ms, name};
use crate::harness::{SOON, until};

/// How often a command was called on a node.
pub(super) async fn calls(fleet: &Fleet, node: usize, command: &str) -> u64 {
    let stats: String = fleet.run(node, &["INFO", "commandstats"]).await;
    let line = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
    line.and_then(|rest| rest.split(',').next()?.parse().ok()).unwrap_or(0)
}

async fn all_calls(fleet: &Fleet, command: &str) -> u64 {
    let mut sum = 0;
    for node in 0..fleet.urls.len() {
        sum += calls(fleet, node, command).await;
    }
    sum
}

/// The one lock that is waited for or held.
fn waiting(locks: &Locks) -> Waiting {
    let all = locks.waiting();
    assert_eq!(all.len(), 1, "{all:?}");
    all[0].clone()
}

/// Fifty who wait for so long.
async fn herd(locks: &Locks, options: &LockOptions) -> Vec<LockError> {
    let waiters: Vec<_> = (0..50)
        .map(|_| {
            let (locks, options) = (locks.clone(), options.clone());
            tokio::spawn(async move { locks.acquire(&name(), &options).await.map(drop) })
        })
        .collect();
    let mut errors = Vec::new();
    for waiter in waiters {
        errors.extend(waiter.await.unwrap().err());
    }
    errors
}

#[tokio::test]
async fn a_herd_behind_a_holder_of_its_own_process_asks_the_nodes_once() {
    let servers = Fleet::start(3);
    let fleet = Fleet::of(&servers);
    let locks = fleet.locks();
    let held = locks.acquire(&name(), &by_hand(LONG)).await.unwrap();
    until("the last node to grant it", async || (fleet.left_overs().await == 3).then_some(())).await;
    let before = all_calls(&fleet, "set").await;
    let errors = herd(&locks, &long().wait(ms(300))).await;
    assert_eq!(errors.len(), 50);
    assert!(errors.iter().all(|error| error.code() == "lock_taken"), "{errors:?}");
    // When their time is over somebody asks for all of them; who comes a moment later may ask again.
    let asked = all_calls(&fleet, "set").await - before;
    assert!(asked <= 3 * 10, "{asked} calls for fifty waiters");
    held.release().await.unwrap();
}

#[tokio::test]
async fn a_herd_behind_another_process_costs_what_one_waiter_costs_and_nothing_is_given_back() {
    let servers = Fleet::start(3);
    let fleet = Fleet::of(&servers);
    let _held = fleet.locks().owned_by("w-7").acquire(&name(), &by_hand(LONG)).await.unwrap();
    until("the last node to grant it", async || (fleet.left_overs().await == 3).then_some(())).await;
    let before = all_calls(&fleet, "set").await;
    let options = LockOptions { retry_delay_max: ms(200), ..long() }.wait(ms(1_000));
    let errors = herd(&fleet.locks(), &options).await;
    assert_eq!(errors.len(), 50);
    // Not even one attempt of three calls for each waiter; each by itself would make ten in this time. How many it is
    // depends on how late a loaded machine lets them begin and end.
    let asked = all_calls(&fleet, "set").await - before;
    assert!(asked < 3 * 50, "{asked} calls for fifty waiters");
    // Scripts but those of the line, which one node keeps, would be releases.
    let mut scripts = 0;
    for node in 0..3 {
        scripts += u64::from(calls(&fleet, node, "evalsha").await > 0);
    }
    assert!(scripts <= 1, "there was nothing to give back");
}

#[tokio::test]
async fn the_queue_of_a_process_is_served_in_order_and_survives_cancelled_waiters() {
    let fleet = Fleet::shared(3);
    let locks = fleet.locks();
    let held = locks.acquire(&name(), &by_hand(LONG)).await.unwrap();
    let (sender, mut served) = tokio::sync::mpsc::unbounded_channel();
    let mut waiters = Vec::new();
    for n in 0..6 {
        let (own, sender) = (locks.clone(), sender.clone());
        waiters.push(tokio::spawn(async move {
            let work = async |_| {
                sender.send(n).unwrap();
                fine(())
            };
            own.with(&name(), &long().wait(SOON), work).await.map_err(LockError::from)
        }));
        until("it to wait", async || (waiting(&locks).waiters == n + 1).then_some(())).await;
    }
    waiters[0].abort();
    waiters[3].abort();
    held.release().await.unwrap();
    drop(sender);
    let mut order = Vec::new();
    while let Some(n) = served.recv().await {
        order.push(n);
    }
    assert_eq!(order, [1, 2, 4, 5]);
}

#[tokio::test]
async fn a_waiter_is_told_on_whom_it_waits_until_when_and_how_many_nodes_answer() {
    let mut servers = Fleet::start(3);
    let fleet = Fleet::of(&servers);
    servers[2].kill();
    let _held = fleet.locks().owned_by("w-7").acquire(&name(), &by_hand(LONG)).await.unwrap();
    let locks = fleet.locks();
    let options = LockOptions { retry_delay_max: ms(20), ..long() }.wait(SOON);
    let waiter = tokio::spawn({
        let locks = locks.clone();
        async move { locks.acquire(&name(), &options).await.map(drop) }
    });
    let seen = async || {
        let waiting = locks.waiting().pop()?;
        assert_eq!((waiting.waiters, &waiting.name), (1, &name()));
        waiting.seen.map(|(_, look)| look)
    };
    let look = until("the waiter to have looked", seen).await;
    assert_eq!(look.answering(), 2, "{look}");
    let (owner, left) = look.holder().unwrap();
    assert!(owner == "w-7" && left <= LONG && left > LONG / 2, "{look}");
    waiter.abort();
    until("nobody to wait", async || locks.waiting().is_empty().then_some(())).await;
}

#[tokio::test]
async fn a_key_that_is_no_lock_is_told_as_such() {
    let fleet = Fleet::shared(3);
    let locks = fleet.locks();
    let key = fleet.key(&name());
    assert!(locks.look(&name()).await.is_free());
    for node in 0..2 {
        let () = fleet.run(node, &["SET", &key, "by-hand"]).await;
    }
    let error = locks.acquire(&name(), &long()).await.unwrap_err();
    assert_eq!(error.code(), "lock_taken", "{error}");
    let look = locks.look(&name()).await;
    assert_eq!((look.foreign().count(), look.holder(), look.is_free()), (2, None, false), "{look}");
    assert!(look.to_string().contains("no expiry"), "{look}");
    for node in 0..2 {
        let _: u64 = fleet.run(node, &["DEL", &key]).await;
        let _: u64 = fleet.run(node, &["LPUSH", &key, "a list"]).await;
    }
    let error = locks.acquire(&name(), &long()).await.unwrap_err();
    assert_eq!(error.code(), "lock_taken", "{error}");
    let look = locks.look(&name()).await;
    assert!(look.to_string().contains("another type"), "{look}");
    assert_eq!(look.nodes[0].found, Ok(Found::Foreign { owner: String::new() }));
    assert!(locks.nodes().states().iter().all(|state| state.failing.is_none()), "the servers are well");
}

#[tokio::test]
async fn a_taken_lock_beside_a_black_hole_is_told_without_waiting_for_it() {
    let servers = Fleet::start(3);
    let fleet = Fleet::of(&servers);
    let locks = fleet.locks();
    locks.acquire(&name(), &long()).await.unwrap().release().await.unwrap();
    until("the nodes to be free", async || (fleet.left_overs().await == 0).then_some(())).await;
    for node in 0..2 {
        let () = fleet.run(node, &["SET", &fleet.key(&name()), "other/1", "PX", "600000"]).await;
    }
    servers[2].pause();
    let begun = Instant::now();
    for _ in 0..3 {
        let error = locks.acquire(&name(), &long()).await.unwrap_err();
        assert_eq!(error.code(), "lock_taken", "{error}");
    }
    // A time-out of one node is the only thing here that takes long.
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    servers[2].resume();
    assert_eq!(locks.finish(SOON).await, 0);
    assert_eq!(fleet.owners(&name()).await[2], None, "what the black hole granted late is given back");
}

#[tokio::test]
async fn a_leaked_hold_ends_after_its_longest_time() {
    let fleet = Fleet::shared(3);
    let options = LockOptions { renewal: Renewal::Background, ..by_hand(ms(400)) }.max_hold(ms(1_000));
    let locks = fleet.locks();
    let lock = locks.acquire(&name(), &options).await.unwrap();
    let lease = lock.lease();
    std::mem::forget(lock);
    let lost = lease.lost().await;
    // On a machine that stood still it may have ended before.
    assert!(matches!(lost.cause, LostCause::HeldTooLong(_) | LostCause::Ended(_)), "{lost}");
    let patient = LockOptions { retry_delay_max: ms(20), ..long() }.wait(SOON);
    locks.acquire(&name(), &patient).await.unwrap().release().await.unwrap();
}

#[tokio::test]
async fn two_processes_that_want_it_all_the_time_both_get_it() {
    let fleet = Fleet::shared(3);
    let options = LockOptions { retry_delay_max: ms(20), ..long() }.wait(SOON);
    let work = async |locks: Locks| {
        for _ in 0..20 {
            locks.with(&name(), &options, async |_| fine(())).await.map_err(LockError::from).unwrap();
        }
    };
    tokio::join!(work(fleet.locks()), work(fleet.locks()));
}
