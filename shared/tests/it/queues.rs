//! Queues from the outside: every stream is seen, whoever made it, and what was lost of one is named and counted.

use std::collections::BTreeSet;

use tollgate::ids::QueueName;
use tollgate::scripts::integrity::integrity;
use tollgate::scripts::queue::{Apply, QueueStatus, Repair, queue, repair};
use tollgate::scripts::recover::Company;
use tollgate::scripts::stats::{self, PartitionStats, QueueProblem, QueueStats, StreamIds};
use tollgate::scripts::{ScriptError, promote, receipts_drop, survey};

use crate::harness::servers;
use crate::space::*;

const HIGHEST: &str = "18446744073709551615-18446744073709551615";

async fn stats_of(s: &mut Space) -> PartitionStats {
    stats::read(&mut s.link, &s.keys).await.unwrap()
}

async fn ours(s: &mut Space) -> QueueStats {
    let name = s.queue.clone();
    stats_of(s).await.queues.into_iter().find(|queue| queue.name == name).unwrap()
}

/// Jobs of as many customers.
fn jobs(count: usize) -> Vec<tollgate::job::Job> {
    (0..count).map(|n| fresh(redeem("c", &format!("u{n}"), 1))).collect()
}

/// What the audit says of the queue, in one text.
async fn audited(s: &mut Space) -> String {
    let report = tollgate_audit::audit(&s.tollgate, &[], &|_| {}).await.unwrap();
    let of_queue = report.violations.iter().filter(|violation| violation.resource.starts_with("queue:"));
    of_queue.map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn a_queue_that_no_worker_has_heard_of_is_in_the_stats() {
    let mut space = Space::new().await;
    let s = &mut space;
    s.queue = QueueName::parse("defualt").unwrap();
    s.enqueue(&jobs(3)).await;
    let row = ours(s).await;
    assert_eq!((row.status, row.waiting, row.problem), (QueueStatus::Unopened, 3, None));
    assert!(row.oldest_at_ms.is_some() && stats_of(s).await.is_conserved());
    // A name that no queue can have is nobody's, and hides nothing.
    let registered = s.keys.registered();
    s.run(&["SADD", &registered, "a b", "{x}", &"x".repeat(65)]).await;
    assert_eq!(ours(s).await.waiting, 3);
}

#[tokio::test]
async fn the_receipts_floor_does_not_pass_what_waits_in_a_queue_that_nobody_opened() {
    let mut space = Space::new().await;
    let s = &mut space;
    let floor = s.set_floor(-400).await;
    s.queue = QueueName::parse("defualt").unwrap();
    let registered = s.keys.registered();
    s.run(&["SADD", &registered, "defualt"]).await;
    let (stream, hour_ms) = (s.keys.queue(&s.queue), 3_600_000);
    let added = format!("{}-0", s.now_ms().await - 200 * hour_ms);
    s.run(&["XADD", &stream, &added, "job", "{}"]).await;
    let names = s.queues().await;
    let raised =
        receipts_drop::receipts_drop(&mut s.link, &s.keys, &names, floor, receipts_drop::Pace::ByHand, 1_000)
            .await
            .unwrap()
            .unwrap();
    let now_hour = s.now_ms().await / hour_ms;
    assert_eq!(
        raised.floor_hour,
        now_hour - 200 - 168,
        "the entry is 200 hours old, the retention is a week"
    );
}

/// What a deletion of something of a queue is called, whatever had been settled by then.
#[tokio::test]
async fn whatever_is_deleted_of_a_queue_is_named_counted_and_made_again_by_a_repair_alone() {
    for settled in [0, 4] {
        for problem in
            [QueueProblem::NoStream, QueueProblem::Rows, QueueProblem::Replaced, QueueProblem::Unlisted]
        {
            let mut space = Space::new().await;
            let s = &mut space;
            s.make(create("c", 100)).await;
            s.enqueue(&jobs(10)).await;
            if settled > 0 {
                let entries = s.fetch("w", settled).await;
                s.settle_entries(&entries).await;
            }
            survey::read(&mut s.link, &s.keys).await.unwrap();
            let (stream, queues) = (s.keys.queue(&s.queue), s.keys.queues());
            match problem {
                QueueProblem::Rows => {
                    let rows = s.keys.in_flight(&s.queue);
                    s.run(&["HSET", &rows, "1-0", "damaged"]).await
                }
                QueueProblem::Unlisted => s.run(&["DEL", &queues]).await,
                _ => s.run(&["DEL", &stream]).await,
            };
            if problem == QueueProblem::Replaced {
                s.enqueue(&jobs(2)).await;
                s.run(&["XGROUP", "CREATE", &stream, "cursor", "0"]).await;
            }
            let what = format!("{problem:?} after {settled}");
            let gone = if matches!(problem, QueueProblem::NoStream | QueueProblem::Replaced) {
                10 - settled
            } else {
                0
            };
            let row = ours(s).await;
            assert_eq!((row.problem, row.lost), (Some(problem), gone as u64), "{what}");
            // Looking again changes nothing, and nobody makes it again unasked.
            survey::read(&mut s.link, &s.keys).await.unwrap();
            let name = s.queue.clone();
            for asked in [None, Some(QueueStatus::Active)] {
                let refused = queue(&mut s.link, &s.keys, &name, asked).await.unwrap_err();
                assert_eq!(refused, ScriptError::QueueLost { queue: name.clone(), problem }, "{what}");
            }
            assert_eq!(ours(s).await.problem, Some(problem), "{what}");
            let told = audited(s).await;
            assert!(told.contains(&problem.to_string()) && told.contains("queue:default"), "{what}: {told}");

            let planned = repair(&mut s.link, &s.keys, &name, Apply::DryRun).await.unwrap();
            assert_eq!(ours(s).await.problem, Some(problem), "{what}: a dry run changes nothing");
            let repaired = repair(&mut s.link, &s.keys, &name, Apply::Yes).await.unwrap();
            assert_eq!(repaired, planned, "{what}");
            assert!(
                matches!(repaired, Repair::Repaired { lost, .. } if lost == gone as u64),
                "{what}: {repaired:?}"
            );
            assert_eq!(
                repair(&mut s.link, &s.keys, &name, Apply::Yes).await.unwrap(),
                Repair::Intact,
                "{what}"
            );
            let after = s.stats().await;
            assert_eq!((after.queues[0].problem, after.head.lost), (None, gone as u64), "{what}");
            // What is left is settled, once.
            s.enqueue(&jobs(1)).await;
            loop {
                let entries = s.fetch("heir", 100).await;
                if entries.is_empty() {
                    break;
                }
                s.settle_entries(&entries).await;
            }
            let after = s.stats().await;
            assert_eq!((after.queues[0].waiting, after.queues[0].in_flight), (0, 0), "{what}");
            assert_eq!(audited(s).await, "", "{what}");
        }
    }
}

#[tokio::test]
async fn a_stream_that_was_deleted_before_anyone_opened_its_queue_is_missed() {
    let mut space = Space::new().await;
    let s = &mut space;
    s.queue = QueueName::parse("mail").unwrap();
    s.enqueue(&jobs(5)).await;
    survey::read(&mut s.link, &s.keys).await.unwrap();
    let stream = s.keys.queue(&s.queue);
    s.run(&["DEL", &stream]).await;
    let row = ours(s).await;
    assert_eq!((row.problem, row.lost), (Some(QueueProblem::NoStream), 5));
}

#[tokio::test]
async fn what_a_worker_had_in_hand_during_a_repair_is_settled_once() {
    let mut space = Space::new().await;
    let s = &mut space;
    s.make(create("c", 100)).await;
    let held = s.deliver("w", &jobs(3)).await;
    let (rows, name) = (s.keys.in_flight(&s.queue), s.queue.clone());
    s.run(&["DEL", &rows]).await;
    assert_eq!(ours(s).await.problem, Some(QueueProblem::Rows));
    let repaired = repair(&mut s.link, &s.keys, &name, Apply::Yes).await.unwrap();
    assert_eq!(repaired, Repair::Repaired { wrong: "rows".into(), waiting: 3, lost: 0 });
    let late = s.settle_entries(&held).await.answers;
    assert!(late.iter().all(|answer| *answer == tollgate::scripts::settle::Answer::NotOwner), "{late:?}");
    let again = s.fetch("heir", 9).await;
    assert_eq!(again.len(), 3);
    s.settle_entries(&again).await;
    let after = s.stats().await;
    assert_eq!((after.head.replayed, after.queues[0].waiting), (0, 0));
    assert_eq!(
        s.text(&["HGET", &s.keys.campaign(&"c".parse().unwrap()), "issued"]).await.as_deref(),
        Some("3")
    );
}

#[tokio::test]
async fn entries_whose_ids_are_ahead_of_the_clock_have_an_age_and_hold_the_floor() {
    let mut space = Space::new().await;
    let s = &mut space;
    s.make(create("c", 100)).await;
    let stream = s.keys.queue(&s.queue);
    let next_year = format!("{}-0", s.now_ms().await + 365 * 24 * 3_600_000);
    s.run(&["XADD", &stream, &next_year, "job", "{}"]).await;
    let row = ours(s).await;
    assert_eq!((row.is_dated, row.ids), (false, StreamIds::Ahead));
    let seen = survey::read(&mut s.link, &s.keys).await.unwrap().at_ms;
    crate::harness::until("time to pass", async || (s.now_ms().await > seen + 50).then_some(())).await;
    survey::read(&mut s.link, &s.keys).await.unwrap();
    let (at_ms, since_ms) = (stats_of(s).await.at_ms, ours(s).await.oldest_at_ms.unwrap());
    assert!(
        since_ms >= seen && since_ms < at_ms - 40,
        "its age counts from when it was seen: {since_ms} {seen} {at_ms}"
    );

    let (floor, names) = (s.set_floor(-1_000).await, s.queues().await);
    let held =
        receipts_drop::receipts_drop(&mut s.link, &s.keys, &names, floor, receipts_drop::Pace::ByHand, 1_000)
            .await
            .unwrap()
            .unwrap();
    assert_eq!(held.floor_hour, floor, "nobody knows how long it has waited");
    // Settled, it holds nothing back any more; and the repair lets the ids follow the clock again.
    let entry = s.take("w", 9).await.remove(0);
    let poison = tollgate::ids::JobId::poison(&s.queue, &entry.entry);
    let parking = tollgate::scripts::park::Parking {
        entry: &entry.entry,
        id: &poison,
        fingerprint: tollgate::fingerprint::Fingerprint::of_poison(b"{}"),
        attempts: 0,
        envelope: b"{}",
        destination: tollgate::scripts::park::Destination::Dead(tollgate::code::Code::MissingField),
    };
    s.park_as(parking).await.unwrap();
    let raised =
        receipts_drop::receipts_drop(&mut s.link, &s.keys, &names, floor, receipts_drop::Pace::ByHand, 1_000)
            .await
            .unwrap()
            .unwrap();
    assert!(raised.floor_hour > floor);
    let name = s.queue.clone();
    let repaired = repair(&mut s.link, &s.keys, &name, Apply::Yes).await.unwrap();
    assert_eq!(repaired, Repair::Repaired { wrong: "ids_ahead".into(), waiting: 0, lost: 0 });
    s.enqueue(&jobs(1)).await;
    let row = ours(s).await;
    assert_eq!((row.is_dated, row.ids, row.waiting), (true, StreamIds::OfTheClock, 1));
    s.stats().await;
}

#[tokio::test]
async fn the_highest_id_there_is_breaks_nothing_and_a_repair_takes_it_away() {
    let mut space = Space::new().await;
    let s = &mut space;
    s.make(create("c", 100)).await;
    s.enqueue(&jobs(3)).await;
    let (stream, name) = (s.keys.queue(&s.queue), s.queue.clone());
    let last = fresh(redeem("c", "last", 1)).encode();
    s.run(&["XADD", &stream, HIGHEST, "job", &last]).await;
    let (floor, names) = (s.set_floor(-1_000).await, s.queues().await);
    let everything = async |s: &mut Space, what: &str| {
        let row = ours(s).await;
        assert_eq!((row.ids, row.problem), (StreamIds::Full, None), "{what}");
        s.stats().await;
        let told = audited(s).await;
        assert!(told.contains("nothing can be added") && told.contains("queue:default"), "{what}: {told}");
        receipts_drop::receipts_drop(&mut s.link, &s.keys, &names, floor, receipts_drop::Pace::ByHand, 1_000)
            .await
            .unwrap();
    };
    everything(s, "waiting").await;
    let entries = s.fetch("w", 9).await;
    everything(s, "pending").await;
    assert_eq!(entries.len(), 4);
    // Taken over and read again up to its very end; behind it nothing is asked for.
    let (_, entries) = s.take_over("heir", std::time::Duration::ZERO, Company::Others).await.unwrap();
    assert_eq!((entries.len(), s.fetch("w", 9).await.len()), (4, 0));
    s.settle_entries(&entries[..2]).await;
    everything(s, "half settled").await;

    // Two are unsettled: they wait again, under ids of today.
    let repaired = repair(&mut s.link, &s.keys, &name, Apply::Yes).await.unwrap();
    assert_eq!(repaired, Repair::Repaired { wrong: "ids_full".into(), waiting: 2, lost: 0 });
    s.enqueue(&jobs(1)).await;
    let entries = s.fetch("w", 9).await;
    assert_eq!(entries.len(), 3);
    s.settle_entries(&entries).await;
    let after = s.stats().await;
    assert_eq!((after.queues[0].waiting, after.queues[0].in_flight, after.head.lost), (0, 0, 0));
    assert_eq!(
        s.text(&["HGET", &s.keys.campaign(&"c".parse().unwrap()), "issued"]).await.as_deref(),
        Some("5")
    );
}

#[tokio::test]
async fn a_queue_is_not_overloaded_for_good_after_redis_restarted() {
    let mut redis = servers::private(&["--appendfsync", "always"]);
    let mut space = Space::on(servers::open(&redis)).await;
    let s = &mut space;
    s.make(create("c", 1_000)).await;
    let entries = s.deliver("w", &jobs(200)).await;
    s.settle_entries(&entries).await;
    s.enqueue(&jobs(3)).await;
    for restarted in [false, true] {
        if restarted {
            redis.kill();
            redis.restart().unwrap();
            s.link = servers::open(&redis).link().await.unwrap();
        }
        let name = s.queue.clone();
        for (max, expected) in [(4, false), (3, true)] {
            let overload = s.tollgate.overload(&mut s.link, &name, Some(max)).await.unwrap();
            assert_eq!(
                overload.is_some(),
                expected,
                "3 wait, at most {max}, restarted: {restarted}: {overload:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_right_that_is_missing_moves_no_job_to_dead() {
    let redis = servers::private(&[]);
    let mut space = Space::on(servers::open(&redis)).await;
    let s = &mut space;
    for entry in &s.deliver("w", &jobs(3)).await {
        s.park_due(entry).await;
    }
    let names = s.queues().await;
    // Whoever may do all but XADD.
    s.run(&["ACL", "SETUSER", "default", "-xadd"]).await;
    let refused = promote::promote(&mut s.link, &s.keys, &names, 10).await.unwrap_err();
    assert!(
        matches!(&refused, ScriptError::Failure(failure) if failure.to_string().contains("no_permission")),
        "{refused}"
    );
    let ids: Vec<_> = BTreeSet::from_iter(s.dump().await.members("scheduled"))
        .into_iter()
        .map(|id| self::id(&id))
        .collect();
    let refused = tollgate::scripts::dead::retry(&mut s.link, &s.keys, &names, &ids).await.unwrap_err();
    assert!(refused.to_string().contains("no_permission"), "{refused}");
    assert_eq!(s.dump().await.members("dead"), [""; 0]);
    s.run(&["ACL", "SETUSER", "default", "+xadd"]).await;
    assert_eq!(promote::promote(&mut s.link, &s.keys, &names, 10).await.unwrap().promoted, 3);
}

/// Coupons that are out without a record of who has them: a second one is not given on a guess.
#[tokio::test]
async fn a_campaign_whose_holders_are_gone_gives_no_second_coupon() {
    for per_customer in [Some(1), None] {
        let mut space = Space::new().await;
        let s = &mut space;
        let mut terms = terms("c", 100);
        terms.per_customer = per_customer.map(|most| tollgate::quantity::Quantity::new(most).unwrap());
        s.make(terms.into()).await;
        // All customers are new: that alone is no damage.
        for customer in ["a", "b"] {
            assert_eq!(s.make(redeem("c", customer, 1)).await, tollgate::code::Code::Redeemed);
        }
        let holders = s.keys.holders(&"c".parse().unwrap());
        s.run(&["DEL", &holders]).await;
        for customer in ["a", "new"] {
            let code = s.make(redeem("c", customer, 1)).await;
            assert_eq!(code, tollgate::code::Code::CorruptState, "{per_customer:?} {customer}");
        }
    }
}

/// What a few counts tell of keys that are gone.
#[tokio::test]
async fn keys_that_are_gone_are_named_by_what_the_others_say() {
    for (key, words) in [
        ("journal", "it is gone, with"),
        ("resources", "0 campaigns and accounts of at least 2"),
        ("parked", "0 of the 1 jobs"),
    ] {
        let mut space = Space::new().await;
        let s = &mut space;
        s.make(create("c", 100)).await;
        s.make(open("a", 9)).await;
        let entry = s.deliver("w", &jobs(1)).await.remove(0);
        s.park(&entry, tollgate::scripts::park::Destination::Dead(tollgate::code::Code::WorkerLost))
            .await
            .unwrap();
        survey::read(&mut s.link, &s.keys).await.unwrap();
        assert_eq!(integrity(&mut s.link, &s.keys).await.unwrap(), []);
        let name = s.keys.head().replace("head", key);
        s.run(&["DEL", &name]).await;
        let missing = integrity(&mut s.link, &s.keys).await.unwrap();
        assert!(
            missing.len() == 1 && missing[0].key == key && missing[0].what.contains(words),
            "{missing:?}"
        );
    }
}
