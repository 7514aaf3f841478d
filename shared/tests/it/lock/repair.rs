//! A held lock is taken again on nodes that have lost it, so that a long hold outlives a rolling restart.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tollgate::embedded::Temporary;
use tollgate::lock::{LockError, LockOptions, Renewal};

use super::{Fleet, LONG, by_hand, long, ms, name};
use crate::harness::{SOON, until};

#[tokio::test]
async fn nodes_that_forget_one_after_the_other_let_nobody_in() {
    let mut servers = Fleet::start(3);
    let fleet = Fleet::of(&servers);
    let lock = fleet.locks().acquire(&name(), &by_hand(LONG)).await.unwrap();
    until("the last node to grant it", async || (fleet.left_overs().await == 3).then_some(())).await;
    for round in 0..2 {
        for (node, server) in servers.iter_mut().enumerate() {
            server.restart().unwrap();
            assert_eq!(fleet.left_overs().await, 2, "it has forgotten");
            lock.extend().await.unwrap();
            let repaired = async || (fleet.left_overs().await == 3).then_some(());
            until("the extension to take it again", repaired).await;
            let error = fleet.locks().acquire(&name(), &long()).await.unwrap_err();
            assert_eq!(error.code(), "lock_taken", "round {round}, node {node}: {error}");
            let whole = async || (fleet.left_overs().await == 3).then_some(());
            until("only the holder's token to stand", whole).await;
        }
    }
    assert_eq!(lock.stands_on(), (3, 3));
    lock.release().await.unwrap();
    until("the nodes to be free", async || (fleet.left_overs().await == 0).then_some(())).await;
}

#[tokio::test]
async fn without_a_quorum_nothing_is_taken_again() {
    let mut servers = Fleet::start(3);
    let fleet = Fleet::of(&servers);
    let lock = fleet.locks().acquire(&name(), &by_hand(LONG)).await.unwrap();
    until("the last node to grant it", async || (fleet.left_overs().await == 3).then_some(())).await;
    // One keeps it, one has forgotten it, one does not answer: perhaps another has two of them.
    servers[1].restart().unwrap();
    servers[2].kill();
    let error = lock.extend().await.unwrap_err();
    let LockError::NotExtended { against, .. } = &error else { panic!("{error}") };
    assert_eq!((against.gone.len(), against.broken.len()), (1, 1), "{error}");
    assert_eq!(fleet.owners_of(&[1], &name()).await, [None], "nothing was taken there");
    lock.lease().check().unwrap();
    // With all three there, two have forgotten: it is lost.
    servers[2].restart().unwrap();
    let error = until("the lock to be lost", async || match lock.extend().await {
        Err(LockError::NotExtended { .. }) => None,
        other => Some(other.unwrap_err()),
    })
    .await;
    assert_eq!(error.code(), "lock_lost", "{error}");
    assert_eq!(fleet.owners_of(&[1, 2], &name()).await, [None, None]);
}

#[tokio::test]
async fn a_node_on_which_another_attempt_stands_is_left_to_it_until_it_goes() {
    let servers = Fleet::start(3);
    let fleet = Fleet::of(&servers);
    let lock = fleet.locks().acquire(&name(), &by_hand(LONG)).await.unwrap();
    until("the last node to grant it", async || (fleet.left_overs().await == 3).then_some(())).await;
    let key = fleet.key(&name());
    let () = fleet.run(2, &["SET", &key, "other/1", "PX", "600000"]).await;
    lock.extend().await.unwrap();
    until("that to be known", async || (lock.stands_on() == (2, 3)).then_some(())).await;
    assert_eq!(fleet.owners_of(&[2], &name()).await, [Some("other/1".to_owned())]);
    let _: u64 = fleet.run(2, &["DEL", &key]).await;
    lock.extend().await.unwrap();
    until("it to be taken again", async || (lock.stands_on() == (3, 3)).then_some(())).await;
    lock.release().await.unwrap();
    until("the nodes to be free", async || (fleet.left_overs().await == 0).then_some(())).await;
}

/// Restarts five nodes empty, one after the other and each down for longer than the TTL, while a lock is held and
/// others want it: never lost, never shared. `hold` is a bound from below.
async fn rolling_restart(ttl: Duration, hold: Duration) {
    let mut servers = Fleet::start(5);
    let fleet = Arc::new(Fleet::of(&servers));
    let options = LockOptions { renewal: Renewal::Background, ..by_hand(ttl) };
    let lock = fleet.locks().owned_by("holder").acquire(&name(), &options).await.unwrap();
    let holds = Arc::new(AtomicBool::new(true));
    let shared = Arc::new(AtomicU32::new(0));
    // Others of two processes, who try without end.
    let others: Vec<_> = (0..2)
        .map(|_| {
            let (fleet, holds, shared) = (Arc::clone(&fleet), Arc::clone(&holds), Arc::clone(&shared));
            let locks = fleet.locks();
            tokio::spawn(async move {
                let short = LockOptions { node_timeout: ms(500), ..LockOptions::of_ttl(ttl) };
                while holds.load(Ordering::SeqCst) {
                    if let Ok(other) = locks.acquire(&name(), &short).await {
                        shared.fetch_add(u32::from(holds.load(Ordering::SeqCst)), Ordering::SeqCst);
                        let _ = other.release().await;
                    }
                    tokio::time::sleep(ms(20)).await;
                }
            })
        })
        .collect();
    let begun = Instant::now();
    for node in (0..5).cycle() {
        until("the holder to stand on every node", async || (lock.stands_on() == (5, 5)).then_some(())).await;
        servers[node].kill();
        // Time itself is the subject: it is away for longer than the TTL.
        let away_until = Instant::now() + ttl + ttl / 4;
        until("the node to have been away", async || (Instant::now() > away_until).then_some(())).await;
        lock.lease().check().unwrap_or_else(|lost| panic!("{lost} after {:?}", begun.elapsed()));
        servers[node].restart().unwrap();
        if begun.elapsed() > hold && node == 4 {
            break;
        }
    }
    until("the holder to stand on every node", async || (lock.stands_on() == (5, 5)).then_some(())).await;
    lock.lease().check().unwrap();
    holds.store(false, Ordering::SeqCst);
    lock.release().await.unwrap();
    for other in others {
        other.await.unwrap();
    }
    assert_eq!(shared.load(Ordering::SeqCst), 0, "somebody else got it meanwhile");
    servers.iter_mut().for_each(Temporary::kill);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_under_a_hold_neither_loses_nor_shares_it() {
    // TOLLGATE_TEST_HOLD=60 makes it the hold of a minute.
    let seconds = std::env::var("TOLLGATE_TEST_HOLD").ok().and_then(|text| text.parse().ok()).unwrap_or(5);
    rolling_restart(ms(1_200), Duration::from_secs(seconds).max(SOON / 10)).await;
}
