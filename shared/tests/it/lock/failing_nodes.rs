//! Nodes that are down, silent, full, or have forgotten everything.

use std::convert::Infallible;
use std::time::Instant;

use tollgate::failure::Refusal;
use tollgate::lock::{LockError, LockNodes, LockOptions, Locks, LostCause, Renewal};

use super::{Fleet, LONG, by_hand, fine, long, ms, name, soon};
use crate::harness::{SOON, servers, until};

#[tokio::test]
async fn a_minority_down_works_and_a_majority_down_fails_with_the_nodes_named() {
    for nodes in [3, 5] {
        let mut servers = Fleet::start(nodes);
        let fleet = Fleet::of(&servers);
        let locks = fleet.locks();
        // Links exist to all of them: the dead are met on old connections and on new ones.
        locks.acquire(&name(), &long()).await.unwrap().release().await.unwrap();
        // A release waits for a quorum only, and of that one some die now.
        until("the nodes to be free", async || (fleet.left_overs().await == 0).then_some(())).await;
        let (minority, rest) = servers.split_at_mut(nodes / 2);
        minority.iter_mut().for_each(tollgate::embedded::Temporary::kill);
        for _ in 0..2 {
            let lock = locks.acquire(&name(), &long()).await.unwrap();
            lock.extend().await.unwrap();
            lock.release().await.unwrap();
        }
        rest[0].kill();
        for _ in 0..2 {
            let error = locks.acquire(&name(), &long()).await.unwrap_err();
            let LockError::Broken { against, .. } = error else { panic!("{error}") };
            let mut broken: Vec<_> = against.broken.iter().map(|broken| broken.node.clone()).collect();
            broken.sort();
            let mut dead = fleet.urls[..nodes / 2 + 1].to_vec();
            dead.sort();
            assert_eq!(broken, dead, "{against}");
        }
        for node in nodes / 2 + 1..nodes {
            let keys: Vec<String> = fleet.run(node, &["KEYS", "*"]).await;
            assert!(keys.is_empty(), "a failed acquire leaves nothing: {keys:?}");
        }
        rest[0].restart().unwrap();
        let patient = LockOptions { retry_delay_max: ms(50), ..long() }.wait(SOON);
        locks.acquire(&name(), &patient).await.unwrap().release().await.unwrap();
    }
}

#[tokio::test]
async fn a_black_holed_minority_costs_nothing_and_a_black_holed_majority_one_timeout() {
    let servers = Fleet::start(3);
    let fleet = Fleet::of(&servers);
    let locks = fleet.locks();
    locks.acquire(&name(), &long()).await.unwrap().release().await.unwrap();
    until("the nodes to be free", async || (fleet.left_overs().await == 0).then_some(())).await;
    servers[1].pause();
    // A round that waited for the third answer would take the second that late answers are waited for.
    let begun = Instant::now();
    for _ in 0..20 {
        let lock = locks.acquire(&name(), &long()).await.unwrap();
        lock.extend().await.unwrap();
        lock.release().await.unwrap();
    }
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());

    servers[2].pause();
    let impatient = LockOptions { node_timeout: ms(100), ..LockOptions::of_ttl(LONG) };
    let begun = Instant::now();
    let error = locks.acquire(&name(), &impatient).await.unwrap_err();
    // The bound that matters: far below the TTL, and not the ten seconds of a connection's own time-outs.
    assert!(begun.elapsed() >= ms(100) && begun.elapsed() < ms(9_000), "{:?}", begun.elapsed());
    let LockError::Broken { against, .. } = error else { panic!("{error}") };
    let broken: Vec<_> = against.broken.iter().map(|broken| broken.node.clone()).collect();
    assert_eq!(broken, fleet.urls[1..], "{against}");
    assert!(fleet.run::<Option<String>>(0, &["GET", &fleet.key(&name())]).await.is_none());
    servers.iter().for_each(tollgate::embedded::Temporary::resume);
}

#[tokio::test]
async fn a_node_restarted_empty_does_not_let_a_second_holder_in_by_itself() {
    let mut servers = Fleet::start(3);
    let fleet = Fleet::of(&servers);
    let lock = fleet.locks().acquire(&name(), &by_hand(LONG)).await.unwrap();
    until("the last node to grant it", async || (fleet.left_overs().await == 3).then_some(())).await;
    servers[0].restart().unwrap();
    assert_eq!(fleet.left_overs().await, 2, "it has forgotten");
    let error = fleet.locks().acquire(&name(), &long()).await.unwrap_err();
    let LockError::Taken { against, .. } = error else { panic!("{error}") };
    assert_eq!(against.taken.len(), 2, "{against}");
    assert_eq!(fleet.left_overs().await, 2, "the failed acquire left nothing on the empty node");
    lock.extend().await.unwrap();
    until("the extension to take it again", async || (fleet.left_overs().await == 3).then_some(())).await;
    let owners = fleet.owners(&name()).await;
    assert!(owners.iter().all(|owner| *owner == owners[1]), "{owners:?}");
    until("the lock to know it", async || (lock.stands_on() == (3, 3)).then_some(())).await;
    lock.release().await.unwrap();
    until("the nodes to be free", async || (fleet.left_overs().await == 0).then_some(())).await;
}

#[tokio::test]
async fn a_lock_that_the_nodes_have_forgotten_cancels_the_work() {
    let mut servers = Fleet::start(1);
    let fleet = Fleet::of(&servers);
    let options = LockOptions { renewal: Renewal::Background, ..by_hand(ms(9_000)) };
    let locks = fleet.locks();
    let work = async |_| {
        servers[0].restart().unwrap();
        std::future::pending::<Result<(), Infallible>>().await
    };
    let error = soon(locks.with(&name(), &options, work)).await.unwrap_err().into();
    let LockError::Lost(lost) = error else { panic!("{error}") };
    assert!(matches!(lost.cause, LostCause::Gone(_)), "{lost}");
    assert_eq!(fleet.left_overs().await, 0);
}

#[tokio::test]
async fn a_stolen_lock_cancels_the_work_and_stays_with_the_thief() {
    let fleet = Fleet::shared(3);
    let options = LockOptions { renewal: Renewal::Background, ..by_hand(ms(9_000)) };
    let work = async |_| {
        for node in [0, 1] {
            let () = fleet.run(node, &["SET", &fleet.key(&name()), "thief/1"]).await;
        }
        std::future::pending::<Result<(), Infallible>>().await
    };
    let error = soon(fleet.locks().with(&name(), &options, work)).await.unwrap_err().into();
    let LockError::Lost(lost) = error else { panic!("{error}") };
    let LostCause::Gone(against) = &lost.cause else { panic!("{lost}") };
    assert!(against.taken.iter().all(|taken| taken.owner == "thief"), "{lost}");
    let ours_gone = async || fleet.owners(&name()).await[2].is_none().then_some(());
    until("our own part to be given back", ours_gone).await;
    assert_eq!(fleet.owners(&name()).await[..2], [Some("thief/1".to_string()), Some("thief/1".to_string())]);
}

#[tokio::test]
async fn a_full_node_grants_nothing_and_still_extends_and_frees() {
    let servers = Fleet::start(1);
    let fleet = Fleet::of(&servers);
    let locks = fleet.locks();
    // Both scripts are loaded before.
    let lock = locks.acquire(&name(), &long()).await.unwrap();
    lock.extend().await.unwrap();
    lock.release().await.unwrap();
    let lock = locks.acquire(&name(), &long()).await.unwrap();
    let () = fleet.run(0, &["CONFIG", "SET", "maxmemory", "1"]).await;
    let other = tollgate::ids::LockName::parse("other").unwrap();
    let error = locks.acquire(&other, &long()).await.unwrap_err();
    let LockError::Broken { against, .. } = error else { panic!("{error}") };
    assert_eq!(against.broken[0].failure.refusal(), Some(Refusal::OutOfMemory));
    lock.extend().await.unwrap();
    lock.release().await.unwrap();
    assert_eq!(fleet.left_overs().await, 0);
}

#[tokio::test]
async fn the_data_redis_is_one_node_and_says_so() {
    let redis = servers::private(&[]);
    let nodes = LockNodes::with_data(servers::open(&redis));
    assert!(nodes.to_string().contains("they fall with it"), "{nodes}");
    let fleet = Fleet::of(std::slice::from_ref(&redis));
    let locks = Locks::new(nodes, fleet.ns.clone());
    locks
        .with(&name(), &long(), async |_| {
            assert_eq!(fleet.left_overs().await, 1);
            fine(())
        })
        .await
        .unwrap();
    assert_eq!(fleet.left_overs().await, 0);
}

#[tokio::test]
async fn the_login_of_the_documentation_is_enough_and_reaches_nothing_else() {
    let page = include_str!("../../../../docs/locks.md");
    let line = page.lines().find(|line| line.starts_with("ACL SETUSER locks")).unwrap();
    let servers = Fleet::start(3);
    let fleet = Fleet::of(&servers);
    let line = line.replace("~tollgate:", &format!("~{}:", fleet.ns));
    let mut urls = Vec::new();
    for server in &servers {
        let () = super::query(&server.url(), &line.split(' ').collect::<Vec<_>>()).await;
        urls.push(format!("unix://{}?user=locks&pass=secret", server.socket().display()));
    }
    let open = || Locks::new(LockNodes::open(&urls, None).unwrap(), fleet.ns.clone());
    let (locks, others) = (open(), open());
    let lock = locks.acquire(&name(), &long()).await.unwrap();
    lock.extend().await.unwrap();
    let waiting = tokio::spawn({
        let others = others.clone();
        async move { others.acquire(&name(), &long().wait(SOON)).await.unwrap().release().await }
    });
    until("the other to have looked", async || {
        others.waiting().iter().any(|waiting| waiting.seen.is_some()).then_some(())
    })
    .await;
    assert!(others.look(&name()).await.holder().is_some());
    lock.release().await.unwrap();
    waiting.await.unwrap().unwrap();
    for locks in [&locks, &others] {
        assert_eq!(locks.finish(SOON).await, 0);
        let states = locks.nodes().states();
        assert!(states.iter().all(|state| state.failing.is_none()), "no command is refused: {states:?}");
    }
    // Nor one that a script calls, which would be hidden by the call that follows.
    for node in 0..3 {
        let errors: String = fleet.run(node, &["INFO", "errorstats"]).await;
        assert!(!errors.contains("errorstat_ERR") && !errors.contains("errorstat_NOPERM"), "{errors}");
    }
    let stranger = Locks::new(LockNodes::open(&urls, None).unwrap(), Fleet::of(&[]).ns);
    let error = stranger.acquire(&name(), &long()).await.unwrap_err();
    let LockError::Broken { against, .. } = &error else { panic!("{error}") };
    assert_eq!(against.broken[0].failure.refusal(), Some(Refusal::NoPermission));
    assert!(!error.to_string().contains("secret"), "{error}");
}
