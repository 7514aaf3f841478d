//! Every script twice: a cluster client sends a call again by itself, and a worker does after a lost reply.
//! The second answer is what the script's header says under `repeat:`, and it changes nothing but the counts
//! and times named here. (Locks and fences: see `lock`.)

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::Duration;

use tollgate::code::Code;
use tollgate::ids::JobId;
use tollgate::instant::Instant;
use tollgate::partition::Partitions;
use tollgate::scripts::park::{Destination, Parked};
use tollgate::scripts::payout::{self, Step};
use tollgate::scripts::queue::{Apply, Repair};
use tollgate::scripts::settle::Answer;
use tollgate::scripts::{
    beat, dead, hand_back, init, integrity, lookup, promote, queue, ready, reap, receipts_drop,
    receipts_lower, recover, repair, stats, survey, trim,
};
use tollgate::tag::Tag;

use crate::space::*;

/// Runs `call` twice; answers both answers and which keys the second one changed.
async fn twice<T: Debug>(s: &mut Space, mut call: impl AsyncFnMut(&mut Space) -> T) -> (T, T, Vec<String>) {
    let first = call(s).await;
    let before = s.dump().await;
    let second = call(s).await;
    let changed = before.changed(&s.dump().await);
    (first, second, changed)
}

/// The scripts that were called twice, by the name of their file.
struct Called(BTreeSet<&'static str>);

impl Called {
    fn again<T: PartialEq + Debug>(
        &mut self,
        script: &'static str,
        got: (T, T, Vec<String>),
        expected: (T, T),
    ) {
        let (first, second, changed) = got;
        assert_eq!((first, second), expected, "{script}");
        assert_eq!(changed, [""; 0], "{script}: the second call changed something");
        self.0.insert(script);
    }
}

#[tokio::test]
async fn every_script_answers_a_second_call_as_its_header_says() {
    let mut space = Space::new().await;
    let s = &mut space;
    let mut called = Called(BTreeSet::new());
    let partition = Partitions::ONE.get(0).unwrap();
    let retention = Duration::from_secs(7_200);
    let namespace = s.tollgate.namespace().clone();

    let got = twice(s, async |s| {
        let parameters = s.parameters(retention);
        init::head(&mut s.link, &s.keys, partition, &parameters).await.unwrap()
    });
    called.again("init_head", got.await, (init::HeadInit::Changed, init::HeadInit::Changed));
    let written = init::MetaInit::Written(s.tollgate.identity().clone());
    let got = twice(s, async |s| {
        let ready = init::MetaState::Ready;
        let (parameters, tags) = (s.parameters(retention), Tag::all(&namespace, Partitions::ONE));
        init::meta(&mut s.link, &namespace, ready, &parameters, &tags).await.unwrap()
    });
    called.again("init_meta", got.await, (written.clone(), written));
    let other = tollgate::ids::QueueName::parse("other").unwrap();
    let got = twice(s, async |s| queue::queue(&mut s.link, &s.keys, &other, None).await.unwrap());
    called.again("queue", got.await, (queue::QueueStatus::Active, queue::QueueStatus::Active));
    // Its stream is lost, and repaired.
    s.run(&["DEL", &s.keys.queue(&other)]).await;
    let got = twice(s, async |s| queue::repair(&mut s.link, &s.keys, &other, Apply::Yes).await.unwrap());
    let repaired = Repair::Repaired { wrong: "no_stream".to_owned(), waiting: 0, lost: 0 };
    called.again("queue_repair", got.await, (repaired, Repair::Intact));
    let queues = s.queues().await;

    s.make(create("c", 9)).await;
    s.make(open("a", 9)).await;
    let entries = s.deliver("w", &[fresh(redeem("c", "u", 1)), fresh(redeem("c", "u", 1))]).await;
    let (first, second, changed) = twice(s, async |s| s.settle_entries(&entries[..1]).await.answers[0]).await;
    let Answer::Decided { code, seq } = first else { panic!("{first:?}") };
    assert_eq!(second, Answer::Replayed { code, seq });
    assert_eq!(changed, [""; 0], "what has left its row counts nothing");
    called.0.insert("settle");

    let got = twice(s, async |s| s.park(&entries[1], Destination::Dead(Code::WorkerLost)).await.unwrap());
    called.again("park", got.await, (Parked::Moved, Parked::NotOwner));
    let ids = [entries[1].1.id.clone()];
    let got = twice(s, async |s| lookup::lookup(&mut s.link, &s.keys, &ids).await.unwrap()).await;
    let known = got.0.clone();
    called.again("lookup", got, (known.clone(), known));
    let all = [s.queue.clone()];
    let got = twice(s, async |s| ready::ready(&mut s.link, &s.keys, &all).await.unwrap());
    called.again("ready", got.await, (vec![], vec![]));
    let got = twice(s, async |s| dead::retry(&mut s.link, &s.keys, &queues, &ids).await.unwrap()[0]);
    called.again("dead_retry", got.await, (dead::DeadResult::Requeued, dead::DeadResult::Absent));
    let entries = s.fetch("w", 9).await;
    s.park(&entries[0], Destination::Dead(Code::WorkerLost)).await.unwrap();
    let got = twice(s, async |s| dead::discard(&mut s.link, &s.keys, &ids).await.unwrap()[0]);
    called.again("dead_discard", got.await, (dead::DeadResult::Discarded, dead::DeadResult::Absent));

    let entries = s.deliver("w", &[fresh(redeem("c", "u", 1)), fresh(redeem("c", "u", 1))]).await;
    let at = Instant::from_ms(s.now_ms().await + 200).unwrap();
    assert_eq!(s.park(&entries[0], Destination::Scheduled(at)).await.unwrap(), Parked::Moved);
    crate::harness::until("the job to be due", async || (s.now_ms().await > at.ms()).then_some(())).await;
    let got = twice(s, async |s| {
        let promoted = promote::promote(&mut s.link, &s.keys, &queues, 9).await.unwrap();
        (promoted.promoted, promoted.damaged)
    });
    called.again("promote", got.await, ((1, 0), (0, 0)));

    let got = twice(s, async |s| {
        let (recovery, alone) = (recover::Recovery::Others(Duration::from_secs(0)), recover::Company::Alone);
        let rows =
            recover::recover(&mut s.link, &s.keys, &s.queue, "heir", recovery, alone, &[]).await.unwrap();
        rows.rows.iter().map(|row| (row.deliveries, row.count, row.ids.len())).collect::<Vec<_>>()
    });
    called.again("recover", got.await, (vec![(2, 1, 1)], vec![(2, 1, 1)]));
    let got = twice(s, async |s| hand_back::hand_back(&mut s.link, &s.keys, &s.queue, "heir").await.unwrap());
    called.again("hand_back", got.await, (1, 0));
    let got = twice(s, async |s| trim::trim(&mut s.link, &s.keys, &s.queue, 0).await.unwrap().removed > 0);
    called.again("trim", got.await, (true, false));
    // A second take reads on; here nothing is left to read.
    let taken = twice(s, async |s| s.take("w", 9).await.len()).await;
    called.again("take", taken, (1, 0));
    let got = twice(s, async |s| {
        let stats = stats::stats(&mut s.link, &s.keys, &queues).await.unwrap();
        stats::PartitionStats { at_ms: 0, ..stats }
    });
    let got = got.await;
    let counted = got.0.clone();
    called.again("stats", got, (counted.clone(), counted.clone()));

    let got = twice(s, async |s| {
        let stats = survey::read(&mut s.link, &s.keys).await.unwrap();
        stats::PartitionStats { at_ms: 0, ..stats }
    });
    called.again("survey", got.await, (counted.clone(), counted));

    let got = twice(s, async |s| integrity::integrity(&mut s.link, &s.keys).await.unwrap());
    called.again("integrity", got.await, (Vec::new(), Vec::new()));

    let (first, second, changed) =
        twice(s, async |s| beat::beat(&mut s.link, &s.keys, "w", "{}").await.unwrap().at_ms).await;
    assert!(first <= second && changed.iter().all(|key| key == "workers"));
    called.0.insert("beat");
    let got = twice(s, async |s| reap::reap(&mut s.link, &s.keys, "w", Duration::ZERO).await.unwrap());
    called.again("reap", got.await, (reap::Reaped::Gone, reap::Reaped::Gone));

    let floor = s.stats().await.head.receipts_floor_hour;
    let got = twice(s, async |s| {
        let pace = receipts_drop::Pace::ByHand;
        let dropped =
            receipts_drop::receipts_drop(&mut s.link, &s.keys, &queues, floor, pace, 9).await.unwrap();
        dropped.map(|floor| floor.unlinked)
    });
    called.again("receipts_drop", got.await, (Some(0), None));
    let got =
        twice(s, async |s| receipts_lower::receipts_lower(&mut s.link, &s.keys).await.unwrap().floor_hour);
    let got = got.await;
    let lowered = got.0;
    called.again("receipts_lower", got, (lowered, lowered));

    // The kinds of settle that have no receipt of their own.
    let payout = JobId::fresh();
    let account = "a".parse().unwrap();
    let request = tollgate::kinds::Payout {
        account: "a".parse().unwrap(),
        amount: tollgate::amount::Amount::from_minor(5).unwrap(),
        currency: "USD".parse().unwrap(),
        destination: tollgate::ids::Destination::parse("iban").unwrap(),
    };
    assert_eq!(s.settle_as(&payout, &request).await.code(), Some(Code::Held));
    let begin = payout::Begin {
        key: "attempt",
        lease: Duration::from_secs(60),
        retry: payout::Retry::SameKey,
        key_window: Duration::from_secs(60),
        backoff: Duration::from_secs(1),
        gateway: &crate::harness::GATEWAY,
        idempotency_key: &crate::harness::PAYOUT_KEY,
    };
    for step in [Step::Begin(begin), Step::Paid { note: "yes" }] {
        let got =
            twice(s, async |s| payout::step(&mut s.link, &s.keys, &account, &payout, &step).await.unwrap());
        let (first, second, changed) = got.await;
        let Answer::Decided { code, seq } = first else { panic!("{step:?}: {first:?}") };
        assert_eq!(second, Answer::Replayed { code, seq }, "{step:?}");
        assert_eq!(changed.iter().filter(|key| *key != "head").count(), 0, "{step:?}: {changed:?}");
    }
    let got = twice(s, async |s| {
        let due = payout::due(&mut s.link, &s.keys, 9).await.unwrap();
        due.next_due_ms
    });
    called.again("payouts_due", got.await, (None, None));

    let head = s.dump().await.hash("head");
    let seq = head["seq"].parse().unwrap();
    let got = twice(s, async |s| {
        let at = repair::At { seq, hash: &head["hash"] };
        let writes =
            [repair::Write::Add { key: s.keys.resources(), score: 0, member: "account:a".to_owned() }];
        repair::write(&mut s.link, &s.keys, at, None, "a note", &writes).await.unwrap()
    });
    called.again("repair", got.await, (repair::Written::Repaired, repair::Written::Moved));
    s.run(&["ZADD", &s.keys.dead(), "1", "no-row"]).await;
    let got = twice(s, async |s| {
        let ids = ["no-row".parse().unwrap()];
        repair::parked(&mut s.link, &s.keys, None, "a note", Apply::Yes, &ids).await.unwrap()[0]
    });
    let lost = repair::ParkedRepair::Lost;
    called.again("repair_parked", got.await, (lost, repair::ParkedRepair::Intact));

    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/lua")).unwrap();
    let files: BTreeSet<String> = files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "parts" && !name.starts_with("lock_") && !name.starts_with("fence_"))
        .map(|name| name.trim_end_matches(".lua").to_owned())
        .collect();
    assert_eq!(called.0.iter().map(ToString::to_string).collect::<BTreeSet<_>>(), files);
}
