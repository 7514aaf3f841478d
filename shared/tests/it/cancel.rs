//! Cancelling what waits for its time: a decision like any other, so that no copy of the job has an effect any more.

use std::sync::Arc;

use tokio::sync::Barrier;
use tollgate::code::Code;
use tollgate::connect::Server;
use tollgate::ids::{Bucket, JobId};
use tollgate::instant::Instant;
use tollgate::job::Job;
use tollgate::link::Link;
use tollgate::outcome::OutcomeClass;
use tollgate::scripts::park::{Destination, Parked};
use tollgate::scripts::promote;
use tollgate::scripts::settle::Answer;
use tollgate_audit as audit;

use crate::inventory::*;
use crate::space::*;

const CANCELLED: Code = Code::Cancelled;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Due {
    Now,
    Later,
}

/// Has the job wait for its time.
async fn schedule(s: &mut Space, job: &Job, due: Due) {
    let entries = s.deliver("w", std::slice::from_ref(job)).await;
    let later = Instant::from_ms(s.now_ms().await + 3_600_000).unwrap();
    assert_eq!(s.park(&entries[0], Destination::Scheduled(later)).await.unwrap(), Parked::Moved);
    if due == Due::Now {
        // What is due is not parked, so its time comes afterwards.
        let scheduled = s.keys.scheduled();
        s.run(&["ZADD", &scheduled, "1", job.id.as_str()]).await;
    }
}

async fn promoted(s: &mut Space) {
    let queues = s.queues().await;
    promote::promote(&mut s.link, &s.keys, &queues, 100).await.unwrap();
}

async fn cancel(s: &mut Space, job: &Job) -> Answer {
    s.tollgate.cancel(&mut s.link, &job.id, &job.request).await.unwrap()
}

/// The audit passes, the conservation law holds, and the job is told as cancelled.
async fn is_cancelled(s: &mut Space, id: &JobId) {
    s.stats().await;
    let known = s.tollgate.lookup(std::slice::from_ref(id)).await.unwrap();
    let told: Vec<_> = known.iter().flatten().map(|outcome| (outcome.class, outcome.code)).collect();
    assert_eq!(told, [(OutcomeClass::Refused, Some("cancelled"))]);
    passes(s).await;
}

async fn passes(s: &mut Space) {
    let report = audit::audit(&s.tollgate, &[], &|_| ()).await.unwrap();
    assert!(report.violations.is_empty(), "{:#?}", report.violations);
}

#[tokio::test]
async fn what_waits_for_its_time_is_decided_against_and_touches_no_resource() {
    let mut space = Space::new().await;
    let s = &mut space;
    s.make(create("c", 9)).await;
    s.make(open("a", 9)).await;
    s.make(open("b", 0)).await;
    open_sale(s, "hall", None, &[("A-1", 1), ("A-2", 1), ("floor", 5)]).await;
    s.settle_as(&id("o"), &purchase("hall", "u", "A-1, floor")).await;
    s.settle_as(&id("r"), &reserve("hall", "u", "floor 2")).await;
    let requests = [
        redeem("c", "u", 1),
        withdraw("a", 4),
        payout("a", 4),
        transfer("a", "b", 4),
        transfer("a", "nobody", 4),
        redeem("nowhere", "u", 1),
        purchase("hall", "v", "A-2"),
        purchase("nowhere", "v", "A-2"),
        reserve("hall", "v", "A-2"),
        commit("hall", "r", None),
        commit("hall", "none", None),
        release("hall", "r", Some("floor")),
        extend("hall", "r", 1_000),
        give_back("hall", "o", None),
        give_back("hall", "none", None),
        exchange("hall", "o", "A-1", "A-2"),
        exchange("nowhere", "o", "A-1", "A-2"),
    ];
    let count = requests.len() as u64;
    for request in requests {
        let one = fresh(request);
        schedule(s, &one, Due::Later).await;
        let before = s.dump().await;
        let answer = cancel(s, &one).await;
        let Answer::Decided { code: CANCELLED, seq } = answer else { panic!("{answer:?}") };
        let Bucket::Hour(hour) = one.id.bucket() else { panic!() };
        let receipts = format!("receipts:{hour}");
        let mut changed = before.changed(&s.dump().await);
        // An index that is empty is gone.
        changed.retain(|key| key != "scheduled" && key != "parked");
        assert_eq!(changed, ["head", "journal", receipts.as_str()], "{one:?}");
        is_cancelled(s, &one.id).await;
        let stats = s.stats().await;
        assert_eq!((stats.scheduled, stats.parked), (0, 0));
        assert_eq!(cancel(s, &one).await, Answer::Replayed { code: CANCELLED, seq }, "the repeat");
    }
    assert_eq!(s.stats().await.head.overtaken, count);
}

#[tokio::test]
async fn every_other_copy_of_it_is_answered_and_executes_nothing() {
    let mut space = Space::new().await;
    let s = &mut space;
    s.make(open("a", 9)).await;
    let one = fresh(withdraw("a", 4));
    schedule(s, &one, Due::Later).await;
    // One copy in the hands of a worker that stands still, one in the stream, and one that is sent afterwards.
    let zombie = s.deliver("zombie", std::slice::from_ref(&one)).await;
    s.enqueue(std::slice::from_ref(&one)).await;
    let Answer::Decided { code: CANCELLED, seq } = cancel(s, &one).await else { panic!() };
    let replayed = Answer::Replayed { code: CANCELLED, seq };
    assert_eq!(s.settle_entries(&zombie).await.answers, [replayed]);
    let second = s.fetch("w", 1).await;
    // Whether it is decided or put aside for later again.
    let later = Instant::from_ms(s.now_ms().await + 3_600_000).unwrap();
    let parked = s.park(&second[0], Destination::Scheduled(later)).await.unwrap();
    assert_eq!(parked, Parked::Answered(replayed));
    let third = s.deliver("w", std::slice::from_ref(&one)).await;
    assert_eq!(s.settle_entries(&third).await.answers, [replayed]);
    assert_eq!(s.settle_as(&one.id, &withdraw("a", 5)).await, Answer::Mismatch { seq });
    assert_eq!(s.dump().await.hash("account:a")["available"], "9");
    is_cancelled(s, &one.id).await;
}

#[tokio::test]
async fn what_is_due_and_not_decided_yet_is_cancelled_too() {
    let mut space = Space::new().await;
    let s = &mut space;
    s.make(open("a", 9)).await;
    let one = fresh(withdraw("a", 4));
    schedule(s, &one, Due::Now).await;
    promoted(s).await;
    let taken = s.fetch("w", 1).await;
    assert_eq!(taken.len(), 1);
    let Answer::Decided { code: CANCELLED, seq } = cancel(s, &one).await else { panic!() };
    assert_eq!(s.settle_entries(&taken).await.answers, [Answer::Replayed { code: CANCELLED, seq }]);
    assert_eq!(s.stats().await.head.overtaken, 0, "its copy in the stream is settled by itself");
    is_cancelled(s, &one.id).await;
    // A floor that has risen meanwhile makes no difference to what is parked.
    let old = job(&timed_id(-400, 1), withdraw("a", 4));
    s.set_floor(-500).await;
    schedule(s, &old, Due::Later).await;
    s.set_floor(-200).await;
    assert_eq!(cancel(s, &old).await.code(), Some(CANCELLED));
    assert!(s.dump().await.hash("receipts:kept").contains_key(old.id.as_str()));
}

#[tokio::test]
async fn what_is_not_scheduled_is_not_cancelled_and_nothing_is_written() {
    let mut space = Space::new().await;
    let s = &mut space;
    s.make(open("a", 9)).await;
    let decided = fresh(withdraw("a", 1));
    let Answer::Decided { code, seq } = s.settle_as(&decided.id, &decided.request).await else { panic!() };
    let (waiting, dead, scheduled) =
        (fresh(withdraw("a", 1)), fresh(withdraw("a", 1)), fresh(withdraw("a", 2)));
    let entries = s.deliver("w", std::slice::from_ref(&dead)).await;
    s.park(&entries[0], Destination::Dead(Code::WorkerLost)).await.unwrap();
    schedule(s, &scheduled, Due::Later).await;
    s.enqueue(std::slice::from_ref(&waiting)).await;
    let before = s.dump().await;
    let not_scheduled = Answer::Undecided(Code::NotScheduled);
    for one in [&waiting, &dead, &fresh(withdraw("a", 1))] {
        assert_eq!(cancel(s, one).await, not_scheduled, "{one:?}");
    }
    // Its account cannot be read: the journal's line could not say what it has.
    let account = s.keys.account(&"a".parse().unwrap());
    s.run(&["HSET", &account, "available", "x"]).await;
    assert_eq!(cancel(s, &scheduled).await, Answer::Undecided(Code::CorruptState));
    s.run(&["HSET", &account, "available", "8"]).await;
    assert!(before.changed(&s.dump().await).is_empty());
    assert_eq!(cancel(s, &decided).await, Answer::Replayed { code, seq });
    let other = job(&scheduled.id, withdraw("a", 7));
    assert_eq!(cancel(s, &other).await, Answer::Mismatch { seq: 0 }, "another request under its id");
    passes(s).await;
}

/// A connection of one's own.
async fn link_of(s: &Space) -> (Server, Link) {
    let server = Server::open(s.server.endpoint().clone());
    let link = server.link().await.unwrap();
    (server, link)
}

#[tokio::test]
async fn a_job_that_falls_due_while_it_is_cancelled_is_one_or_the_other() {
    let mut space = Space::new().await;
    let s = &mut space;
    s.make(open("a", 1_000)).await;
    let (_promoter, mut promoter) = link_of(s).await;
    let (_canceller, mut canceller) = link_of(s).await;
    let mut executed = 0;
    for _ in 0..60 {
        let one = fresh(withdraw("a", 1));
        schedule(s, &one, Due::Now).await;
        let queues = s.queues().await;
        let start = Arc::new(Barrier::new(2));
        let (tollgate, keys) = (s.tollgate.clone(), s.keys.clone());
        let cancelling = async {
            start.wait().await;
            tollgate.cancel(&mut canceller, &one.id, &one.request).await.unwrap()
        };
        let promoting = async {
            start.wait().await;
            promote::promote(&mut promoter, &keys, &queues, 100).await.unwrap();
            // Whoever serves the queue: what was promoted is taken and decided.
            let entries = s.fetch("w", 10).await;
            if entries.is_empty() { Vec::new() } else { s.settle_entries(&entries).await.answers }
        };
        let (cancelled, settled) = tokio::join!(cancelling, promoting);
        match (cancelled, settled.first()) {
            (
                Answer::Decided { code: CANCELLED, .. },
                None | Some(Answer::Replayed { code: CANCELLED, .. }),
            ) => {}
            (Answer::Replayed { code: Code::Withdrawn, .. }, Some(Answer::Decided { .. })) => executed += 1,
            other => panic!("{other:?}"),
        }
        s.stats().await;
    }
    assert_eq!(s.dump().await.hash("account:a")["available"], (1_000 - executed).to_string());
    passes(s).await;
}
