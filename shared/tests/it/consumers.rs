//! What workers do with a queue: `queue`, `take`, `recover`, `hand_back`, `trim`, `beat`, `reap`.

use std::time::Duration;

use tollgate::failure::Failure;
use tollgate::fetch::Take;
use tollgate::ids::QueueName;
use tollgate::scripts::park::Destination;
use tollgate::scripts::queue::{QueueStatus, queue};
use tollgate::scripts::reap::{Reaped, reap};
use tollgate::scripts::recover::{Company, HeldRow, Recovery, Rows, recover};
use tollgate::scripts::settle::Answer;
use tollgate::scripts::stats::QueueProblem;
use tollgate::scripts::{ScriptError, beat, dead, hand_back};

use crate::space::*;

const NOW: Duration = Duration::ZERO;
const LONG: Duration = Duration::from_secs(3_600);

/// As many jobs, of as many customers.
fn jobs(count: usize) -> Vec<tollgate::job::Job> {
    (0..count).map(|n| fresh(redeem("c", &format!("u{n}"), 1))).collect()
}

/// What a worker finds of its own.
async fn own(s: &mut Space, worker: &str, held: &[HeldRow]) -> Rows {
    let (keys, name) = (s.keys.clone(), s.queue.clone());
    recover(&mut s.link, &keys, &name, worker, Recovery::Own, Company::Others, held).await.unwrap()
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
async fn a_take_is_noted_as_one_row_and_a_paused_queue_gives_nothing() {
    let mut space = Space::new().await;
    let s = &mut space;
    s.enqueue(&jobs(5)).await;
    assert_eq!(s.fetch("w", 3).await.len(), 3);
    let row = s.dump().await.hash("in_flight:default").into_iter().next().unwrap();
    assert!(row.0 == "0-0" && row.1.split('\t').nth(5) == Some("3"), "{row:?}");
    let stats = s.stats().await;
    assert_eq!((stats.queues[0].waiting, stats.queues[0].in_flight), (2, 3));
    let name = s.queue.clone();
    queue(&mut s.link, &s.keys, &name, Some(QueueStatus::Paused)).await.unwrap();
    assert_eq!(s.fetch("w", 9).await, []);
    assert_eq!(s.stats().await.queues[0].waiting, 2, "the read is undone");
    queue(&mut s.link, &s.keys, &name, Some(QueueStatus::Active)).await.unwrap();
    assert_eq!(s.fetch("w", 9).await.len(), 2);
    assert_eq!(s.fetch("w", 9).await, []);
}

/// Somebody else reads the group, moves it, deletes it, and the scripts are forgotten: every job is taken once.
#[tokio::test]
async fn whoever_moves_the_group_moves_no_job() {
    let redis = crate::harness::servers::private(&[]);
    let mut space = Space::on(crate::harness::servers::open(&redis)).await;
    let s = &mut space;
    s.enqueue(&jobs(60)).await;
    let stream = s.keys.queue(&s.queue);
    let mut taken = Vec::new();
    let mischief: [&[&str]; 6] = [
        &["XREADGROUP", "GROUP", "cursor", "hand", "COUNT", "3", "NOACK", "STREAMS", &stream, ">"],
        &["XGROUP", "SETID", &stream, "cursor", "0"],
        &["XGROUP", "SETID", &stream, "cursor", "$"],
        &["XGROUP", "DESTROY", &stream, "cursor"],
        &["SCRIPT", "FLUSH"],
        &["XREADGROUP", "GROUP", "cursor", "hand", "COUNT", "3", "STREAMS", &stream, ">"],
    ];
    for round in 0..30 {
        let words: Vec<&str> = mischief[round % 6].to_vec();
        s.link.run(&crate::harness::cmd(&words)).await.ok();
        taken.extend(s.take("w", 7).await.into_iter().map(|delivered| delivered.entry));
        s.stats().await;
    }
    let mut once = taken.clone();
    once.sort();
    once.dedup();
    assert_eq!((taken.len(), once.len()), (60, 60));
}

/// A script that is loaded by one command and called by the next is gone again by then.
#[tokio::test(flavor = "multi_thread")]
async fn no_call_fails_while_the_scripts_are_flushed_all_the_time() {
    let redis = crate::harness::servers::private(&[]);
    let mut flusher = crate::harness::servers::open(&redis).link().await.unwrap();
    let flushes = tokio::spawn(async move {
        loop {
            flusher.run(&crate::harness::cmd(&["SCRIPT", "FLUSH"])).await.unwrap();
        }
    });
    let mut space = Space::on(crate::harness::servers::open(&redis)).await;
    for _ in 0..30 {
        space.enqueue(&jobs(2)).await;
        assert_eq!(space.take("w", 2).await.len(), 2);
        assert_eq!(space.stats().await.queues[0].waiting, 0);
    }
    flushes.abort();
}

#[tokio::test]
async fn a_transaction_that_is_refused_takes_nothing() {
    let redis = crate::harness::servers::private(&[]);
    let mut space = Space::on(crate::harness::servers::open(&redis)).await;
    let s = &mut space;
    s.enqueue(&jobs(3)).await;
    s.run(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let (keys, name) = (s.keys.clone(), s.queue.clone());
    let refused = Take::new(&keys, &name, "w", 9).run(&mut s.link).await.unwrap_err();
    assert!(matches!(&refused, ScriptError::Failure(failure) if failure.is_oom()), "{refused}");
    s.run(&["CONFIG", "SET", "maxmemory", "0"]).await;
    assert_eq!(s.stats().await.queues[0].waiting, 3);
    assert_eq!(s.fetch("w", 9).await.len(), 3);
}

#[tokio::test]
async fn what_others_held_too_long_is_taken_over_and_their_token_is_worth_nothing() {
    let mut space = Space::new().await;
    let s = &mut space;
    s.make(create("c", 9)).await;
    let entries = s.deliver("dead", &jobs(5)).await;
    let as_dead = s.known();
    assert!(s.take_over("heir", LONG, Company::Others).await.is_none(), "held for a moment only");
    assert!(s.take_over("dead", NOW, Company::Others).await.is_none(), "its own");
    let (row, taken) = s.take_over("heir", NOW, Company::Others).await.unwrap();
    assert_eq!((row.deliveries, &taken), (2, &entries));
    assert!(s.take_over("heir", NOW, Company::Others).await.is_none());
    let by_heir = s.settle_entries(&taken[..1]).await.answers[0];
    let Answer::Decided { code, seq } = by_heir else { panic!("{by_heir:?}") };
    // The one that was thought dead comes back with all five.
    s.know_again(&as_dead);
    let late = s.settle_entries(&entries).await.answers;
    let mut expected = vec![Answer::NotOwner; 5];
    expected[0] = Answer::Replayed { code, seq };
    assert_eq!(late, expected);
    let stats = s.stats().await;
    assert_eq!((stats.head.acked, stats.head.replayed, stats.queues[0].in_flight), (1, 0, 4));
    assert_eq!(s.dump().await.hash("campaign:c")["issued"], "1");
}

/// What an operator gave up while a worker stood still stays given up.
#[tokio::test]
async fn a_discarded_job_is_not_executed_by_a_stale_worker() {
    let mut space = Space::new().await;
    let s = &mut space;
    s.make(create("c", 9)).await;
    let entries = s.deliver("stale", &jobs(2)).await;
    let as_stale = s.known();
    let (_, taken) = s.take_over("heir", NOW, Company::Others).await.unwrap();
    s.park(&taken[0], Destination::Dead(tollgate::code::Code::WorkerLost)).await.unwrap();
    let ids = [entries[0].1.id.clone()];
    assert_eq!(dead::discard(&mut s.link, &s.keys, &ids).await.unwrap(), [dead::DeadResult::Discarded]);
    s.know_again(&as_stale);
    assert_eq!(s.settle_entries(&entries).await.answers, [Answer::NotOwner; 2]);
    assert_eq!(s.dump().await.hash("campaign:c")["issued"], "0");
    assert_eq!(s.stats().await.queues[0].in_flight, 1);
}

#[tokio::test]
async fn what_a_reply_did_not_bring_is_found_and_not_counted_as_delivered() {
    let mut space = Space::new().await;
    let s = &mut space;
    let entries = s.deliver("w", &jobs(4)).await;
    let found = own(s, "w", &[]).await.rows;
    assert_eq!((found.len(), found[0].deliveries, found[0].was_taken_over), (1, 1, false));
    let (keys, name) = (s.keys.clone(), s.queue.clone());
    let page = async |s: &mut Space, after: Option<&str>| {
        let read = tollgate::fetch::read_row(&mut s.link, &keys, &name, &found[0], after, 3).await.unwrap();
        read.into_iter().map(|delivered| delivered.entry).collect::<Vec<_>>()
    };
    let names: Vec<String> = entries.iter().map(|(entry, _)| entry.clone()).collect();
    assert_eq!(page(s, None).await, names[..3]);
    assert_eq!(page(s, Some(&names[2])).await, names[3..]);
    // What it works on is kept from others; what it does not is not.
    let token = found[0].row.token.clone();
    let in_flight = s.keys.in_flight(&s.queue);
    let taken_at = async |s: &mut Space| {
        let row = s.text(&["HGET", &in_flight, "0-0"]).await.unwrap();
        row.split('\t').nth(2).unwrap().parse::<u64>().unwrap()
    };
    let before = taken_at(s).await;
    crate::harness::until("time to pass", async || (s.now_ms().await > before + 5).then_some(())).await;
    assert!(own(s, "w", &[HeldRow { token: token.clone(), is_alive: false }]).await.rows.is_empty());
    assert_eq!(taken_at(s).await, before);
    assert!(own(s, "w", &[HeldRow { token, is_alive: true }]).await.rows.is_empty());
    assert!(taken_at(s).await > before);
    assert!(own(s, "nobody", &[]).await.rows.is_empty());
}

/// Two workers are lost with a row of three; then each entry is taken over by itself, by one that is alone.
#[tokio::test]
async fn a_row_that_cost_two_workers_is_split_and_each_entry_goes_alone() {
    let mut space = Space::new().await;
    let s = &mut space;
    s.make(create("c", 9)).await;
    let entries = s.deliver("first", &jobs(3)).await;
    assert_eq!(s.take_over("second", NOW, Company::Others).await.unwrap().0.deliveries, 2);
    assert!(s.take_over("third", NOW, Company::Others).await.is_none(), "not beside others");
    for (n, deliveries) in [(0, 3), (0, 4), (0, 5)] {
        let (row, taken) = s.take_over(&format!("killed{n}{deliveries}"), NOW, Company::Alone).await.unwrap();
        assert_eq!((row.deliveries, &taken[..]), (deliveries, &entries[..1]));
        s.stats().await;
    }
    // Alone with three that died: for dead, and no reason to be alone.
    let (lost, taken) = s.take_over("heir", NOW, Company::Others).await.unwrap();
    assert_eq!((lost.deliveries, taken.len()), (6, 1));
    s.park(&taken[0], Destination::Dead(tollgate::code::Code::WorkerLost)).await.unwrap();
    for entry in &entries[1..] {
        let (row, taken) = s.take_over("heir", NOW, Company::Alone).await.unwrap();
        assert_eq!((row.deliveries, &taken[..]), (3, std::slice::from_ref(entry)));
        s.settle_entries(&taken).await;
    }
    assert!(s.take_over("heir", NOW, Company::Alone).await.is_none());
    let stats = s.stats().await;
    assert_eq!((stats.dead, stats.queues[0].in_flight, stats.head.seq), (1, 0, 3));
}

#[tokio::test]
async fn a_row_that_is_handed_back_is_free_and_keeps_no_count_of_it() {
    let mut space = Space::new().await;
    let s = &mut space;
    s.deliver("old", &jobs(2)).await;
    for restart in 0..9 {
        let (keys, name) = (s.keys.clone(), s.queue.clone());
        let holder = if restart == 0 { "old".to_owned() } else { format!("w{restart}") };
        assert_eq!(hand_back::hand_back(&mut s.link, &keys, &name, &holder).await.unwrap(), 1);
        let (row, taken) = s.take_over(&format!("w{}", restart + 1), LONG, Company::Others).await.unwrap();
        assert_eq!((row.deliveries, taken.len()), (1, 2));
    }
}

/// After the server's clock went back, what a dead worker holds would be young for as long.
#[tokio::test]
async fn what_was_taken_in_the_future_is_taken_over() {
    let mut space = Space::new().await;
    let s = &mut space;
    s.deliver("dead", &jobs(3)).await;
    let in_flight = s.keys.in_flight(&s.queue);
    let row = s.text(&["HGET", &in_flight, "0-0"]).await.unwrap();
    let mut words: Vec<String> = row.split('\t').map(str::to_owned).collect();
    for (ahead_ms, is_stale) in [(500, false), (7_200_000, true)] {
        words[2] = (s.now_ms().await + ahead_ms).to_string();
        s.run(&["HSET", &in_flight, "0-0", &words.join("\t")]).await;
        assert_eq!(s.take_over("heir", LONG, Company::Others).await.is_some(), is_stale, "{ahead_ms}");
    }
}

#[tokio::test]
async fn a_group_that_is_gone_is_made_again_where_it_was_and_another_stream_is_named() {
    let mut space = Space::new().await;
    let s = &mut space;
    s.make(create("c", 99)).await;
    let entries = s.deliver("w", &jobs(3)).await;
    s.enqueue(&jobs(2)).await;
    let stream = s.keys.queue(&s.queue);
    s.run(&["XGROUP", "DESTROY", &stream, "cursor"]).await;
    assert_eq!(s.stats().await.queues[0].problem, None);
    assert_eq!(s.fetch("w", 9).await.len(), 2);
    s.settle_entries(&entries).await;
    // Another stream, of more entries than had been taken: they are not the ones that were counted.
    s.run(&["DEL", &stream]).await;
    s.enqueue(&jobs(9)).await;
    let (keys, name) = (s.keys.clone(), s.queue.clone());
    let refused = Take::new(&keys, &name, "w", 9).run(&mut s.link).await.unwrap_err();
    assert_eq!(refused, ScriptError::QueueLost { queue: name.clone(), problem: QueueProblem::Replaced });
}

#[tokio::test]
async fn only_a_silent_worker_is_reaped() {
    let mut space = Space::new().await;
    let s = &mut space;
    let (minute, keys) = (Duration::from_secs(60), s.keys.clone());
    let at_ms = beat::beat(&mut s.link, &keys, "w", "{}").await.unwrap().at_ms;
    let row = s.dump().await.hash("workers")["w"].clone();
    assert_eq!(row, format!("{at_ms}\t{{}}"));
    assert_eq!(reap(&mut s.link, &keys, "w", minute).await.unwrap(), Reaped::Alive);
    let workers = keys.workers();
    s.run(&["HSET", &workers, "w", "1000\t{}"]).await;
    for _ in 0..2 {
        assert_eq!(reap(&mut s.link, &keys, "w", minute).await.unwrap(), Reaped::Gone);
    }
    assert!(s.dump().await.hash("workers").is_empty());
    beat::beat(&mut s.link, &keys, "w", "{}").await.unwrap();
    assert_eq!(reap(&mut s.link, &keys, "w", NOW).await.unwrap(), Reaped::Gone, "it says so of itself");
}

#[tokio::test]
async fn a_beat_from_before_the_clock_went_back_is_no_sign_of_life() {
    let mut space = Space::new().await;
    let s = &mut space;
    let (workers, minute) = (s.keys.workers(), Duration::from_secs(60));
    for (ahead_ms, reaped) in [(30_000, Reaped::Alive), (7_200_000, Reaped::Gone)] {
        let at_ms = s.now_ms().await + ahead_ms;
        s.run(&["HSET", &workers, "w", &format!("{at_ms}\t{{}}")]).await;
        assert_eq!(reap(&mut s.link, &s.keys, "w", minute).await.unwrap(), reaped, "{ahead_ms}");
    }
}

#[tokio::test]
async fn a_reply_that_is_lost_leaves_a_row_that_is_found() {
    let mut space = Space::new().await;
    let s = &mut space;
    s.enqueue(&jobs(3)).await;
    let (keys, name) = (s.keys.clone(), s.queue.clone());
    let take = Take::new(&keys, &name, "w", 9);
    let token = take.token().to_owned();
    take.run(&mut s.link).await.unwrap();
    assert_eq!(own(s, "w", &[]).await.rows[0].row.token, token);
    let failure = Failure::unknown("lost");
    assert!(failure.may_have_happened());
}
