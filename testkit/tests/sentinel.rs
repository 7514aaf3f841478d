//! The watched pair does what its methods say.

#![allow(clippy::unwrap_used, reason = "tests")]

use tollgate_testkit::sentinel::{SENTINELS, Settings, Watched};
use tollgate_testkit::wait::until_so;

fn a_of(watched: &Watched, server: usize) -> Option<String> {
    watched.tell(server, &["GET", "a"]).unwrap()
}

#[test]
fn sentinels_that_come_back_know_who_the_master_is_and_most_of_them_are_needed() {
    let mut watched = Watched::start();
    watched.replicated().unwrap();
    for number in 1..SENTINELS {
        watched.kill_sentinel(number);
    }
    assert_eq!(watched.master(), None);
    for number in 0..SENTINELS {
        watched.restart_sentinel(number).unwrap();
    }
    watched.settled().unwrap();
    assert_eq!(watched.master(), Some(0));
    watched.kill_sentinel(0);
    watched.server(0).kill();
    until_so("two of three to make the other the master", || watched.master() == Some(1));
    watched.tell::<()>(1, &["SET", "a", "taken"]).unwrap();
    watched.restart_sentinel(0).unwrap();
    watched.server(0).restart().unwrap();
    // Whoever is the master then (on a machine that stands still for a second they may choose again), it is no old one.
    watched.settled().unwrap();
    watched.replicated().unwrap();
    assert_eq!(
        [0, 1].map(|server| a_of(&watched, server)),
        [Some("taken".to_owned()), Some("taken".to_owned())]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_is_cut_off_takes_writes_meanwhile_and_comes_back_as_a_replica_without_them() {
    let started = tokio::task::spawn_blocking(|| {
        let settings = Settings { can_be_cut_off: true, ..Settings::default() };
        let watched = Watched::try_start(&settings).unwrap();
        watched.replicated().unwrap();
        watched.cut_off(0);
        until_so("its replica to take over", || watched.master() == Some(1));
        watched.tell::<()>(0, &["SET", "a", "taken"]).unwrap();
        watched.rejoin();
        watched.settled().unwrap();
        watched.replicated().unwrap();
        assert_eq!([0, 1].map(|server| a_of(&watched, server)), [None, None]);
    });
    started.await.unwrap();
}
