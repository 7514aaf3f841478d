//! Every script twice: a cluster client sends a call again by itself, and a worker does after a lost reply.
//!
//! The list below has for each script what its header says under `repeat`, word for word, and a call that shows it: the
//! second answer is that, and it changes no key but where this says so. (Locks and fences: see `lock`.)

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::Duration;

use tollgate::code::Code;
use tollgate::ids::{JobId, QueueName};
use tollgate::job::Job;
use tollgate::partition::Partitions;
use tollgate::scripts::park::{Destination, Parked};
use tollgate::scripts::payout;
use tollgate::scripts::queue::{Apply, Repair};
use tollgate::scripts::settle::Answer;
use tollgate::scripts::{
    beat, dead, hand_back, init, integrity, lookup, promote, queue, ready, reap, receipts_drop,
    receipts_lower, recover, repair, stats, stock_load, survey, trim,
};
use tollgate::tag::Tag;

use crate::space::*;

/// What the header of a script says under `repeat`.
fn header(script: &str) -> String {
    let file = if script == "settle" { "settle/main" } else { script };
    let path = format!("{}/lua/{file}.lua", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines().skip_while(|line| !line.starts_with("-- repeat "));
    let first = lines.next().unwrap().trim_start_matches("-- repeat");
    let more = lines.map_while(|line| line.strip_prefix("--          "));
    std::iter::once(first).chain(more).map(str::trim).collect::<Vec<_>>().join(" ")
}

/// A test for each script: what its header says, and a call that shows it.
macro_rules! twice {
    ($($script:ident $says:literal => $show:expr;)+) => {
        const SCRIPTS: &[&str] = &[$(stringify!($script)),+];
        $(#[tokio::test]
        async fn $script() {
            assert_eq!(header(stringify!($script)), $says, "the header has changed: is it shown below?");
            show($show).await;
        })+
    };
}

async fn show(script: impl AsyncFnOnce(&mut Space)) {
    script(&mut Space::new().await).await;
}

/// Runs `call` twice; answers both answers and which keys the second one changed.
async fn twice<T>(s: &mut Space, mut call: impl AsyncFnMut(&mut Space) -> T) -> (T, T, Vec<String>) {
    let first = call(s).await;
    let before = s.dump().await;
    let second = call(s).await;
    (first, second, before.changed(&s.dump().await))
}

/// The second call answers so, and changes nothing.
async fn again<T: PartialEq + Debug>(
    s: &mut Space,
    expected: (T, T),
    call: impl AsyncFnMut(&mut Space) -> T,
) {
    let (first, second, changed) = twice(s, call).await;
    assert_eq!((first, second), expected);
    assert_eq!(changed, [""; 0], "the second call changed something");
}

/// The same, of one that answers the same.
async fn the_same<T: PartialEq + Debug>(s: &mut Space, call: impl AsyncFnMut(&mut Space) -> T) {
    let (first, second, changed) = twice(s, call).await;
    assert_eq!(first, second);
    assert_eq!(changed, [""; 0], "the second call changed something");
}

/// Two redemptions, in flight under `w`.
async fn in_flight(s: &mut Space) -> Vec<(String, Job)> {
    s.make(create("c", 9)).await;
    s.deliver("w", &[fresh(redeem("c", "u", 1)), fresh(redeem("c", "u", 1))]).await
}

/// A job that is dead, and the queues.
async fn dead(s: &mut Space) -> (Job, Vec<QueueName>) {
    let entries = in_flight(s).await;
    s.park(&entries[0], Destination::Dead(Code::WorkerLost)).await.unwrap();
    (entries[0].1.clone(), s.queues().await)
}

async fn other_queue(s: &mut Space) -> QueueName {
    let other = QueueName::parse("other").unwrap();
    queue::queue(&mut s.link, &s.keys, &other, None).await.unwrap();
    other
}

const RETENTION_CHANGED: Duration = Duration::from_secs(7_200);

twice! {
    init_head "changed, with the same values." => async |s: &mut Space| {
        let partition = Partitions::ONE.get(0).unwrap();
        again(s, (init::HeadInit::Changed, init::HeadInit::Changed), async |s| {
            let parameters = s.parameters(RETENTION_CHANGED);
            init::head(&mut s.link, &s.keys, partition, &parameters).await.unwrap()
        }).await;
    };
    init_meta "the same." => async |s: &mut Space| {
        let namespace = s.tollgate.namespace().clone();
        let written = init::MetaInit::Written(s.tollgate.identity().clone());
        again(s, (written.clone(), written), async |s| {
            let parameters = s.parameters(RETENTION_CHANGED);
            let tags = Tag::all(&namespace, Partitions::ONE);
            init::meta(&mut s.link, &namespace, init::MetaState::Ready, &parameters, &tags).await.unwrap()
        }).await;
    };
    queue "the same." => async |s: &mut Space| {
        let other = QueueName::parse("other").unwrap();
        let active = queue::QueueStatus::Active;
        again(s, (active, active), async |s| {
            queue::queue(&mut s.link, &s.keys, &other, None).await.unwrap()
        }).await;
    };
    queue_repair "intact." => async |s: &mut Space| {
        let other = other_queue(s).await;
        s.run(&["DEL", &s.keys.queue(&other)]).await;
        let repaired = Repair::Repaired { wrong: "no_stream".to_owned(), waiting: 0, lost: 0 };
        again(s, (repaired, Repair::Intact), async |s| {
            queue::repair(&mut s.link, &s.keys, &other, Apply::Yes).await.unwrap()
        }).await;
    };
    settle "every job that the first call decided answers replayed; the rest is tried again." =>
    async |s: &mut Space| {
        let mut entries = in_flight(s).await;
        entries.extend(s.deliver("w", &[fresh(redeem("nowhere", "u", 1))]).await);
        let (first, second, changed) = twice(s, async |s| s.settle_entries(&entries).await.answers).await;
        for (first, second) in first.iter().zip(&second).take(2) {
            let Answer::Decided { code: code @ Code::Redeemed, seq } = *first else { panic!("{first:?}") };
            assert_eq!(*second, Answer::Replayed { code, seq });
        }
        assert_eq!([first[2], second[2]], [Answer::Undecided(Code::CampaignNotFound); 2]);
        assert_eq!(changed, [""; 0], "what has left its row counts nothing");
    };
    park "not_owner: what the first call moved has left the row." => async |s: &mut Space| {
        let entries = in_flight(s).await;
        again(s, (Parked::Moved, Parked::NotOwner), async |s| {
            s.park(&entries[1], Destination::Dead(Code::WorkerLost)).await.unwrap()
        }).await;
    };
    lookup "the same, later." => async |s: &mut Space| {
        let (job, _) = dead(s).await;
        the_same(s, async |s| {
            lookup::lookup(&mut s.link, &s.keys, std::slice::from_ref(&job.id)).await.unwrap()
        }).await;
    };
    ready "the same, later." => async |s: &mut Space| {
        s.enqueue(&[fresh(redeem("c", "u", 1))]).await;
        let all = [s.queue.clone(), other_queue(s).await];
        again(s, (all[..1].to_vec(), all[..1].to_vec()), async |s| {
            ready::ready(&mut s.link, &s.keys, &all).await.unwrap()
        }).await;
    };
    dead_retry "absent for what the first call put back." => async |s: &mut Space| {
        let (job, queues) = dead(s).await;
        again(s, (dead::DeadResult::Requeued, dead::DeadResult::Absent), async |s| {
            dead::retry(&mut s.link, &s.keys, &queues, std::slice::from_ref(&job.id)).await.unwrap()[0]
        }).await;
    };
    dead_discard "absent for what the first call discarded." => async |s: &mut Space| {
        let (job, _) = dead(s).await;
        again(s, (dead::DeadResult::Discarded, dead::DeadResult::Absent), async |s| {
            dead::discard(&mut s.link, &s.keys, std::slice::from_ref(&job.id)).await.unwrap()[0]
        }).await;
    };
    promote "promotes what has become due since." => async |s: &mut Space| {
        let entries = in_flight(s).await;
        s.park_due(&entries[0]).await;
        let queues = s.queues().await;
        let promote = async |s: &mut Space| {
            let promoted = promote::promote(&mut s.link, &s.keys, &queues, 9).await.unwrap();
            (promoted.promoted, promoted.damaged)
        };
        again(s, ((1, 0), (0, 0)), promote).await;
        s.park_due(&entries[1]).await;
        assert_eq!(promote(s).await, (1, 0));
    };
    recover "what the first call took over is the caller's: it is named again, and counted no more." =>
    async |s: &mut Space| {
        in_flight(s).await;
        again(s, (vec![(2, 2)], vec![(2, 2)]), async |s| {
            let (recovery, alone) = (recover::Recovery::Others(Duration::ZERO), recover::Company::Alone);
            let found = recover::recover(&mut s.link, &s.keys, &s.queue, "heir", recovery, alone, &[]);
            found.await.unwrap().rows.iter().map(|row| (row.deliveries, row.count)).collect::<Vec<_>>()
        }).await;
    };
    hand_back "handed_back; what was given up already is given up." => async |s: &mut Space| {
        in_flight(s).await;
        again(s, (1, 0), async |s| {
            hand_back::hand_back(&mut s.link, &s.keys, &s.queue, "w").await.unwrap()
        }).await;
    };
    trim "trimmed, of what is left." => async |s: &mut Space| {
        let entries = in_flight(s).await;
        s.settle_entries(&entries[1..]).await;
        again(s, (true, false), async |s| {
            trim::trim(&mut s.link, &s.keys, &s.queue, 0).await.unwrap().removed > 0
        }).await;
    };
    take "begun; a second take reads on." => async |s: &mut Space| {
        s.enqueue(&[fresh(redeem("c", "u", 1)), fresh(redeem("c", "u", 1))]).await;
        let (first, second, changed) = twice(s, async |s| s.take("w", 1).await.remove(0).entry).await;
        assert!(first < second, "{first} {second}");
        assert_eq!(changed, ["head", "in_flight:default", "queue:default"]);
        // Nothing is left to read.
        again(s, (0, 0), async |s| s.take("w", 9).await.len()).await;
    };
    stats "the same, later." => async |s: &mut Space| {
        let (_, queues) = dead(s).await;
        the_same(s, async |s| {
            let stats = stats::stats(&mut s.link, &s.keys, &queues).await.unwrap();
            stats::PartitionStats { at_ms: 0, ..stats }
        }).await;
    };
    survey "the same, later." => async |s: &mut Space| {
        dead(s).await;
        the_same(s, async |s| {
            let stats = survey::read(&mut s.link, &s.keys).await.unwrap();
            stats::PartitionStats { at_ms: 0, ..stats }
        }).await;
    };
    integrity "the same, later." => async |s: &mut Space| {
        dead(s).await;
        let parked = s.keys.parked();
        s.run(&["DEL", &parked]).await;
        the_same(s, async |s| {
            let missing = integrity::integrity(&mut s.link, &s.keys).await.unwrap();
            assert_eq!(missing.len(), 1, "{missing:?}");
            missing
        }).await;
    };
    beat "beats again." => async |s: &mut Space| {
        let (first, second, changed) =
            twice(s, async |s| beat::beat(&mut s.link, &s.keys, "w", "{}").await.unwrap().at_ms).await;
        assert!(first <= second && changed.iter().all(|key| key == "workers"), "{changed:?}");
    };
    reap "reaped." => async |s: &mut Space| {
        beat::beat(&mut s.link, &s.keys, "w", "{}").await.unwrap();
        again(s, (reap::Reaped::Gone, reap::Reaped::Gone), async |s| {
            reap::reap(&mut s.link, &s.keys, "w", Duration::ZERO).await.unwrap()
        }).await;
    };
    receipts_drop "moved, or dropped with nothing to do." => async |s: &mut Space| {
        let (queues, floor) = (s.queues().await, s.stats().await.head.receipts_floor_hour);
        let partition = Partitions::ONE.get(0).unwrap();
        let parameters = s.parameters(RETENTION_CHANGED);
        init::head(&mut s.link, &s.keys, partition, &parameters).await.unwrap();
        let drop = async |s: &mut Space, floor| {
            let pace = receipts_drop::Pace::ByHand;
            receipts_drop::receipts_drop(&mut s.link, &s.keys, &queues, floor, pace, 9).await.unwrap()
        };
        again(s, (Some(0), None), async |s| Some(drop(s, floor).await?.unlinked)).await;
        // It is as far as it may go.
        let mut floor = s.stats().await.head.receipts_floor_hour;
        while let Some(dropped) = drop(s, floor).await.filter(|dropped| dropped.floor_hour > floor) {
            floor = dropped.floor_hour;
        }
        the_same(s, async |s| drop(s, floor).await).await;
    };
    receipts_lower "lowered, with the same floor before and now." => async |s: &mut Space| {
        s.set_floor(-1).await;
        let (first, second, changed) =
            twice(s, async |s| receipts_lower::receipts_lower(&mut s.link, &s.keys).await.unwrap()).await;
        assert!(first.floor_hour_before >= first.floor_hour, "{first:?}");
        assert_eq!((second.floor_hour_before, second.floor_hour), (first.floor_hour, first.floor_hour));
        assert_eq!(changed, [""; 0]);
    };
    payouts_due "the same, later." => async |s: &mut Space| {
        held(s).await;
        the_same(s, async |s| {
            let due = payout::due(&mut s.link, &s.keys, 9).await.unwrap();
            assert_eq!(due.count, 1);
            payout::Due { at_ms: 0, ..due }
        }).await;
    };
    repair "moved: the note of the first call has moved the hash." => async |s: &mut Space| {
        s.make(open("a", 9)).await;
        let head = s.dump().await.hash("head");
        let seq = head["seq"].parse().unwrap();
        again(s, (repair::Written::Repaired, repair::Written::Moved), async |s| {
            let (key, member) = (s.keys.resources(), "account:a".to_owned());
            let writes = [repair::Write::Add { key, score: 0, member }];
            let at = repair::At { seq, hash: &head["hash"] };
            repair::write(&mut s.link, &s.keys, at, None, "a note", &writes).await.unwrap()
        }).await;
    };
    stock_load "taken: a bucket that is there is not counted again." => async |s: &mut Space| {
        s.make(tollgate::kinds::InventoryCreate::new("shop".parse().unwrap()).into()).await;
        let list = crate::inventory::stock(&[("pen", 3)]);
        let buckets = [(0, "\npen\t3\t0\n".to_owned())];
        let so = stock_load::Taken::So { items: 1, units: 3 };
        again(s, (so.clone(), so), async |s| {
            let (keys, id) = (s.keys.clone(), "shop".parse().unwrap());
            stock_load::stock_load(&mut s.link, &keys, &id, (list.name(), 1), &buckets).await.unwrap()
        }).await;
    };
    repair_parked "intact for what the first call put right." => async |s: &mut Space| {
        s.run(&["ZADD", &s.keys.dead(), "1", "no-row"]).await;
        again(s, (repair::ParkedRepair::Lost, repair::ParkedRepair::Intact), async |s| {
            let ids = ["no-row".parse().unwrap()];
            repair::parked(&mut s.link, &s.keys, None, "a note", Apply::Yes, &ids).await.unwrap()[0]
        }).await;
    };
}

#[test]
fn every_script_is_called_twice() {
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/lua")).unwrap();
    let files: BTreeSet<String> = files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "parts" && !name.starts_with("lock_") && !name.starts_with("fence_"))
        .map(|name| name.trim_end_matches(".lua").to_owned())
        .collect();
    assert_eq!(SCRIPTS.iter().map(ToString::to_string).collect::<BTreeSet<_>>(), files);
}

/// An account, and a payout of some of it, on hold.
async fn held(s: &mut Space) -> JobId {
    s.make(open("a", 9)).await;
    let id = JobId::fresh();
    assert_eq!(s.settle_as(&id, &payout("a", 5)).await.code(), Some(Code::Held));
    id
}

/// The kinds of settle that have no receipt of their own.
#[tokio::test]
async fn a_step_of_a_payout_is_replayed() {
    let mut space = Space::new().await;
    let s = &mut space;
    let (id, account) = (held(s).await, "a".parse().unwrap());
    let begin = payout::Begin {
        key: "attempt",
        lease: Duration::from_secs(60),
        retry: payout::Retry::SameKey,
        key_window: Duration::from_secs(60),
        backoff: Duration::from_secs(1),
        gateway: &crate::harness::GATEWAY,
        idempotency_key: &crate::harness::PAYOUT_KEY,
    };
    for step in [payout::Step::Begin(begin), payout::Step::Paid { note: "yes" }] {
        let got = twice(s, async |s| payout::step(&mut s.link, &s.keys, &account, &id, &step).await.unwrap());
        let (first, second, changed) = got.await;
        let Answer::Decided { code, seq } = first else { panic!("{step:?}: {first:?}") };
        assert_eq!(second, Answer::Replayed { code, seq }, "{step:?}");
        assert!(changed.iter().all(|key| key == "head"), "{step:?}: {changed:?}");
    }
}
