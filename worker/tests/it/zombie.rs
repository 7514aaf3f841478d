//! A worker that was stopped for longer than anyone waits, and goes on: harmless.

use rustix::process::Signal;

use crate::harness::{Space, redemptions, shared};

#[tokio::test]
async fn a_zombie_that_settles_late_decides_nothing_and_counts_nothing() {
    let space = Space::on(shared()).await;
    space.enqueue(&redemptions("j", 50)).await;
    let mut zombie = space.worker_with(&[], "before_settle:stop:id=j7");
    zombie.stopped().await;
    let mut other = space.worker(&[]);
    let stats = space.drained().await;
    assert_eq!((space.issued().await, stats.head.replayed), (50, 0));

    zombie.signal(Signal::CONT);
    // Nor does it do harm when it goes on working: its late settle comes before what it takes next.
    assert_eq!(other.drained().await, Some(0));
    space.enqueue(&redemptions("more", 50)).await;
    let late = space.drained().await;
    assert_eq!((space.issued().await, late.head.seq, late.head.replayed), (100, 101, 0));
    assert_eq!(late.head.acked, stats.head.acked + 50);
    assert_eq!(zombie.drained().await, Some(0));
}

#[tokio::test]
async fn a_zombie_that_moves_an_entry_late_moves_nothing() {
    let space = Space::on(shared()).await;
    space.add("job", br#"{"id":"bad","kind":"redeem"}"#).await;
    let mut zombie = space.worker_with(&[], "before_park:stop");
    zombie.stopped().await;
    let mut other = space.worker(&[]);
    let stats = space.drained().await;
    assert_eq!((stats.dead, stats.head.to_dead), (1, 1));
    assert_eq!(other.drained().await, Some(0));

    zombie.signal(Signal::CONT);
    assert_eq!(zombie.drained().await, Some(0));
    let late = space.drained().await;
    assert_eq!((late.dead, late.head.to_dead, late.head.acked), (1, 1, stats.head.acked));
}
