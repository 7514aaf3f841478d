//! A Redis that refuses to write: every script that would write is refused before it begins, nothing changes,
//! what only reads still works, and work resumes by itself (G21).

use std::time::Duration;

use tollgate::code::Code;
use tollgate::failure::Refusal;
use tollgate::partition::Partitions;
use tollgate::scripts::park::Destination;
use tollgate::scripts::{
    ScriptError, beat, dead, hand_back, init, lookup, promote, queue, reap, receipts_drop, receipts_lower,
    recover, stats, trim,
};
use tollgate::tag::Tag;

use crate::harness::servers;
use crate::space::*;

#[tokio::test]
async fn a_redis_that_refuses_writes_changes_nothing_and_heals() {
    let redis = servers::private(&[]);
    let mut space = Space::on(servers::open(&redis)).await;
    let s = &mut space;
    s.make(create("c", 9)).await;
    let entries = s.deliver("w", &[fresh(redeem("c", "u", 1)), fresh(redeem("c", "u", 1))]).await;
    let ids = [entries[0].1.id.clone()];
    for (setting, refuse, allow, reason) in [
        ("maxmemory", "1", "0", Refusal::OutOfMemory),
        ("min-replicas-to-write", "1", "0", Refusal::TooFewReplicas),
    ] {
        let before = s.dump().await;
        s.run(&["CONFIG", "SET", setting, refuse]).await;
        let queues = [s.queue.clone()];
        let first = Partitions::ONE.get(0).unwrap();
        let (keys, name) = (s.keys.clone(), s.queue.clone());
        let namespace = s.tollgate.namespace().clone();
        let zero = Duration::ZERO;
        let ready = init::MetaState::Ready;
        let (parameters, tags) = (s.parameters(zero), Tag::all(&namespace, Partitions::ONE));
        let by_hand = receipts_drop::Pace::ByHand;
        let (entry, job) = &entries[0];
        let tries = [
            ("settle", s.settle(&[(Some(entry), &job.id, &job.request)]).await.err()),
            ("park", s.park(&entries[0], Destination::Dead(Code::WorkerLost)).await.err()),
            (
                "recover",
                recover::recover(
                    &mut s.link,
                    &keys,
                    &name,
                    "heir",
                    recover::Recovery::Others(zero),
                    recover::Company::Alone,
                    &[],
                )
                .await
                .err(),
            ),
            ("take", tollgate::fetch::Take::new(&keys, &name, "w", 9).run(&mut s.link).await.err()),
            ("hand_back", hand_back::hand_back(&mut s.link, &keys, &name, "w").await.err()),
            ("trim", trim::trim(&mut s.link, &keys, &name, 0).await.err()),
            ("promote", promote::promote(&mut s.link, &keys, &queues, 9).await.err()),
            ("dead_retry", dead::retry(&mut s.link, &keys, &queues, &ids).await.err()),
            ("dead_discard", dead::discard(&mut s.link, &keys, &ids).await.err()),
            ("queue", queue::queue(&mut s.link, &keys, &name, None).await.err()),
            ("init_head", init::head(&mut s.link, &keys, first, &parameters).await.err()),
            ("init_meta", init::meta(&mut s.link, &namespace, ready, &parameters, &tags).await.err()),
            ("beat", beat::beat(&mut s.link, &keys, "w", "{}").await.err()),
            ("reap", reap::reap(&mut s.link, &keys, "w", zero).await.err()),
            (
                "receipts_drop",
                receipts_drop::receipts_drop(&mut s.link, &keys, &queues, 1, by_hand, 9).await.err(),
            ),
            ("receipts_lower", receipts_lower::receipts_lower(&mut s.link, &keys).await.err()),
        ];
        for (script, refused) in tries {
            let Some(ScriptError::Failure(failure)) = &refused else { panic!("{script}: {refused:?}") };
            assert_eq!(failure.refusal(), Some(reason), "{script}: {failure}");
            assert!(!failure.may_have_happened() && failure.is_transient(), "{script}: {failure}");
        }
        lookup::lookup(&mut s.link, &keys, &ids).await.unwrap();
        stats::read(&mut s.link, &keys).await.unwrap();
        assert!(before.changed(&s.dump().await).is_empty(), "{setting}");
        s.run(&["CONFIG", "SET", setting, allow]).await;
    }
    let answers = s.settle_entries(&entries).await.answers;
    assert!(answers.iter().all(|answer| answer.code() == Some(Code::Redeemed)), "{answers:?}");
    s.stats().await;
}
