//! How a worker ends.

use rustix::process::Signal;

use crate::harness::{Space, redemptions, shared, until};

#[tokio::test]
async fn sigterm_under_load_settles_what_is_in_hand_and_leaves_the_rest_waiting() {
    let space = Space::on(shared()).await;
    space.enqueue(&redemptions("j", 30_000)).await;
    let mut worker = space.worker(&["--batch", "2"]);
    until("some settled jobs", async || (space.stats().await.head.seq > 500).then_some(())).await;
    assert_eq!(worker.drained().await, Some(0));
    let stats = space.stats().await;
    assert_eq!(Space::in_flight(&stats), 0, "{stats:?}");
    assert!(Space::waiting(&stats) > 0, "the test was too slow to see a drain under load");
    let (accepted, accounted) = stats.conservation();
    assert_eq!(accepted, accounted);
    assert_eq!(stats.head.replayed, 0, "nothing was settled twice");
    let workers = space.bytes(&["HKEYS", &space.keys().workers()]).await;
    assert_eq!(String::from_utf8_lossy(&workers), "", "it took its name off the list");
}

#[tokio::test]
async fn sigint_ends_an_idle_worker() {
    let space = Space::on(shared()).await;
    let mut worker = space.worker(&[]);
    worker.says("ready").await;
    worker.signal(Signal::INT);
    assert_eq!(worker.ended().await.code(), Some(0));
    worker.says("drained").await;
}

#[tokio::test]
async fn sigtstp_stops_fetching_but_not_beating() {
    let space = Space::on(shared()).await;
    let mut worker = space.worker(&[]);
    worker.says("ready").await;
    worker.signal(Signal::TSTP);
    worker.says("quiet").await;
    let quiet_beat_after = async |at_ms: u64| {
        until("a beat that says so", async || {
            let mut link = space.tollgate.server().link().await.unwrap();
            let beats = tollgate::workers::beats(&mut link, space.keys()).await.unwrap();
            let quiet = beats.into_iter().find(|beat| !beat.description.as_ref().unwrap().fetching);
            quiet.map(|beat| beat.at_ms).filter(|beat_ms| *beat_ms > at_ms)
        })
        .await
    };
    // A beat comes every second and a read takes half of one: after two beats the last read is over.
    let first_ms = quiet_beat_after(0).await;
    let second_ms = quiet_beat_after(first_ms).await;
    space.enqueue(&redemptions("j", 10)).await;
    quiet_beat_after(second_ms).await;
    assert_eq!(Space::waiting(&space.stats().await), 10);
    assert_eq!(worker.drained().await, Some(0));
    let _other = space.worker(&[]);
    space.drained().await;
}

#[tokio::test]
async fn no_common_signal_kills_a_worker_without_a_drain() {
    let space = Space::on(shared()).await;
    let mut worker = space.worker(&[]);
    worker.says("ready").await;
    for (signal, words) in [
        (Signal::HUP, "SIGHUP: "),
        (Signal::USR1, "status: ready"),
        (Signal::USR2, "status: ready"),
        (Signal::PIPE, ""),
    ] {
        worker.signal(signal);
        worker.says(words).await;
    }
    space.enqueue(&redemptions("j", 10)).await;
    space.drained().await;
    worker.signal(Signal::QUIT);
    assert_eq!(worker.ended().await.code(), Some(0));
    worker.says("drained").await;
}

#[cfg(feature = "failpoints")]
#[tokio::test]
async fn a_second_signal_or_the_drain_timeout_ends_and_leaves_the_entries_to_others() {
    let space = Space::on(shared()).await;
    space.enqueue(&redemptions("j", 10)).await;
    let mut hung = space.worker_with(&[], "before_settle:hang");
    until("entries in flight", async || (Space::in_flight(&space.stats().await) == 10).then_some(())).await;
    hung.signal(Signal::TERM);
    hung.says("draining").await;
    assert!(hung.is_running());
    hung.signal(Signal::TERM);
    assert_eq!(hung.ended().await.code(), Some(0));
    hung.says("second signal").await;
    hung.says("entries=10").await;
    hung.says("handed back").await;
    assert_eq!(Space::in_flight(&space.stats().await), 10);

    // At once, however long a claim takes; and it counts as no delivery.
    let mut hung = space.worker_with(&["--claim-idle", "10m"], "before_settle:hang");
    hung.says("took over").await;
    hung.says("deliveries=1").await;
    hung.signal(Signal::TERM);
    hung.says("draining").await;
    hung.signal(Signal::TERM);
    assert_eq!(hung.ended().await.code(), Some(0));

    let mut hung = space.worker_with(&["--drain-timeout", "100ms"], "before_settle:hang");
    hung.says("took over").await;
    assert_eq!(hung.drained().await, Some(0));
    hung.says("the drain timeout is over").await;

    let _worker = space.worker(&[]);
    space.drained().await;
    assert_eq!(space.issued().await, 10);
}
