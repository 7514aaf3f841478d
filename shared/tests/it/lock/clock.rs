//! A lock node whose clock is set, and a lock node that is slow: what a holder and a waiter notice of it.
//!
//! redis-server counts its TTLs by a clock that is set here. The process that locks, and this test, go by the real one.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tollgate::embedded::Temporary;
use tollgate::lock::{LockOptions, Renewal};
use tollgate_testkit::clock::{Clock, Library};

use super::proxy::Proxy;
use super::{Fleet, by_hand, long, ms, name};
use crate::harness::{SOON, servers, until};

/// Long enough that no slow machine lets it end by itself.
const TTL: Duration = Duration::from_secs(120);
const FORWARD_S: i64 = 3_600;

/// The library that sets clocks, made once.
fn library() -> &'static Library {
    static LIBRARY: OnceLock<(tempfile::TempDir, Library)> = OnceLock::new();
    let (_, library) = LIBRARY.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let library = Library::compile(dir.path()).unwrap();
        (dir, library)
    });
    library
}

/// A redis-server with a clock of its own.
struct Node {
    redis: Temporary,
    clock: Clock,
    _dir: tempfile::TempDir,
}

impl Node {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = library().moving(dir.path().join("clock")).unwrap();
        let redis = Temporary::start_with(&["--appendonly", "no"], &clock.environment()).unwrap();
        Self { redis, clock, _dir: dir }
    }

    /// Its clock is the real one and so many seconds.
    fn set_clock(&self, offset_s: i64) {
        self.clock.set(offset_s * 1_000_000).unwrap();
    }
}

async fn nodes() -> (Vec<Node>, Fleet) {
    let nodes: Vec<Node> = (0..3).map(|_| Node::start()).collect();
    let fleet = Fleet::at(nodes.iter().map(|node| node.redis.url()).collect());
    (nodes, fleet)
}

#[tokio::test]
async fn one_clock_set_forward_ends_the_lock_on_one_node_which_is_taken_again() {
    let (nodes, fleet) = nodes().await;
    let lock = fleet.locks().acquire(&name(), &by_hand(TTL)).await.unwrap();
    until("all nodes", async || (lock.stands_on() == (3, 3)).then_some(())).await;
    nodes[0].set_clock(FORWARD_S);
    until("its key to end", async || fleet.owners(&name()).await[0].is_none().then_some(())).await;
    let other = fleet.locks();
    assert_eq!(other.acquire(&name(), &long()).await.unwrap_err().code(), "lock_taken");
    other.finish(SOON).await;
    lock.extend().await.unwrap();
    until("the node again", async || fleet.owners(&name()).await[0].is_some().then_some(())).await;
    lock.release().await.unwrap();
}

/// What a lock cannot help, and the page says: only a fence in the effect keeps the two apart.
#[tokio::test]
async fn a_majority_of_clocks_set_forward_lets_a_second_holder_in_until_the_next_extension() {
    let (nodes, fleet) = nodes().await;
    let first = fleet.locks().acquire(&name(), &by_hand(TTL)).await.unwrap();
    until("all nodes", async || (first.stands_on() == (3, 3)).then_some(())).await;
    nodes[0].set_clock(FORWARD_S);
    nodes[1].set_clock(FORWARD_S);
    let second = fleet.locks().acquire(&name(), &by_hand(TTL)).await.unwrap();
    first.lease().check().unwrap();
    let lost = first.extend().await.unwrap_err();
    assert_eq!(lost.code(), "lock_lost", "{lost}");
    first.lease().check().unwrap_err();
    second.lease().check().unwrap();
    second.release().await.unwrap();
}

#[tokio::test]
async fn clocks_set_back_take_nothing_from_a_holder_and_keep_what_a_dead_one_left() {
    let (nodes, fleet) = nodes().await;
    let options = LockOptions { renewal: Renewal::Background, ..by_hand(TTL) };
    let lock = fleet.locks().acquire(&name(), &options).await.unwrap();
    until("all nodes", async || (lock.stands_on() == (3, 3)).then_some(())).await;
    nodes.iter().for_each(|node| node.set_clock(-FORWARD_S));
    lock.lease().check().unwrap();
    lock.extend().await.unwrap();
    lock.release().await.unwrap();
    until("nothing to be left", async || (fleet.left_overs().await == 0).then_some(())).await;
    // A holder that is gone: what it left lasts for longer than its TTL by as much as the clocks are set back.
    nodes.iter().for_each(|node| node.set_clock(0));
    for node in 0..3 {
        let () = fleet.run(node, &["SET", &fleet.key(&name()), "dead/1", "PX", "120000"]).await;
    }
    nodes.iter().for_each(|node| node.set_clock(-FORWARD_S));
    let longer = async || {
        let look = fleet.locks().look(&name()).await;
        look.holder().is_some_and(|(owner, left)| owner == "dead" && left > TTL).then_some(())
    };
    until("the left-over to last for longer than its TTL", longer).await;
    nodes.iter().for_each(|node| node.set_clock(FORWARD_S));
    fleet.locks().acquire(&name(), &long().wait(SOON)).await.unwrap().release().await.unwrap();
}

#[tokio::test]
async fn one_slow_node_costs_neither_an_acquire_nor_an_extension_nor_a_release() {
    let servers: Vec<_> = (0..3).map(|_| servers::private(&["--appendonly", "no"])).collect();
    let slow = Proxy::slow(&servers[2], SOON * 2);
    let fleet = Fleet::at(vec![servers[0].url(), servers[1].url(), slow.url()]);
    let options = LockOptions { node_timeout: SOON * 4, ..by_hand(TTL) };
    let locks = fleet.locks();
    let begun = Instant::now();
    for _ in 0..3 {
        let lock = locks.acquire(&name(), &options).await.unwrap();
        assert_eq!(lock.stands_on(), (2, 3));
        lock.extend().await.unwrap();
        lock.release().await.unwrap();
        // Nobody else is met by it either: what is still on its way is this process's own.
        assert!(locks.waiting().is_empty());
    }
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    // A waiter goes by the two that answer as well.
    let held = locks.acquire(&name(), &options).await.unwrap();
    let patient = LockOptions { retry_delay_max: ms(50), ..options }.wait(SOON);
    let waiting = tokio::spawn({
        let locks = fleet.locks();
        async move { locks.acquire(&name(), &patient).await.unwrap().release().await }
    });
    held.release().await.unwrap();
    waiting.await.unwrap().unwrap();
}
