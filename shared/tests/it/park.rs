//! `park`: every way an entry leaves its stream undecided, and every way it does not.

use tollgate::code::Code;
use tollgate::ids::JobId;
use tollgate::instant::Instant;
use tollgate::scripts::park::{Destination, Parked};
use tollgate::scripts::recover::Company;
use tollgate::scripts::settle::Answer;
use tollgate::scripts::{dead, promote};

use crate::space::*;

const DEAD: Destination = Destination::Dead(Code::WorkerLost);

async fn in_an_hour(space: &mut Space) -> Destination {
    Destination::Scheduled(Instant::from_ms(space.now_ms().await + 3_600_000).unwrap())
}

#[tokio::test]
async fn an_entry_moves_to_scheduled_or_to_dead() {
    let mut space = Space::new().await;
    let s = &mut space;
    let later = in_an_hour(s).await;
    let entries = s.deliver("w", &[fresh(redeem("c", "u", 1)), fresh(redeem("c", "v", 1))]).await;
    let before = s.dump().await;
    assert_eq!(s.park(&entries[0], later).await.unwrap(), Parked::Moved);
    assert_eq!(s.park(&entries[1], DEAD).await.unwrap(), Parked::Moved);
    let after = s.dump().await;
    assert_eq!(before.changed(&after), ["dead", "head", "in_flight:default", "parked", "scheduled"]);
    assert_eq!(after.members("scheduled"), [entries[0].1.id.as_str()]);
    assert_eq!(after.members("dead"), [entries[1].1.id.as_str()]);
    let Destination::Scheduled(at) = later else { panic!() };
    let row = &after.hash("parked")[entries[0].1.id.as_str()];
    let words: Vec<&str> = row.splitn(8, '\t').collect();
    let due = at.ms().to_string();
    assert_eq!([words[0], words[2], words[3], words[4], words[5]], ["scheduled", "0", "default", "", &due]);
    assert_eq!((words[6], words[7]), ("", entries[0].1.encode().as_str()));
    assert!(after.hash("parked")[entries[1].1.id.as_str()].contains("\tworker_lost\t"));
    let stats = s.stats().await;
    assert_eq!((stats.head.acked, stats.head.to_scheduled, stats.head.to_dead), (2, 1, 1));
    assert_eq!(stats.queues[0].in_flight, 0);
}

#[tokio::test]
async fn what_is_due_is_not_moved() {
    let mut space = Space::new().await;
    let s = &mut space;
    let entries = s.deliver("w", &[fresh(redeem("c", "u", 1))]).await;
    let before = s.dump().await;
    for ago in [0, 1, 3_600_000] {
        let at = Instant::from_ms(s.now_ms().await - ago).unwrap();
        assert_eq!(s.park(&entries[0], Destination::Scheduled(at)).await.unwrap(), Parked::Due);
    }
    assert!(before.changed(&s.dump().await).is_empty());
}

#[tokio::test]
async fn a_zombie_moves_nothing() {
    let mut space = Space::new().await;
    let s = &mut space;
    s.make(create("c", 9)).await;
    let entries = s.deliver("zombie", &[fresh(redeem("c", "u", 1)), fresh(redeem("c", "v", 1))]).await;
    let idle = std::time::Duration::ZERO;
    let as_zombie = s.known();
    assert!(s.take_over("heir", idle, Company::Others).await.is_some());
    let as_heir = s.known();
    s.know_again(&as_zombie);
    let before = s.dump().await;
    assert_eq!(s.park(&entries[0], DEAD).await.unwrap(), Parked::NotOwner);
    assert_eq!(s.park(&entries[0], DEAD).await.unwrap(), Parked::NotOwner);
    assert!(before.changed(&s.dump().await).is_empty());
    // Also when the heir has settled one and parked the other meanwhile.
    s.know_again(&as_heir);
    s.settle_entries(&entries[..1]).await;
    assert_eq!(s.park(&entries[1], DEAD).await.unwrap(), Parked::Moved);
    let later = in_an_hour(s).await;
    let before = s.dump().await;
    s.know_again(&as_zombie);
    for entry in &entries {
        assert_eq!(s.park(entry, later).await.unwrap(), Parked::NotOwner);
    }
    assert!(before.changed(&s.dump().await).is_empty());
    // Nor does it decide what waits in dead: that is an operator's by now.
    let answers = s.settle_entries(&entries).await.answers;
    assert!(matches!(answers[..], [Answer::Replayed { .. }, Answer::NotOwner]), "{answers:?}");
    let stats = s.stats().await;
    assert_eq!((stats.dead, stats.parked, stats.head.overtaken, stats.head.acked), (1, 1, 0, 2));
    assert_eq!(s.dump().await.hash("campaign:c")["issued"], "1");
}

#[tokio::test]
async fn what_is_decided_is_only_acknowledged() {
    let mut space = Space::new().await;
    let s = &mut space;
    s.make(create("c", 9)).await;
    let twice = fresh(redeem("c", "u", 1));
    let other = job(&twice.id, redeem("c", "v", 1));
    let old = job(&timed_id(-400, 1), redeem("c", "u", 1));
    let entries = s.deliver("w", &[twice.clone(), twice, other, old]).await;
    let answers = s.settle_entries(&entries[..1]).await.answers;
    let Answer::Decided { seq, .. } = answers[0] else { panic!("{answers:?}") };
    let before = s.dump().await;
    let told = [Answer::Replayed { code: Code::Redeemed, seq }, Answer::Mismatch { seq }, Answer::Expired];
    for (entry, answer) in entries[1..].iter().zip(told) {
        assert_eq!(s.park(entry, DEAD).await.unwrap(), Parked::Answered(answer));
        assert_eq!(s.park(entry, DEAD).await.unwrap(), Parked::NotOwner, "the repeat");
    }
    let after = s.dump().await;
    assert_eq!(before.changed(&after), ["head", "in_flight:default"]);
    let stats = s.stats().await;
    let head = &stats.head;
    assert_eq!((head.acked, head.replayed, head.mismatched, head.expired), (4, 1, 1, 1));
    assert_eq!((stats.dead, stats.parked), (0, 0));
}

#[tokio::test]
async fn one_row_stands_for_every_copy_of_a_parked_job() {
    let mut space = Space::new().await;
    let s = &mut space;
    let one = fresh(redeem("c", "u", 1));
    let other = job(&one.id, redeem("c", "v", 1));
    let entries = s.deliver("w", &[one.clone(), one, other]).await;
    let later = in_an_hour(s).await;
    assert_eq!(s.park(&entries[0], later).await.unwrap(), Parked::Moved);
    let before = s.dump().await;
    assert_eq!(s.park(&entries[1], DEAD).await.unwrap(), Parked::AlreadyParked);
    let mismatch = Parked::Answered(Answer::Mismatch { seq: 0 });
    assert_eq!(s.park(&entries[2], DEAD).await.unwrap(), mismatch);
    assert_eq!(before.changed(&s.dump().await), ["head", "in_flight:default"]);
    let stats = s.stats().await;
    assert_eq!((stats.scheduled, stats.dead, stats.head.acked, stats.head.to_scheduled), (1, 0, 3, 1));
}

#[tokio::test]
async fn a_lost_job_is_kept_however_far_the_floor_rises() {
    let mut space = Space::new().await;
    let s = &mut space;
    s.make(create("c", 9)).await;
    s.set_floor(-500).await;
    let (lost, gone) = (timed_id(-400, 1), timed_id(-400, 2));
    let request = redeem("c", "u", 1);
    let entries = s.deliver("w", &[job(&lost, request.clone()), job(&gone, request.clone())]).await;
    assert_eq!(s.park(&entries[0], DEAD).await.unwrap(), Parked::Moved);
    s.settle_entries(&entries[1..]).await;
    s.set_floor(-168).await;

    // Sent again while it lies in dead: the same request is known to be undecided, another is refused.
    let other = redeem("c", "v", 1);
    assert_eq!(s.settle_as(&lost, &other).await, Answer::Mismatch { seq: 0 });
    let queues = s.queues().await;
    let retried = dead::retry(&mut s.link, &s.keys, &queues, std::slice::from_ref(&lost)).await.unwrap();
    assert_eq!(retried, [dead::DeadResult::Requeued]);
    let entries = s.fetch("w", 1).await;
    // A second death, below the floor: it goes back to dead, under the same row.
    assert_eq!(s.park(&entries[0], DEAD).await.unwrap(), Parked::Moved);
    s.stats().await;
    let Answer::Decided { code: Code::Redeemed, seq } = s.settle_as(&lost, &request).await else { panic!() };
    let dump = s.dump().await;
    assert!(dump.hash("receipts:kept").contains_key(lost.as_str()), "its receipt is where the lookup looks");
    assert_eq!((dump.members("dead").len(), dump.hash("parked").len()), (0, 0));
    // From now on it is as decided as any other.
    let replayed = Answer::Replayed { code: Code::Redeemed, seq };
    assert_eq!(s.settle_as(&lost, &request).await, replayed);
    let entries = s.deliver("w", &[job(&lost, request.clone()), job(&gone, request.clone())]).await;
    assert_eq!(s.park(&entries[0], DEAD).await.unwrap(), Parked::Answered(replayed));
    // The other was decided, its bucket is below the floor: never again.
    assert_eq!(s.settle_as(&gone, &request).await, Answer::Expired);
    assert_eq!(s.park(&entries[1], DEAD).await.unwrap(), Parked::Answered(Answer::Expired));
    assert_eq!(s.dump().await.hash("campaign:c")["issued"], "2");
    s.stats().await;
}

#[tokio::test]
async fn what_is_damaged_waits_in_dead_for_a_repair() {
    let mut space = Space::new().await;
    let s = &mut space;
    s.make(create("c", 9)).await;
    let later = in_an_hour(s).await;
    let (row, receipt) = (id("row"), id("receipt"));
    let jobs = [job(&row, redeem("c", "u", 1)), job(&receipt, redeem("c", "u", 1))];
    let entries = s.deliver("w", &jobs).await;
    let (parked, kept) = (s.keys.parked(), s.keys.receipts(tollgate::ids::Bucket::Kept));
    s.run(&["HSET", &parked, "row", "scratched"]).await;
    s.run(&["HSET", &kept, "receipt", "scratched"]).await;
    for entry in &entries {
        assert_eq!(s.park(entry, later).await.unwrap(), Parked::Moved);
    }
    let dump = s.dump().await;
    let dead = std::collections::BTreeSet::from_iter(dump.members("dead"));
    assert_eq!(Vec::from_iter(dead), ["receipt", "row"]);
    assert!(dump.hash("parked").values().all(|row| row.contains("\tcorrupt_state\t")), "{dump:?}");
    s.stats().await;
}

#[tokio::test]
async fn poison_leaves_no_row_once_it_is_retried() {
    let mut space = Space::new().await;
    let s = &mut space;
    let stream = s.keys.queue(&s.queue);
    let entry = s.text(&["XADD", &stream, "*", "job", "{broken"]).await.unwrap();
    s.take("w", 9).await;
    let poison = JobId::poison(&s.queue, &entry);
    let parking = tollgate::scripts::park::Parking {
        entry: &entry,
        id: &poison,
        fingerprint: tollgate::fingerprint::Fingerprint::of_poison(b"{broken"),
        attempts: 0,
        envelope: b"{broken",
        destination: Destination::Dead(Code::MalformedJson),
    };
    s.park_as(parking).await.unwrap();
    assert_eq!(s.dump().await.members("dead"), [poison.as_str()]);
    let queues = s.queues().await;
    dead::retry(&mut s.link, &s.keys, &queues, &[poison]).await.unwrap();
    let stats = s.stats().await;
    assert_eq!((stats.dead, stats.parked, stats.queues[0].waiting), (0, 0, 1));
}

#[tokio::test]
async fn due_jobs_go_back_once_and_what_is_damaged_does_not_keep_them_back() {
    let mut space = Space::new().await;
    let s = &mut space;
    s.make(create("c", 9)).await;
    let jobs: Vec<_> = (0..4).map(|i| job(&id(&format!("j{i}")), redeem("c", "u", 1))).collect();
    let entries = s.deliver("w", &jobs).await;
    let later = in_an_hour(s).await;
    for entry in &entries {
        s.park(entry, later).await.unwrap();
    }
    let queues = s.queues().await;
    let nothing = promote::promote(&mut s.link, &s.keys, &queues, 10).await.unwrap();
    let Destination::Scheduled(at) = later else { panic!() };
    assert_eq!((nothing.promoted, nothing.damaged, nothing.next_due_ms), (0, 0, Some(at.ms())));
    // Three become due; the first two of them have a damaged row and a queue that is gone.
    let (scheduled, parked) = (s.keys.scheduled(), s.keys.parked());
    s.run(&["ZADD", &scheduled, "1", "j0", "2", "j1", "3", "j2"]).await;
    s.run(&["HSET", &parked, "j0", "scratched"]).await;
    let row = s.dump().await.hash("parked")["j1"].replace("\tdefault\t", "\tgone\t");
    s.run(&["HSET", &parked, "j1", &row]).await;
    for (promoted, damaged) in [(0, 1), (0, 1), (1, 0), (0, 0)] {
        let promotion = promote::promote(&mut s.link, &s.keys, &queues, 1).await.unwrap();
        assert_eq!((promotion.promoted, promotion.damaged), (promoted, damaged));
        s.stats().await;
    }
    let dump = s.dump().await;
    assert_eq!(
        (dump.members("scheduled"), dump.members("dead")),
        (vec!["j3".into()], vec!["j0".into(), "j1".into()])
    );
    assert!(dump.hash("parked")["j2"].starts_with("queued\t"));
    let ids: Vec<_> = jobs.iter().map(|job| job.id.clone()).collect();
    let retried = dead::retry(&mut s.link, &s.keys, &queues, &ids).await.unwrap();
    use dead::DeadResult::{Absent, Damaged, Discarded};
    assert_eq!(retried, [Damaged, Damaged, Absent, Absent]);
    let discarded = dead::discard(&mut s.link, &s.keys, &ids).await.unwrap();
    assert_eq!(discarded, [Discarded, Discarded, Absent, Absent]);
    let stats = s.stats().await;
    assert_eq!((stats.head.discarded, stats.head.requeued, stats.parked), (2, 1, 2));
    let entries = s.fetch("w", 9).await;
    assert_eq!(entries.len(), 1);
    s.settle_entries(&entries).await;
    let stats = s.stats().await;
    assert_eq!((stats.parked, stats.scheduled, stats.head.discarded), (1, 1, 2));
}
