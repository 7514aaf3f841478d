//! What consumers do with a queue: `queue`, `claim`, `pending`, `beat`, `reap`.

use std::time::Duration;

use tollgate::ids::QueueName;
use tollgate::scripts::claim::{Holder, Redelivered, claim, claim_from};
use tollgate::scripts::pending::pending;
use tollgate::scripts::queue::{QueueStatus, queue};
use tollgate::scripts::reap::{Reaped, reap};
use tollgate::scripts::stats::QueueProblem;
use tollgate::scripts::{ScriptError, beat};

use crate::space::*;

const NOW: Duration = Duration::ZERO;

async fn claims(s: &mut Space, consumer: &str, idle: Duration, count: usize) -> Vec<Redelivered> {
    claim(&mut s.link, &s.keys, &s.queue, consumer, idle, count).await.unwrap()
}

#[tokio::test]
async fn a_queue_is_opened_once_and_keeps_its_status() {
    let mut space = Space::new().await;
    let s = &mut space;
    let name = QueueName::parse("slow").unwrap();
    // Jobs that were sent before the queue was opened are jobs.
    s.queue = name.clone();
    s.enqueue(&[fresh(redeem("c", "u", 1))]).await;
    let mut statuses = Vec::new();
    for asked in [None, None, Some(QueueStatus::Paused), None, Some(QueueStatus::Active)] {
        statuses.push(queue(&mut s.link, &s.keys, &name, asked).await.unwrap().name());
    }
    assert_eq!(statuses, ["active", "active", "paused", "paused", "active"]);
    assert_eq!(s.queues().await, [QueueName::default(), name.clone()]);
    assert_eq!(s.stats().await.queues[1].waiting, 1);
    assert_eq!(s.fetch("w", 9).await.len(), 1);
    let stream = s.keys.queue(&name);
    s.run(&["SET", &stream, "text"]).await;
    let refused = queue(&mut s.link, &s.keys, &name, None).await.unwrap_err();
    assert_eq!(refused, ScriptError::QueueLost { queue: name.clone(), problem: QueueProblem::WrongType });
    let head = s.keys.head();
    s.run(&["DEL", &head]).await;
    let refused = queue(&mut s.link, &s.keys, &name, None).await.unwrap_err();
    assert_eq!(refused, ScriptError::Uninitialised);
}

#[tokio::test]
async fn a_claim_takes_what_others_held_too_long_and_counts_it() {
    let mut space = Space::new().await;
    let s = &mut space;
    let jobs: Vec<_> = (0..5).map(|i| fresh(redeem("c", &format!("u{i}"), 1))).collect();
    let entries = s.deliver("dead", &jobs).await;
    let long = Duration::from_secs(3600);
    assert!(claims(s, "heir", long, 10).await.is_empty(), "held for a moment only");
    assert!(claims(s, "dead", NOW, 10).await.is_empty(), "its own");
    let first = claims(s, "heir", NOW, 2).await;
    let expected: Vec<_> = entries
        .iter()
        .map(|(entry, job)| Redelivered { entry: entry.clone(), deliveries: 1, job: job.encode().into() })
        .collect();
    assert_eq!(first, expected[..2]);
    // The heir's own lie in front and are passed over.
    assert_eq!(claims(s, "heir", NOW, 2).await, expected[2..4]);
    assert_eq!(claims(s, "heir", NOW, 2).await, expected[4..]);
    assert!(claims(s, "heir", NOW, 2).await.is_empty());
    // Delivered twice, they are suspects: each is claimed by itself.
    for entry in &expected {
        let alone = Redelivered { deliveries: 2, ..entry.clone() };
        assert_eq!(claims(s, "third", NOW, 10).await, [alone]);
    }
    // An entry without a job field is claimed like any other, and before the suspects: it is poison, not invisible.
    let stream = s.keys.queue(&s.queue);
    s.run(&["XADD", &stream, "*", "other", "x", "job", "{1", "job", "{2"]).await;
    s.run(&["XADD", &stream, "*", "other", "x"]).await;
    s.run(&["XREADGROUP", "GROUP", "workers", "fourth", "STREAMS", &stream, ">"]).await;
    let odd: Vec<_> = claims(s, "fifth", NOW, 10).await.into_iter().map(|entry| entry.job).collect();
    assert_eq!(odd, [&b"{1"[..], b"no field \"job\": other x"]);
    let held = pending(&mut s.link, &s.keys, &s.queue, "fifth", None, 10).await.unwrap();
    assert_eq!(held.iter().map(|entry| entry.job.clone()).collect::<Vec<_>>(), odd);
    s.stats().await;
}

#[tokio::test]
async fn pending_reads_in_pages_without_counting() {
    let mut space = Space::new().await;
    let s = &mut space;
    let jobs: Vec<_> = (0..5).map(|i| fresh(redeem("c", &format!("u{i}"), 1))).collect();
    let entries = s.deliver("w", &jobs).await;
    let before = s.dump().await;
    let mut seen = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = pending(&mut s.link, &s.keys, &s.queue, "w", after.as_deref(), 2).await.unwrap();
        assert!(page.iter().all(|entry| entry.deliveries == 1));
        let Some(last) = page.last() else { break };
        after = Some(last.entry.clone());
        seen.extend(page.into_iter().map(|entry| entry.entry));
    }
    assert_eq!(seen, entries.iter().map(|(entry, _)| entry.clone()).collect::<Vec<_>>());
    assert!(pending(&mut s.link, &s.keys, &s.queue, "nobody", None, 2).await.unwrap().is_empty());
    assert!(before.changed(&s.dump().await).is_empty());
    let stream = s.keys.queue(&s.queue);
    s.run(&["XGROUP", "DESTROY", &stream, "workers"]).await;
    let refused = pending(&mut s.link, &s.keys, &s.queue, "w", None, 2).await.unwrap_err();
    assert!(matches!(refused, ScriptError::CorruptPartition(_)), "{refused}");
    let refused = claim(&mut s.link, &s.keys, &s.queue, "w", NOW, 2).await.unwrap_err();
    assert!(matches!(refused, ScriptError::CorruptPartition(_)), "{refused}");
}

#[tokio::test]
async fn a_duplicate_delivery_settles_once() {
    let mut space = Space::new().await;
    let s = &mut space;
    s.make(create("c", 9)).await;
    let entries = s.deliver("slow", &[fresh(redeem("c", "u", 1))]).await;
    assert_eq!(claims(s, "heir", NOW, 1).await.len(), 1);
    let by_heir = s.settle_entries(&entries).await.answers[0];
    let by_zombie = s.settle_entries(&entries).await.answers[0];
    use tollgate::scripts::settle::Answer::{Decided, Replayed};
    let Decided { code, seq } = by_heir else { panic!("{by_heir:?}") };
    assert_eq!(by_zombie, Replayed { code, seq });
    let stats = s.stats().await;
    assert_eq!((stats.head.acked, stats.head.replayed), (1, 1), "the zombie acknowledged nothing");
    assert_eq!(s.dump().await.hash("campaign:c")["issued"], "1");
}

#[tokio::test]
async fn only_a_silent_consumer_that_holds_nothing_is_reaped() {
    let mut space = Space::new().await;
    let s = &mut space;
    let other = QueueName::parse("other").unwrap();
    queue(&mut s.link, &s.keys, &other, None).await.unwrap();
    let queues = s.queues().await;
    s.make(create("c", 9)).await;
    let entries = s.deliver("w", &[fresh(redeem("c", "u", 1))]).await;
    let (minute, keys) = (Duration::from_secs(60), s.keys.clone());
    let at_ms = beat::beat(&mut s.link, &keys, "w", "{}").await.unwrap();
    let row = s.dump().await.hash("workers")["w"].clone();
    assert_eq!(row, format!("{at_ms}\t{{}}"));
    let mut tries = Vec::new();
    tries.push(reap(&mut s.link, &keys, &queues, "w", minute).await.unwrap());
    tries.push(reap(&mut s.link, &keys, &queues, "w", NOW).await.unwrap());
    let before = s.dump().await;
    let stale = reap(&mut s.link, &keys, &queues[..1], "w", NOW).await.unwrap_err();
    assert_eq!(stale, ScriptError::StaleKeys);
    assert!(before.changed(&s.dump().await).is_empty());
    s.settle_entries(&entries).await;
    let workers = keys.workers();
    s.run(&["HSET", &workers, "w", "1000\t{}"]).await;
    tries.push(reap(&mut s.link, &keys, &queues, "w", minute).await.unwrap());
    tries.push(reap(&mut s.link, &keys, &queues, "w", minute).await.unwrap());
    assert_eq!(tries, [Reaped::Alive, Reaped::Holding, Reaped::Gone, Reaped::Gone]);
    let stream = keys.queue(&s.queue);
    assert_eq!(s.number(&["XGROUP", "CREATECONSUMER", &stream, "workers", "w"]).await, 1, "it was removed");
    assert!(s.dump().await.hash("workers").is_empty());
}

/// After the server's clock went back, what a dead worker holds is young for as long: then its silence counts, as the
/// caller watched it.
#[tokio::test]
async fn what_a_silent_worker_holds_is_claimed_however_young_the_clock_says_it_is() {
    const LONG: Duration = Duration::from_secs(7_200);
    let mut space = Space::new().await;
    let s = &mut space;
    let jobs: Vec<_> = (0..3).map(|i| fresh(redeem("c", &format!("u{i}"), 1))).collect();
    s.deliver("dead", &jobs).await;
    let beat_at = beat::beat(&mut s.link, &s.keys, "dead", "{}").await.unwrap();
    let none = claim_from(&mut s.link, &s.keys, &s.queue, "heir", LONG, 9, &[]).await.unwrap();
    let dead = Holder { consumer: "dead".to_owned(), beat: beat_at.to_string() };
    assert_eq!((none.entries.len(), none.holders), (0, vec![dead.clone()]), "it is told who holds what");
    // Another beat, whichever time it tells: it lives.
    let lives = Holder { beat: (beat_at + 7_200_000).to_string(), ..dead.clone() };
    let none = claim_from(&mut s.link, &s.keys, &s.queue, "heir", LONG, 9, &[lives]).await.unwrap();
    assert_eq!(none.entries.len(), 0);
    let taken = claim_from(&mut s.link, &s.keys, &s.queue, "heir", LONG, 9, std::slice::from_ref(&dead))
        .await
        .unwrap();
    assert_eq!(taken.entries.len(), 3);
    let again = claim_from(&mut s.link, &s.keys, &s.queue, "other", LONG, 9, &[dead]).await.unwrap();
    assert_eq!((again.entries.len(), again.holders[0].consumer.as_str()), (0, "heir"));
}

#[tokio::test]
async fn a_beat_from_before_the_clock_went_back_is_no_sign_of_life() {
    let mut space = Space::new().await;
    let s = &mut space;
    let names = s.queues().await;
    let (workers, minute) = (s.keys.workers(), Duration::from_secs(60));
    for (ahead_ms, reaped) in [(30_000, Reaped::Alive), (7_200_000, Reaped::Gone)] {
        let at_ms = s.now_ms().await + ahead_ms;
        s.run(&["HSET", &workers, "w", &format!("{at_ms}\t{{}}")]).await;
        assert_eq!(reap(&mut s.link, &s.keys, &names, "w", minute).await.unwrap(), reaped, "{ahead_ms}");
    }
}
