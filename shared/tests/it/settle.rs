//! `settle`, kind by kind and code by code: what it answers, and exactly which keys it changes.

use std::collections::BTreeSet;

use tollgate::code::{Code, Stored};
use tollgate::codes_name::CodesName;
use tollgate::ids::{Bucket, JobId};
use tollgate::instant::Instant;
use tollgate::kinds::{CampaignCreate, Request};
use tollgate::scripts::settle::Answer;

use crate::harness::servers;
use crate::space::*;

mod damaged;
mod precedence;
mod precedence_of_sales;

const MAX: u64 = tollgate::amount::NUMBER_MAX;

/// Settles `request` under a fresh id; it must change the keys of its effect and nothing else.
async fn decides(space: &mut Space, request: &Request, code: Code, keys: &[&str]) {
    let id = JobId::fresh();
    let before = space.dump().await;
    let answer = space.settle_as(&id, request).await;
    assert_eq!(answer.code(), Some(code), "{request:?}");
    let after = space.dump().await;
    let mut expected: BTreeSet<String> = keys.iter().map(ToString::to_string).collect();
    if code.stored() == Stored::Yes {
        let Bucket::Hour(hour) = id.bucket() else { panic!("{id}") };
        let receipts = format!("receipts:{hour}");
        let Answer::Decided { seq, .. } = answer else { panic!("{answer:?}") };
        assert!(after.hash(&receipts)[id.as_str()].ends_with(&format!(" {code} {seq}")));
        assert_eq!(after.hash("head")["seq"], seq.to_string());
        assert_eq!(after.stream_len("journal"), before.stream_len("journal") + 1);
        expected.extend([receipts, "journal".to_owned(), "head".to_owned()]);
    } else {
        assert!(keys.is_empty());
    }
    assert_eq!(before.changed(&after), Vec::from_iter(expected), "{request:?} {code}");
}

#[tokio::test]
async fn an_effect_touches_its_own_keys_only() {
    let mut space = Space::new().await;
    let s = &mut space;
    decides(s, &create("c", 5), Code::CampaignCreated, &["campaign:c", "resources"]).await;
    decides(s, &redeem("c", "u", 2), Code::Redeemed, &["campaign:c", "holders:c"]).await;
    decides(s, &set_limit("c", 7, None), Code::LimitSet, &["campaign:c"]).await;
    decides(s, &end("c"), Code::Closed, &["campaign:c"]).await;
    decides(s, &open("a", 0), Code::AccountOpened, &["account:a", "resources"]).await;
    decides(s, &deposit("a", 7), Code::Deposited, &["account:a"]).await;
    decides(s, &withdraw("a", 7), Code::Withdrawn, &["account:a"]).await;
    decides(s, &close("a"), Code::Closed, &["account:a"]).await;
    let dump = s.dump().await;
    let campaign = dump.hash("campaign:c");
    let field = |name: &str| campaign[name].as_str();
    assert_eq!([field("limit"), field("issued"), field("status"), field("seq")], ["7", "2", "closed", "4"]);
    assert_eq!([field("per_customer"), field("opens_at_ms"), field("codes")], ["", "", ""]);
    assert_eq!(dump.hash("holders:c")["u"], "2");
    let account = dump.hash("account:a");
    let field = |name: &str| account[name].as_str();
    assert_eq!([field("available"), field("held"), field("status"), field("seq")], ["0", "0", "closed", "8"]);
    assert_eq!(dump.members("resources"), ["account:a", "campaign:c"]);
}

#[tokio::test]
async fn what_is_known_of_an_id_comes_before_its_resource() {
    let mut space = Space::new().await;
    let s = &mut space;
    s.make(create("c", 3)).await;
    let used = JobId::fresh();
    let first = s.settle_as(&used, &redeem("c", "u", 1)).await;
    let Answer::Decided { seq, .. } = first else { panic!("{first:?}") };
    let campaign = s.keys.campaign(&"c".parse().unwrap());
    s.run(&["HSET", &campaign, "limit", "damaged"]).await;

    let before = s.dump().await;
    assert_eq!(
        s.settle_as(&used, &redeem("c", "u", 1)).await,
        Answer::Replayed { code: Code::Redeemed, seq }
    );
    assert_eq!(s.settle_as(&used, &redeem("c", "u", 2)).await, Answer::Mismatch { seq });
    let floor = s.stats().await.head.receipts_floor_hour;
    let old = timed_id(floor as i64 - (s.now_ms().await / 3_600_000) as i64 - 1, 1);
    assert_eq!(s.settle_as(&old, &redeem("c", "u", 1)).await, Answer::Expired);
    let after = s.dump().await;
    assert_eq!(before.changed(&after), ["head"]);
    let head = |name: &str| after.hash("head")[name].clone();
    assert_eq!([head("replayed"), head("mismatched"), head("expired")], ["1", "1", "1"]);

    let future = timed_id(26, 1);
    let from_future = Answer::Undecided(Code::IdFromFuture);
    assert_eq!(s.settle_as(&future, &redeem("c", "u", 1)).await, from_future);
    assert_eq!(s.settle_as(&id("mine"), &redeem("c", "u", 1)).await, Answer::Undecided(Code::CorruptState));
    assert!(after.changed(&s.dump().await).is_empty(), "undecided: nothing is written");
    s.run(&["HSET", &campaign, "limit", "3"]).await;
    // Within a day of the server's clock is the future that clocks are allowed.
    assert_eq!(s.settle_as(&timed_id(23, 1), &redeem("c", "u", 1)).await.code(), Some(Code::Redeemed));
    assert_eq!(s.settle_as(&id("mine"), &redeem("c", "u", 1)).await.code(), Some(Code::Redeemed));
    let dump = s.dump().await;
    assert!(dump.hash("receipts:kept").contains_key("mine"), "a timeless id is kept for ever");

    // A damaged receipt speaks for nothing: the job waits for a repair.
    let kept = s.keys.receipts(Bucket::Kept);
    s.run(&["HSET", &kept, "mine", "scratched"]).await;
    assert_eq!(s.settle_as(&id("mine"), &redeem("c", "u", 1)).await, Answer::Undecided(Code::CorruptState));
}

#[tokio::test]
async fn what_one_job_of_a_batch_does_the_next_one_sees() {
    let mut space = Space::new().await;
    let s = &mut space;
    let codes = CodesName::parse(&"b".repeat(64)).unwrap();
    let upload = s.keys.codes(&codes);
    for n in ["1", "2", "3"] {
        s.run(&["HSET", &upload, n, "code"]).await;
    }
    let batch = [
        (create("c", 3), Code::CampaignCreated),
        (create("c", 3), Code::CampaignExists),
        (redeem("c", "u", 1), Code::Redeemed),
        (redeem("c", "u", 1), Code::Redeemed),
        (redeem("c", "v", 2), Code::CampaignLimitReached),
        (set_limit("c", 1, None), Code::LimitBelowIssued),
        (set_limit("c", 2, Some(3)), Code::LimitSet),
        (redeem("c", "v", 1), Code::CampaignLimitReached),
        (end("c"), Code::Closed),
        (redeem("c", "u", 1), Code::Ended),
        (CampaignCreate { codes: Some(codes), ..terms("k", 3) }.into(), Code::CampaignCreated),
        (set_limit("k", 1, None), Code::LimitSet),
        (set_limit("k", 3, None), Code::LimitSet),
        (set_limit("k", 4, None), Code::LimitAboveCodes),
        (redeem("k", "u", 2), Code::QuantityOutOfRange),
        (withdraw("nobody", 1), Code::AccountNotFound),
        (open("a", 5), Code::AccountOpened),
        (open("a", 5), Code::AccountExists),
        (withdraw("a", 3), Code::Withdrawn),
        (withdraw("a", 3), Code::InsufficientFunds),
        (deposit("a", 1), Code::Deposited),
        (close("a"), Code::AccountNotEmpty),
        (withdraw("a", 3), Code::Withdrawn),
        (close("a"), Code::Closed),
        (deposit("a", 1), Code::AccountClosed),
    ];
    let ids: Vec<JobId> = batch.iter().map(|_| JobId::fresh()).collect();
    let jobs: Vec<_> = ids.iter().zip(&batch).map(|(id, (request, _))| (None, id, request)).collect();
    let settlement = s.settle(&jobs).await.unwrap();
    let codes: Vec<Code> = settlement.answers.iter().filter_map(|answer| answer.code()).collect();
    assert_eq!(codes, batch.iter().map(|(_, code)| *code).collect::<Vec<_>>());
    let dump = s.dump().await;
    assert_eq!(dump.hash("campaign:c")["issued"], "2");
    assert_eq!(dump.hash("campaign:c")["status"], "closed");
    assert_eq!(dump.hash("campaign:k")["limit"], "3");
    assert_eq!(dump.hash("campaign:k")["codes_count"], "3");
    assert_eq!(dump.hash("holders:c")["u"], "2");
    assert_eq!(dump.hash("account:a")["available"], "0");
    assert_eq!(dump.hash("account:a")["status"], "closed");
    assert_eq!(dump.stream_len("journal"), 1);
    // The two that stay undecided have no seq.
    assert_eq!(dump.hash("head")["seq"], (batch.len() - 2).to_string());
    // The whole batch again is replayed, but for those that were not decided.
    let again = s.settle(&jobs).await.unwrap();
    for ((first, second), (request, _)) in settlement.answers.iter().zip(&again.answers).zip(&batch) {
        match *first {
            Answer::Decided { code, seq } => {
                assert_eq!(*second, Answer::Replayed { code, seq }, "{request:?}")
            }
            undecided => assert_eq!(*second, undecided),
        }
    }
}

#[tokio::test]
async fn one_id_twice_in_a_batch_is_one_job() {
    let mut space = Space::new().await;
    let s = &mut space;
    s.make(create("c", 9)).await;
    for twice in [JobId::fresh(), id(&format!("mine-{}", servers::namespace()))] {
        let (one, other) = (redeem("c", "u", 1), redeem("c", "v", 1));
        let entries = s.deliver("w", &[job(&twice, one.clone()), job(&twice, one), job(&twice, other)]).await;
        let answers = s.settle_entries(&entries).await.answers;
        let Answer::Decided { code: Code::Redeemed, seq } = answers[0] else { panic!("{answers:?}") };
        assert_eq!(answers[1..], [Answer::Replayed { code: Code::Redeemed, seq }, Answer::Mismatch { seq }]);
    }
    let stats = s.stats().await;
    assert_eq!((stats.head.acked, stats.head.replayed, stats.head.mismatched), (6, 2, 2));
    assert_eq!(s.dump().await.hash("campaign:c")["issued"], "2");
}

#[tokio::test]
async fn only_what_is_settled_is_acknowledged() {
    let mut space = Space::new().await;
    let s = &mut space;
    s.make(create("c", 9)).await;
    s.make(create("bad", 9)).await;
    let bad = s.keys.campaign(&"bad".parse().unwrap());
    s.run(&["SET", &bad, "x"]).await;
    let jobs = [
        fresh(redeem("c", "u", 1)),
        fresh(redeem("bad", "u", 1)),
        job(&timed_id(30, 1), redeem("c", "u", 1)),
    ];
    let entries = s.deliver("w", &jobs).await;
    s.settle_entries(&entries).await;
    let stats = s.stats().await;
    assert_eq!((stats.queues[0].in_flight, stats.head.acked), (2, 1));
    // A stream whose oldest entry is pending keeps what lies behind it only.
    assert_eq!(stats.queues[0].length, 3, "nothing is trimmed singly");
    // An entry that is nobody's counts nothing.
    s.settle_entries(&entries[..1]).await;
    assert_eq!(s.stats().await.head.acked, 1);
    // What Redis would choke on after the effect is refused before.
    for entry in ["", "x", "1-", "-1", "1-2-3", "99999999999999999999-0"] {
        let refused = s.settle(&[(Some(entry), &JobId::fresh(), &redeem("c", "u", 1))]).await.unwrap_err();
        assert_eq!(refused.code(), Some(Code::RedisRefused), "{entry}");
    }
    assert_eq!(s.dump().await.hash("campaign:c")["issued"], "1");
}

#[tokio::test]
async fn windows_are_judged_by_server_time() {
    let mut space = Space::new().await;
    let s = &mut space;
    let at = |ms: u64| Some(Instant::from_ms(ms).unwrap());
    let now = s.now_ms().await;
    for (name, opens, closes, code) in [
        ("open", at(now - 1), at(now + 60_000), Code::Redeemed),
        ("early", at(now + 60_000), None, Code::NotStarted),
        ("late", None, at(now), Code::Ended),
    ] {
        s.make(CampaignCreate { opens_at: opens, closes_at: closes, ..terms(name, 1) }.into()).await;
        assert_eq!(s.make(redeem(name, "u", 1)).await, code, "{name}");
    }
}

#[tokio::test]
async fn a_thousand_jobs_fit_one_call_and_one_more_does_not() {
    let mut space = Space::new().await;
    let s = &mut space;
    s.make(create("c", MAX)).await;
    let jobs: Vec<_> = (0..1000).map(|i| fresh(redeem("c", &format!("u{i}"), MAX / 1000))).collect();
    let entries = s.deliver("w", &jobs).await;
    let settlement = s.settle_entries(&entries).await;
    assert!(settlement.answers.iter().all(|answer| answer.code() == Some(Code::Redeemed)));
    let again = s.settle_entries(&entries).await;
    assert!(again.answers.iter().all(|answer| matches!(answer, Answer::Replayed { .. })));
    let stats = s.stats().await;
    assert_eq!((stats.head.seq, stats.head.acked, stats.queues[0].in_flight), (1001, 1000, 0));
    let (id, request) = (JobId::fresh(), redeem("c", "u", 1));
    assert!(s.settle(&vec![(None, &id, &request); 1001]).await.is_err());
    assert!(s.settle::<Request>(&[]).await.unwrap().answers.is_empty());
}

/// Who asked is part of what the chain covers; a worker's jobs name nobody.
#[tokio::test]
async fn the_journal_keeps_who_asked() {
    let mut space = Space::new().await;
    let s = &mut space;
    let ann = s.tollgate.clone().acting_as(tollgate::ids::Actor::parse("ann").unwrap());
    let answer = ann.settle_one(&mut s.link, &id("one"), &create("c", 9)).await.unwrap();
    assert_eq!(answer.code(), Some(Code::CampaignCreated));
    let entries = s.deliver("w", &[fresh(redeem("c", "u", 1))]).await;
    s.settle_entries(&entries).await;
    let entries = tollgate::journal::read(&mut s.link, &s.keys, 0, 9).await.unwrap().unwrap();
    let by: Vec<&str> = entries.iter().map(|entry| entry.by.as_str()).collect();
    assert_eq!(by, ["ann", ""]);
    assert_eq!(entries[0].lines().unwrap()[0].by, "ann");
    let changed = tollgate::journal::Entry { by: "bob".to_owned(), ..entries[0].clone() };
    assert_eq!(entries[0].expected_hash(""), entries[0].hash);
    assert_ne!(changed.expected_hash(""), entries[0].hash);
    let report = tollgate_audit::audit(&s.tollgate, &[], &|_| {}).await.unwrap();
    assert_eq!(report.violations, []);
    assert_eq!((report.by[0].by.as_str(), report.by[0].lines), ("ann", 1));
}
