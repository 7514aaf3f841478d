//! The cluster does what its methods say.

#![allow(clippy::unwrap_used, reason = "tests")]

use tollgate_testkit::cluster::faults::Failover;
use tollgate_testkit::cluster::{Cluster, SLOTS, Settings};
use tollgate_testkit::wait::until_so;

#[test]
fn slots_move_whole_and_by_halves_and_a_killed_master_is_replaced() {
    let mut cluster = Cluster::start();
    assert_eq!(cluster.masters(), [0, 1, 2]);
    assert_eq!((0..3).map(|node| cluster.replicas_of(node)).collect::<Vec<_>>(), [[3], [4], [5]]);
    assert_eq!(cluster.url().matches("127.0.0.1:").count(), 6);
    assert_eq!((cluster.node_of_slot(0), cluster.node_of_slot(SLOTS - 1)), (Some(0), Some(2)));
    let slot = cluster.slot_of("{a}").unwrap();
    let (from, to) = (cluster.node_of_slot(slot).unwrap(), (cluster.node_of_slot(slot).unwrap() + 1) % 3);
    for number in 0..5 {
        let key = format!("{{a}}:{number}");
        cluster.tell::<()>(from, &["SET", &key, "x"]).unwrap();
    }
    // Half of it: who asks for a key that has gone is sent on.
    cluster.begin_migration(slot, to).unwrap();
    assert_eq!(cluster.move_keys(slot, to, 3).unwrap(), 3);
    assert_eq!((cluster.keys_in(from, slot).unwrap(), cluster.keys_in(to, slot).unwrap()), (2, 3));
    let said = cluster.tell::<()>(from, &["GET", "{a}:none"]).unwrap_err().to_string();
    assert!(said.contains(&format!("{slot} 127.0.0.1:{}", cluster.port(to))), "{said}");
    assert_eq!(cluster.node_of_slot(slot), Some(from));
    cluster.finish_migration(slot, to).unwrap();
    assert_eq!(cluster.node_of_slot(slot), Some(to));
    assert_eq!((cluster.keys_in(from, slot).unwrap(), cluster.keys_in(to, slot).unwrap()), (0, 5));
    cluster.migrate_slot(slot, from).unwrap();
    assert_eq!(cluster.node_of_slot(slot), Some(from));
    // Slots without keys, all at once.
    let empty = cluster.slots_of(to)[..200].to_vec();
    cluster.hand_over(&(empty[0]..=empty[199]), from).unwrap();
    assert_eq!((cluster.node_of_slot(empty[0]), cluster.node_of_slot(empty[199])), (Some(from), Some(from)));
    cluster.settled().unwrap();
    // An operator's failover, and the way back by a kill.
    let replica = cluster.replicas_of(from)[0];
    cluster.fail_over(replica).unwrap();
    assert_eq!(cluster.node_of_slot(slot), Some(replica));
    cluster.settled().unwrap();
    cluster.replicated().unwrap();
    cluster.kill(replica);
    assert_eq!(cluster.node_of_slot(slot), None);
    until_so("the other to take over", || cluster.node_of_slot(slot) == Some(from));
    assert_eq!(cluster.keys_in(from, slot).unwrap(), 5);
    cluster.restart(replica).unwrap();
    cluster.settled().unwrap();
    assert_eq!(cluster.replicas_of(from), [replica]);
}

#[test]
fn a_node_that_stands_still_is_taken_over_and_comes_back_as_a_replica() {
    let mut cluster = Cluster::of(&Settings { masters: 1, full_coverage: true, ..Settings::default() });
    cluster.set(0, &[("maxmemory", "100mb"), ("appendfsync", "always")]).unwrap();
    assert_eq!(cluster.tell::<Vec<String>>(0, &["CONFIG", "GET", "appendfsync"]).unwrap()[1], "always");
    cluster.stop(0);
    assert_eq!(cluster.masters(), [0_usize; 0]);
    // Of one master nobody is left to vote.
    cluster.fail_over_by(1, Failover::TakenOver).unwrap();
    assert_eq!(cluster.masters(), [1]);
    cluster.cont(0);
    until_so("it to follow", || cluster.replicas_of(1) == [0]);
    assert_eq!(cluster.masters(), [1]);
    let without = Cluster::of(&Settings { masters: 2, replicas: 0, ..Settings::default() });
    assert_eq!((without.masters(), without.count()), (vec![0, 1], 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_is_cut_off_takes_writes_meanwhile_and_comes_back_as_a_replica_without_them() {
    let started = tokio::task::spawn_blocking(|| {
        let settings = Settings { can_be_cut_off: true, ..Settings::default() };
        let cluster = Cluster::of(&settings);
        cluster.replicated().unwrap();
        let slot = cluster.slot_of("{a}").unwrap();
        let node = cluster.node_of_slot(slot).unwrap();
        let replica = cluster.replicas_of(node)[0];
        cluster.cut_off(node);
        cluster.tell::<()>(node, &["SET", "{a}", "taken"]).unwrap();
        until_so("its replica to take over", || cluster.node_of_slot(slot) == Some(replica));
        cluster.rejoin();
        until_so("it to follow", || cluster.replicas_of(replica) == [node]);
        cluster.settled().unwrap();
        assert_eq!(cluster.tell::<Option<String>>(replica, &["GET", "{a}"]).unwrap(), None);
    });
    started.await.unwrap();
}
