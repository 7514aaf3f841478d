//! Receipts over time: `receipts_drop`, the rule of the floor, and what `lookup` tells of an id.

use tollgate::code::Code;
use tollgate::fingerprint::Fingerprint;
use tollgate::ids::{Bucket, QueueName};
use tollgate::instant::Instant;
use tollgate::partition::Partitions;
use tollgate::scripts::lookup::{ParkedState, Trace, lookup};
use tollgate::scripts::park::Destination;
use tollgate::scripts::receipts_drop::{BUCKETS_MAX, Floor, Pace, receipts_drop};
use tollgate::scripts::receipts_lower::receipts_lower;
use tollgate::scripts::settle::Answer;
use tollgate::scripts::{ScriptError, init, queue};

use crate::space::*;

const HOUR_MS: u64 = 3_600_000;

async fn drop_at(s: &mut Space, floor_hour: u64) -> Option<Floor> {
    let queues = s.queues().await;
    receipts_drop(&mut s.link, &s.keys, &queues, floor_hour, Pace::ByHand, BUCKETS_MAX).await.unwrap()
}

async fn retention(s: &mut Space, hours: u64) {
    let first = Partitions::ONE.get(0).unwrap();
    let retention = std::time::Duration::from_secs(hours * 3600);
    let parameters = s.parameters(retention);
    init::head(&mut s.link, &s.keys, first, &parameters).await.unwrap();
}

#[tokio::test]
async fn the_floor_rises_to_now_less_retention_and_takes_the_buckets_along() {
    let mut space = Space::new().await;
    let s = &mut space;
    s.make(create("c", 9)).await;
    let hour = s.now_ms().await / HOUR_MS;
    let floor = s.set_floor(-400).await;
    let (old, new, kept) = (timed_id(-300, 1), timed_id(-2, 1), id("mine"));
    for id in [&old, &new, &kept] {
        assert_eq!(s.settle_as(id, &redeem("c", "u", 1)).await.code(), Some(Code::Redeemed));
    }
    assert_eq!(drop_at(s, floor + 1).await, None, "another floor than the caller thought");
    let dropped = drop_at(s, floor).await.unwrap();
    assert_eq!(
        dropped,
        Floor { floor_hour: hour - 168, allowed_hour: hour - 168, by_rule_hour: hour - 168, unlinked: 1 }
    );
    let again = drop_at(s, hour - 168).await.unwrap();
    assert_eq!(again, Floor { unlinked: 0, ..dropped }, "nothing more to do");
    let Bucket::Hour(old_hour) = old.bucket() else { panic!() };
    assert!(!s.dump().await.0.contains_key(&format!("receipts:{old_hour}")));
    let request = redeem("c", "u", 1);
    assert_eq!(s.settle_as(&old, &request).await, Answer::Expired);
    for id in [&new, &kept] {
        assert!(matches!(s.settle_as(id, &request).await, Answer::Replayed { .. }));
    }

    // A longer retention does not bring the floor down, a shorter one lets it rise.
    retention(s, 10_000).await;
    let held = drop_at(s, hour - 168).await.unwrap();
    assert_eq!((held.floor_hour, held.allowed_hour), (hour - 168, hour - 168));
    retention(s, 1).await;
    let risen = drop_at(s, hour - 168).await.unwrap();
    assert_eq!((risen.floor_hour, risen.unlinked), (hour - 1, 1));
    assert_eq!(s.settle_as(&new, &request).await, Answer::Expired);
    assert!(matches!(s.settle_as(&kept, &request).await, Answer::Replayed { .. }), "kept is kept");
    assert_eq!(s.dump().await.hash("campaign:c")["issued"], "3");
}

#[tokio::test]
async fn waiting_alone_never_expires_a_job() {
    let mut space = Space::new().await;
    let s = &mut space;
    let hour = s.now_ms().await / HOUR_MS;
    let floor = s.set_floor(-2_000).await;
    let other = QueueName::parse("other").unwrap();
    queue::queue(&mut s.link, &s.keys, &other, None).await.unwrap();
    s.queue = other.clone();
    let stream = s.keys.queue(&other);
    // A waiting entry, enqueued 500 hours ago; then it is pending; then settled.
    let entry = format!("{}-0", (hour - 500) * HOUR_MS);
    s.run(&["XADD", &stream, &entry, "job", "{}"]).await;
    let first = drop_at(s, floor).await.unwrap();
    assert_eq!((first.floor_hour, first.allowed_hour), (floor + BUCKETS_MAX, hour - 668), "in steps");
    assert_eq!(drop_at(s, first.floor_hour).await.unwrap().floor_hour, hour - 668);
    s.take("w", 9).await;
    assert_eq!(drop_at(s, hour - 668).await.unwrap().floor_hour, hour - 668);
    let poison = tollgate::ids::JobId::poison(&other, &entry);
    let parking = tollgate::scripts::park::Parking {
        entry: &entry,
        id: &poison,
        fingerprint: tollgate::fingerprint::Fingerprint::of_poison(b"{}"),
        attempts: 0,
        envelope: b"{}",
        destination: tollgate::scripts::park::Destination::Dead(tollgate::code::Code::MissingField),
    };
    s.park_as(parking).await.unwrap();
    assert_eq!(drop_at(s, hour - 668).await.unwrap().floor_hour, hour - 168);
}

#[tokio::test]
async fn what_cannot_be_seen_whole_drops_nothing() {
    let mut space = Space::new().await;
    let s = &mut space;
    let floor = s.set_floor(-2_000).await;
    let queues = s.queues().await;
    let stream = s.keys.queue(&s.queue);
    let before = s.dump().await;
    let stale = receipts_drop(&mut s.link, &s.keys, &[], floor, Pace::ByHand, 9).await.unwrap_err();
    assert_eq!(stale, ScriptError::StaleKeys);
    let head = s.keys.head();
    s.run(&["HSET", &head, "frozen", "look"]).await;
    let frozen = receipts_drop(&mut s.link, &s.keys, &queues, floor, Pace::ByHand, 9).await.unwrap_err();
    assert_eq!(frozen, ScriptError::Frozen("look".to_owned()));
    s.run(&["HSET", &head, "frozen", "0"]).await;
    assert!(before.changed(&s.dump().await).is_empty());
    s.run(&["DEL", &stream]).await;
    let before = s.dump().await;
    let corrupt = receipts_drop(&mut s.link, &s.keys, &queues, floor, Pace::ByHand, 9).await.unwrap_err();
    assert!(matches!(corrupt, ScriptError::CorruptPartition(_)), "{corrupt}");
    assert!(before.changed(&s.dump().await).is_empty());
}

#[tokio::test]
async fn lookup_tells_what_is_known_of_an_id() {
    let mut space = Space::new().await;
    let s = &mut space;
    s.make(create("c", 1)).await;
    s.set_floor(-500).await;
    let request = redeem("c", "u", 1);
    let ids = [
        timed_id(0, 1),    // decided
        id("mine"),        // decided, timeless
        timed_id(0, 2),    // scheduled
        timed_id(-400, 3), // dead, and below the floor
        timed_id(0, 4),    // put back
        timed_id(-400, 5), // below the floor, no trace
        timed_id(0, 6),    // waits in a stream
        timed_id(-400, 7), // decided, and its bucket gone
    ];
    let seq = |answer: Answer| match answer {
        Answer::Decided { seq, .. } => seq,
        other => panic!("{other:?}"),
    };
    let first = seq(s.settle_as(&ids[0], &request).await);
    let second = seq(s.settle_as(&ids[1], &request).await);
    s.settle_as(&ids[7], &request).await;
    let jobs: Vec<_> = ids[2..5].iter().map(|id| job(id, request.clone())).collect();
    let entries = s.deliver("w", &jobs).await;
    let at = Instant::from_ms(s.now_ms().await + HOUR_MS).unwrap();
    let dead = Destination::Dead(Code::WorkerLost);
    s.park(&entries[0], Destination::Scheduled(at)).await.unwrap();
    s.park(&entries[1], dead).await.unwrap();
    s.park(&entries[2], dead).await.unwrap();
    let queues = s.queues().await;
    tollgate::scripts::dead::retry(&mut s.link, &s.keys, &queues, &ids[4..5]).await.unwrap();
    s.enqueue(&[job(&ids[6], request.clone())]).await;
    s.set_floor(-168).await;
    let before = s.dump().await;
    let (head_seq, traces) = lookup(&mut s.link, &s.keys, &ids).await.unwrap();
    assert_eq!(head_seq, s.stats().await.head.seq);
    let fingerprint = Fingerprint::of(&request);
    let parked = |trace: &Trace, expected: ParkedState, reason: Option<Code>| match trace {
        Trace::Parked { state, fingerprint: of, reason: why, .. } => {
            assert_eq!((*state, *of, *why), (expected, fingerprint, reason));
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(traces[0], Trace::Receipt { fingerprint, code: Code::Redeemed, seq: first, given_back: None });
    assert_eq!(
        traces[1],
        Trace::Receipt { fingerprint, code: Code::CampaignLimitReached, seq: second, given_back: None }
    );
    parked(&traces[2], ParkedState::Scheduled, None);
    assert!(matches!(traces[2], Trace::Parked { at_ms, .. } if at_ms == at.ms()));
    parked(&traces[3], ParkedState::Dead, Some(Code::WorkerLost));
    parked(&traces[4], ParkedState::Queued, Some(Code::WorkerLost));
    assert_eq!(traces[5..], [Trace::Expired, Trace::None, Trace::Expired]);
    assert!(before.changed(&s.dump().await).is_empty());

    // Damage is said, not passed off as "never heard of it".
    let (parked_key, kept) = (s.keys.parked(), s.keys.receipts(Bucket::Kept));
    for (key, field) in [(&parked_key, ids[2].as_str()), (&kept, "mine")] {
        s.run(&["HSET", key, field, "scratched"]).await;
        let refused = lookup(&mut s.link, &s.keys, &ids).await.unwrap_err();
        assert!(refused.to_string().contains(field), "{refused}");
        s.run(&["SET", key, "text"]).await;
        let refused = lookup(&mut s.link, &s.keys, &ids).await.unwrap_err();
        assert!(matches!(refused, ScriptError::CorruptPartition(_)), "{refused}");
        s.run(&["DEL", key]).await;
    }
    let head = s.keys.head();
    s.run(&["DEL", &head]).await;
    assert_eq!(lookup(&mut s.link, &s.keys, &ids).await.unwrap_err(), ScriptError::Uninitialised);
}

/// A clock that is wrong for a while: workers raise the floor by what went by, an hour in a minute at most.
#[tokio::test]
async fn workers_raise_the_floor_at_the_pace_of_time() {
    let mut space = Space::new().await;
    let s = &mut space;
    let (head, hour) = (s.keys.head(), s.now_ms().await / HOUR_MS);
    let floor = s.set_floor(-368).await;
    let paced = async |s: &mut Space, from: u64| {
        let queues = s.queues().await;
        receipts_drop(&mut s.link, &s.keys, &queues, from, Pace::Paced, 9).await.unwrap().unwrap()
    };
    // The namespace was made just now, so no hour has gone by.
    let raised = paced(s, floor).await;
    assert_eq!((raised.floor_hour, raised.allowed_hour, raised.by_rule_hour), (floor, floor, hour - 168));
    // As if it had last risen three hours ago, or if the clock were so far ahead.
    let ago = (s.now_ms().await - 3 * HOUR_MS - 1_000).to_string();
    s.run(&["HSET", &head, "floor_credit_ms", &ago]).await;
    for n in 1..=3 {
        let raised = paced(s, floor + n - 1).await;
        assert_eq!(raised.floor_hour, floor + n, "an hour at a time");
        assert_eq!(paced(s, floor + n).await.floor_hour, floor + n, "and not another within a minute");
        s.run(&["HSET", &head, "floor_step_ms", "0"]).await;
    }
    assert_eq!(paced(s, floor + 3).await.floor_hour, floor + 3, "what went by is used up");
    // By hand the rule alone counts.
    assert_eq!(drop_at(s, floor + 3).await.unwrap().floor_hour, hour - 168);
}

/// What was raised wrongly is lowered as far as nothing was dropped, and no id executes twice by that.
#[tokio::test]
async fn a_floor_that_was_raised_wrongly_is_lowered_without_a_second_effect() {
    let mut space = Space::new().await;
    let s = &mut space;
    s.make(create("c", 99)).await;
    let floor = s.set_floor(-400).await;
    let (head, request) = (s.keys.head(), redeem("c", "u", 1));
    s.run(&["HSET", &head, "dropped_hour_highest", &(floor - 1).to_string()]).await;
    // One is decided and loses its receipt; one is parked meanwhile, and one fresh one comes too late.
    let (dropped, parked, fresh_id) = (timed_id(-390, 1), timed_id(-100, 2), timed_id(-50, 3));
    assert_eq!(s.settle_as(&dropped, &request).await.code(), Some(Code::Redeemed));
    let entries = s.deliver("w", &[job(&parked, request.clone())]).await;
    s.park(&entries[0], Destination::Dead(Code::WorkerLost)).await.unwrap();
    retention(s, 1).await;
    let raised = drop_at(s, floor).await.unwrap();
    assert_eq!(raised.unlinked, 1);
    assert_eq!(s.settle_as(&fresh_id, &request).await, Answer::Expired);
    let Answer::Decided { seq, .. } = s.settle_as(&parked, &request).await else { panic!("it was parked") };
    assert!(s.dump().await.hash("receipts:kept").contains_key(parked.as_str()));

    let lowered = receipts_lower(&mut s.link, &s.keys).await.unwrap();
    let Bucket::Hour(dropped_hour) = dropped.bucket() else { panic!() };
    assert_eq!((lowered.floor_hour_before, lowered.floor_hour), (raised.floor_hour, dropped_hour + 1));
    // The fresh one may execute now, the parked one has its receipt in kept, the dropped one stays expired.
    assert_eq!(s.settle_as(&fresh_id, &request).await.code(), Some(Code::Redeemed));
    assert_eq!(s.settle_as(&parked, &request).await, Answer::Replayed { code: Code::Redeemed, seq });
    assert_eq!(s.settle_as(&dropped, &request).await, Answer::Expired);
    let ids = [fresh_id.clone(), parked.clone(), dropped.clone()];
    let (_, traces) = lookup(&mut s.link, &s.keys, &ids).await.unwrap();
    assert!(
        matches!(traces[..], [Trace::Receipt { .. }, Trace::Receipt { .. }, Trace::Expired]),
        "{traces:?}"
    );
    let entries = s.deliver("w", &[job(&parked, request.clone())]).await;
    let told = s.park(&entries[0], Destination::Dead(Code::WorkerLost)).await.unwrap();
    assert!(matches!(told, tollgate::scripts::park::Parked::Answered(Answer::Replayed { .. })), "{told:?}");
    assert_eq!(s.dump().await.hash("campaign:c")["issued"], "3");
    let report = tollgate_audit::audit(&s.tollgate, &[], &|_| {}).await.unwrap();
    assert_eq!(report.violations, []);
}
