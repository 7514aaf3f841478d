//! Taking, holding and giving back, while every node is well.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use tollgate::ids::{AccountId, LockName};
use tollgate::lock::{LockError, LockOptions, LostCause};

use super::{Fleet, LONG, by_hand, fine, long, ms, name};
use crate::harness::{SOON, until};

#[tokio::test]
async fn every_mask_of_occupied_nodes_decides_by_quorum_and_leaves_nothing() {
    for nodes in [1, 3, 5_usize] {
        let fleet = Fleet::shared(nodes);
        let locks = fleet.locks().owned_by("test-1");
        for mask in 0..1_u32 << nodes {
            let name = LockName::parse(format!("mask {mask}")).unwrap();
            let key = fleet.key(&name);
            let occupied: Vec<usize> = (0..nodes).filter(|node| mask >> node & 1 == 1).collect();
            for node in &occupied {
                let () = fleet.run(*node, &["SET", &key, "other-9/0123"]).await;
            }
            let free = nodes - occupied.len();
            match locks.acquire(&name, &long()).await {
                Ok(lock) => {
                    assert!(free > nodes / 2, "{mask:b} of {nodes}");
                    lock.release().await.unwrap();
                }
                Err(LockError::Taken { against, .. }) => {
                    assert!(free <= nodes / 2, "{mask:b} of {nodes}");
                    assert!(against.broken.is_empty() && against.nodes == nodes, "{against}");
                    assert!(against.taken.len() > nodes - nodes / 2 - 1, "as many as decided it: {against}");
                    for taken in &against.taken {
                        let node = fleet.urls.iter().position(|url| *url == taken.node).unwrap();
                        assert!(occupied.contains(&node), "{against}");
                        assert_eq!(taken.owner, "other-9");
                    }
                }
                Err(other) => panic!("{other}"),
            }
            let freed = async || {
                let owners = fleet.owners(&name).await;
                owners.iter().flatten().all(|owner| owner == "other-9/0123").then_some(owners)
            };
            let owners = until("what is ours to be given back", freed).await;
            let theirs: Vec<usize> = (0..nodes).filter(|node| owners[*node].is_some()).collect();
            assert_eq!(theirs, occupied, "the others' stay");
        }
    }
}

#[tokio::test]
async fn a_failed_acquire_returns_after_it_has_given_everything_back() {
    let fleet = Fleet::shared(3);
    for node in [0, 2] {
        let () = fleet.run(node, &["SET", &fleet.key(&name()), "other/1"]).await;
    }
    let error = fleet.locks().acquire(&name(), &long()).await.unwrap_err();
    assert_eq!(error.code(), "lock_taken");
    // At once, or right after if that node had not even answered by then.
    let free = async || fleet.owners(&name()).await[1].is_none().then_some(());
    until("the part that was granted to be given back", free).await;
}

#[tokio::test]
async fn a_held_lock_is_on_the_nodes_with_its_ttl_and_shows_until_when() {
    let fleet = Fleet::shared(3);
    let before = Instant::now();
    let lock = fleet.locks().owned_by("w-1").acquire(&name(), &long()).await.unwrap();
    let after = Instant::now();
    let worth = LONG - LONG / 100 - ms(2);
    let valid_until = lock.lease().valid_until();
    assert!(before + worth <= valid_until && valid_until <= after + worth, "from before the first send");
    assert!(lock.lease().deadline() < valid_until && lock.lease().remaining() < worth);
    let owners = until("the last node to grant it", async || {
        fleet.owners(&name()).await.into_iter().collect::<Option<Vec<_>>>()
    })
    .await;
    assert!(owners.iter().all(|owner| owner.starts_with("w-1/") && *owner == owners[0]), "{owners:?}");
    for node in 0..3 {
        let ttl_ms: u64 = fleet.run(node, &["PTTL", &fleet.key(&name())]).await;
        assert!(Duration::from_millis(ttl_ms) <= LONG && ttl_ms > 0);
    }
    let lease = lock.lease();
    lock.release().await.unwrap();
    assert_eq!(lease.check().unwrap_err().cause, LostCause::Released);
    until("the nodes to be free", async || (fleet.left_overs().await == 0).then_some(())).await;
}

#[tokio::test]
async fn it_is_not_reentrant_and_names_of_users_and_of_tollgate_do_not_meet() {
    let fleet = Fleet::shared(3);
    let locks = fleet.locks();
    let account = AccountId::parse("a1").unwrap();
    let _held = locks.acquire(&LockName::payouts(&account), &long()).await.unwrap();
    let again = locks.acquire(&LockName::payouts(&account), &long()).await.unwrap_err();
    assert!(matches!(again, LockError::Taken { .. }), "{again}");
    for users in ["a1", "payouts:a1"] {
        drop(locks.acquire(&LockName::parse(users).unwrap(), &long()).await.unwrap());
    }
}

#[tokio::test]
async fn work_gets_its_value_out_and_the_lock_is_free_after() {
    let fleet = Fleet::shared(5);
    let locks = fleet.locks();
    for round in 0..3 {
        let value = locks.with(&name(), &long(), async |lease| lease.check().map(|()| round)).await;
        assert_eq!(value.unwrap(), round);
    }
    until("the nodes to be free", async || (fleet.left_overs().await == 0).then_some(())).await;
}

#[tokio::test]
async fn dropped_or_panicked_work_gives_the_lock_back() {
    let fleet = Fleet::shared(3);
    let locks = fleet.locks();
    let options = long();
    let lock = locks.acquire(&name(), &options).await.unwrap();
    let lease = lock.lease();
    drop(lock);
    assert_eq!(lease.check().unwrap_err().cause, LostCause::Released);
    until("the dropped lock to be free", async || (fleet.left_overs().await == 0).then_some(())).await;

    let (begun, began) = tokio::sync::oneshot::channel();
    let name = name();
    let work = locks.with(&name, &options, async |_| {
        begun.send(()).unwrap();
        tokio::time::sleep(SOON).await;
        fine(())
    });
    tokio::select! {
        _ = work => panic!("it never ends"),
        begun = began => begun.unwrap(),
    }
    until("the cancelled work's lock to be free", async || (fleet.left_overs().await == 0).then_some(()))
        .await;

    let locks = locks.clone();
    let panicked = tokio::spawn(async move {
        locks
            .with(&name, &long(), async |_| -> Result<(), Infallible> { panic!("the work's own trouble") })
            .await
    });
    assert!(panicked.await.unwrap_err().is_panic());
    until("the panicked work's lock to be free", async || (fleet.left_overs().await == 0).then_some(()))
        .await;
}

#[tokio::test]
async fn a_lock_dropped_outside_of_any_runtime_is_given_back() {
    let fleet = Fleet::shared(3);
    let lock = fleet.locks().acquire(&name(), &long()).await.unwrap();
    std::thread::spawn(move || drop(lock)).join().unwrap();
    until("the nodes to be free", async || (fleet.left_overs().await == 0).then_some(())).await;
}

#[test]
fn a_lock_that_outlives_its_runtime_is_left_to_its_ttl() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let fleet = Fleet::shared(3);
    let lock = runtime.block_on(fleet.locks().acquire(&name(), &long())).unwrap();
    let lease = lock.lease();
    drop(runtime);
    drop(lock);
    lease.check().unwrap_err();
}

#[tokio::test]
async fn a_late_release_leaves_the_next_owners_lock_alone() {
    let fleet = Fleet::shared(3);
    let locks = fleet.locks();
    let short = locks.acquire(&name(), &by_hand(ms(1_500))).await.unwrap();
    // It may be lost on a very slow machine; then it is as late.
    let patient = LockOptions { retry_delay_max: ms(20), ..long() }.wait(SOON);
    let next = locks.acquire(&name(), &patient).await.unwrap();
    let before = fleet.owners(&name()).await;
    let lost = short.release().await.unwrap_err();
    assert_eq!(lost.cause, LostCause::Ended(None));
    let after = fleet.owners(&name()).await;
    assert!(before.iter().flatten().count() >= 2);
    for (before, after) in before.iter().zip(after) {
        assert!(before.is_none() || *before == after);
    }
    next.release().await.unwrap();
}

#[tokio::test]
async fn an_extension_after_the_end_is_refused_and_creates_nothing() {
    let fleet = Fleet::shared(3);
    let locks = fleet.locks();
    // By our own clock.
    let short = locks.acquire(&name(), &by_hand(ms(1_500))).await.unwrap();
    short.lease().lost().await;
    until("it to expire", async || (fleet.left_overs().await == 0).then_some(())).await;
    let error = short.extend().await.unwrap_err();
    assert!(matches!(&error, LockError::Lost(lost) if lost.cause == LostCause::Ended(None)), "{error}");
    assert_eq!(fleet.left_overs().await, 0);

    // By the nodes' word, while our own clock would have allowed it.
    let lock = locks.acquire(&name(), &by_hand(LONG)).await.unwrap();
    until("the last node to grant it", async || (fleet.left_overs().await == 3).then_some(())).await;
    for node in 0..3 {
        let () = fleet.run(node, &["DEL", &fleet.key(&name())]).await;
    }
    for _ in 0..2 {
        let error = lock.extend().await.unwrap_err();
        let LockError::Lost(lost) = error else { panic!("{error}") };
        assert!(matches!(lost.cause, LostCause::Gone(_)), "{lost}");
    }
    assert_eq!(fleet.left_overs().await, 0);
    lock.lease().check().unwrap_err();
    assert!(matches!(lock.release().await.unwrap_err().cause, LostCause::Gone(_)));
}

#[tokio::test]
async fn an_extension_moves_the_end_here_and_on_the_nodes() {
    let fleet = Fleet::shared(3);
    let lock = fleet.locks().acquire(&name(), &by_hand(LONG)).await.unwrap();
    until("the last node to grant it", async || (fleet.left_overs().await == 3).then_some(())).await;
    for node in 0..3 {
        let () = fleet.run(node, &["PEXPIRE", &fleet.key(&name()), "500000"]).await;
    }
    let before = lock.lease().valid_until();
    let until_then = lock.extend().await.unwrap();
    assert!(until_then > before && lock.lease().valid_until() == until_then);
    let extended = async || {
        let mut count = 0;
        for node in 0..3 {
            count += u32::from(fleet.run::<u64>(node, &["PTTL", &fleet.key(&name())]).await > 500_000);
        }
        (count == 3).then_some(())
    };
    until("every node to have extended it", extended).await;
}

#[tokio::test]
async fn options_that_cannot_work_are_refused_by_name() {
    let locks = Fleet::shared(1).locks();
    for (options, wrong) in [
        (LockOptions::of_ttl(Duration::ZERO), "ttl"),
        (LockOptions::of_ttl(Duration::from_micros(999)), "ttl"),
        (LockOptions::of_ttl(Duration::MAX), "ttl"),
        (LockOptions { node_timeout: Duration::ZERO, ..long() }, "node_timeout"),
        (LockOptions { node_timeout: Duration::MAX, ..long() }, "node_timeout"),
        (LockOptions { retry_delay_max: Duration::ZERO, ..long() }.wait(ms(1)), "retry_delay_max"),
    ] {
        let error = locks.acquire(&name(), &options).await.unwrap_err();
        assert!(matches!(error, LockError::Options { field, .. } if field == wrong), "{error}");
    }
}
