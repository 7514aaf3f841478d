//! What is asked of a campaign or account that does not exist is not decided: nothing is stored, a queued job is kept
//! in dead, and both are decided after the creation. Dead letters are bounded.

use redis::Value;
use tollgate::code::Code;
use tollgate::fingerprint::Fingerprint;
use tollgate::ids::JobId;
use tollgate::kinds::Request;
use tollgate::outcome::OutcomeClass;
use tollgate::scripts::dead::{self, DeadResult};
use tollgate::scripts::park::{DEAD_MAX, Destination, Parked, Parking};
use tollgate::scripts::settle::{Answer, Missing, Policy};

use crate::space::*;

/// Every kind that needs a resource, and what it is answered where there is none.
fn kinds() -> Vec<(Request, Code)> {
    vec![
        (redeem("c", "u", 1), Code::CampaignNotFound),
        (set_limit("c", 5, None), Code::CampaignNotFound),
        (end("c"), Code::CampaignNotFound),
        (withdraw("a", 1), Code::AccountNotFound),
        (deposit("a", 1), Code::AccountNotFound),
        (payout("a", 1), Code::AccountNotFound),
        (close("a"), Code::AccountNotFound),
    ]
}

#[tokio::test]
async fn a_direct_request_stores_nothing_and_is_decided_after_the_creation() {
    for (request, code) in kinds() {
        let mut space = Space::new().await;
        let s = &mut space;
        let (id, before) = (JobId::fresh(), s.dump().await);
        for _ in 0..2 {
            assert_eq!(s.settle_as(&id, &request).await, Answer::Undecided(code), "{request:?}");
        }
        assert!(before.changed(&s.dump().await).is_empty(), "{request:?}");
        for creation in [create("c", 9), open("a", 9)] {
            s.make(creation).await;
        }
        let answer = s.settle_as(&id, &request).await;
        assert!(matches!(answer, Answer::Decided { .. }), "{request:?}: {answer:?}");
    }
}

#[tokio::test]
async fn a_queued_job_waits_in_dead_and_is_decided_after_the_creation() {
    for by_retry in [true, false] {
        let mut space = Space::new().await;
        let s = &mut space;
        let (id, request) = (JobId::fresh(), redeem("c", "u", 1));
        let entries = s.deliver("w", &[job(&id, request.clone())]).await;
        let answers = s.settle_entries(&entries).await.answers;
        assert_eq!(answers, [Answer::Undecided(Code::CampaignNotFound)]);
        let dead = Destination::Dead(Code::CampaignNotFound);
        assert_eq!(s.park(&entries[0], dead).await.unwrap(), Parked::Moved);
        let outcomes = s.tollgate.lookup(std::slice::from_ref(&id)).await.unwrap();
        assert_eq!(
            (outcomes[0][0].class, outcomes[0][0].code),
            (OutcomeClass::Dead, Some("campaign_not_found"))
        );
        let counted = |head: &tollgate::scripts::stats::Head| head.dead_by_reason["campaign_not_found"];
        assert_eq!(counted(&s.stats().await.head), 1);
        // The id is taken, by this request alone.
        assert_eq!(s.settle_as(&id, &redeem("c", "v", 1)).await, Answer::Mismatch { seq: 0 });
        s.make(create("c", 9)).await;
        if by_retry {
            let queues = s.queues().await;
            let retried = dead::retry(&mut s.link, &s.keys, &queues, std::slice::from_ref(&id)).await;
            assert_eq!(retried.unwrap(), [DeadResult::Requeued]);
            let entries = s.fetch("w", 9).await;
            let answers = s.settle_entries(&entries).await.answers;
            assert!(matches!(answers[..], [Answer::Decided { code: Code::Redeemed, .. }]), "{answers:?}");
        } else {
            assert_eq!(s.settle_as(&id, &request).await.code(), Some(Code::Redeemed));
        }
        let stats = s.stats().await;
        assert_eq!((counted(&stats.head), stats.dead, stats.parked), (0, 0, 0));
        let report = tollgate_audit::audit(&s.tollgate, &[], &|_| {}).await.unwrap();
        assert_eq!(report.violations, []);
    }
}

/// As if so many were dead for the reason.
async fn fill(s: &mut Space, reason: Code) {
    let (head, field) = (s.keys.head(), format!("dead:{reason}"));
    s.run(&["HSET", &head, &field, &DEAD_MAX.to_string()]).await;
}

#[tokio::test]
async fn past_the_bound_a_job_without_its_resource_is_refused_for_good() {
    let mut space = Space::new().await;
    let s = &mut space;
    for code in [Code::CampaignNotFound, Code::AccountNotFound] {
        fill(s, code).await;
    }
    let jobs = [fresh(redeem("c", "u", 1)), fresh(withdraw("a", 1))];
    let entries = s.deliver("w", &jobs).await;
    let before = s.dump().await;
    for (entry, code) in entries.iter().zip([Code::CampaignNotFound, Code::AccountNotFound]) {
        assert_eq!(s.park(entry, Destination::Dead(code)).await.unwrap(), Parked::DeadFull);
    }
    assert!(before.changed(&s.dump().await).is_empty(), "not moved, still in its row");
    let jobs: Vec<_> =
        entries.iter().map(|(entry, job)| (Some(entry.as_str()), &job.id, &job.request)).collect();
    let policy = Policy { missing: Missing::Refused, ..Policy::default() };
    let settled = s.settle_with(&jobs, policy).await.unwrap();
    let codes: Vec<Code> = settled.answers.iter().filter_map(|answer| answer.code()).collect();
    assert!(settled.answers.iter().all(|answer| matches!(answer, Answer::Decided { .. })));
    assert_eq!(codes, [Code::CampaignNotFound, Code::AccountNotFound]);
    let stats = s.stats().await;
    assert_eq!((stats.head.dead_refused, stats.queues[0].in_flight), (2, 0));
    // It is a refusal like any other from now on.
    s.make(create("c", 9)).await;
    assert!(matches!(s.settle_as(&entries[0].1.id, &entries[0].1.request).await, Answer::Replayed { .. }));
    let outcomes = s.tollgate.lookup(std::slice::from_ref(&entries[0].1.id)).await.unwrap();
    assert_eq!(outcomes[0][0].class, OutcomeClass::Refused);
}

#[tokio::test]
async fn past_the_bound_poison_keeps_its_length_and_digest() {
    let mut space = Space::new().await;
    let s = &mut space;
    let codes =
        [Code::MalformedJson, Code::AmountZero, Code::WrongPartition, Code::WorkerLost, Code::CorruptState];
    for code in codes {
        fill(s, code).await;
    }
    let stream = s.keys.queue(&s.queue);
    for code in codes {
        let entry = s.text(&["XADD", &stream, "*", "job", "{broken"]).await.unwrap();
        s.take("w", 999).await;
        let poison = JobId::poison(&s.queue, &entry);
        let parking = Parking {
            entry: &entry,
            id: &poison,
            fingerprint: Fingerprint::of_poison(b"{broken"),
            attempts: 0,
            envelope: b"{broken",
            destination: Destination::Dead(code),
        };
        assert_eq!(s.park_as(parking).await.unwrap(), Parked::Moved);
        let row = tollgate::parked::row(&mut s.link, &s.keys, &poison).await.unwrap().unwrap().unwrap();
        let is_kept = [Code::WorkerLost, Code::CorruptState].contains(&code);
        let digest = match s.run(&["EVAL", "return redis.sha1hex('{broken')", "0"]).await {
            Value::BulkString(digest) => digest,
            other => panic!("{other:?}"),
        };
        let expected = if is_kept { (None, b"{broken".to_vec()) } else { (Some(7), digest) };
        assert_eq!((row.stripped_bytes, row.code(), row.envelope), (expected.0, Some(code), expected.1));
        let (queues, ids) = (s.queues().await, [poison]);
        let retried = dead::retry(&mut s.link, &s.keys, &queues, &ids).await.unwrap();
        assert_eq!(retried, [if is_kept { DeadResult::Requeued } else { DeadResult::NotKept }]);
        if !is_kept {
            assert_eq!(dead::discard(&mut s.link, &s.keys, &ids).await.unwrap(), [DeadResult::Discarded]);
        }
        s.stats().await;
    }
    let head = s.stats().await.head;
    assert_eq!(head.dead_stripped, 3);
    assert!(codes.iter().all(|code| head.dead_by_reason[code.name()] == DEAD_MAX), "{head:?}");
}
