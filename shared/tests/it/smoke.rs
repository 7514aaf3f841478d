//! Every script once against a real server, the common path only.

use std::time::Duration;

use tollgate::code::Code;
use tollgate::ids::JobId;
use tollgate::instant::Instant;
use tollgate::scripts::dead::DeadResult;
use tollgate::scripts::lookup::{self, Trace};
use tollgate::scripts::park::{Destination, Parked};
use tollgate::scripts::reap::Reaped;
use tollgate::scripts::{beat, claim, dead, pending, promote, reap, receipts_drop};

use crate::space::*;

#[tokio::test]
async fn every_script_does_its_work_once() {
    let mut space = Space::new().await;
    assert_eq!(space.make(create("summer", 2)).await, Code::CampaignCreated);
    assert_eq!(space.make(open("a", 10)).await, Code::AccountOpened);
    assert_eq!(space.make(deposit("a", 5)).await, Code::Deposited);
    assert_eq!(space.make(set_limit("summer", 3, Some(2))).await, Code::LimitSet);
    let jobs: Vec<_> = (0..5).map(|i| fresh(redeem("summer", &format!("c{i}"), 1))).collect();
    let entries = space.deliver("w1", &jobs).await;
    let settlement = space.settle_entries(&entries).await;
    let codes: Vec<_> = settlement.answers.iter().map(|answer| answer.code()).collect();
    assert_eq!(codes[..3], [Code::Redeemed; 3]);
    assert_eq!(codes[3..], [Code::CampaignLimitReached; 2]);
    assert_eq!(space.make(withdraw("a", 15)).await, Code::Withdrawn);
    assert_eq!(space.make(close("a")).await, Code::AccountClosedNow);
    assert_eq!(space.make(end("summer")).await, Code::CampaignClosedNow);
    space.stats().await;

    let late = Instant::from_ms(space.now_ms().await + 150).unwrap();
    let moved = space.deliver("w1", &[fresh(withdraw("a", 1)), fresh(withdraw("b", 1))]).await;
    assert_eq!(space.park("w1", &moved[0], Destination::Scheduled(late)).await.unwrap(), Parked::Moved);
    assert_eq!(
        space.park("w1", &moved[1], Destination::Dead(Code::WorkerLost)).await.unwrap(),
        Parked::Moved
    );
    space.stats().await;
    let ids: Vec<JobId> = moved.iter().map(|(_, job)| job.id.clone()).collect();
    let (seq, traces) = lookup::lookup(&mut space.link, &space.keys, &ids).await.unwrap();
    assert_eq!(seq, settlement.seq_before + 8);
    assert!(matches!(traces[..], [Trace::Parked { .. }, Trace::Parked { .. }]), "{traces:?}");
    let queues = space.queues().await;
    let results = dead::retry(&mut space.link, &space.keys, &queues, &ids).await.unwrap();
    assert_eq!(results, [DeadResult::Absent, DeadResult::Requeued]);
    let results = dead::discard(&mut space.link, &space.keys, &ids).await.unwrap();
    assert_eq!(results, [DeadResult::Absent; 2]);
    crate::harness::until("the job to be due", async || {
        let promotion = promote::promote(&mut space.link, &space.keys, &queues, 10).await.unwrap();
        (promotion.promoted == 1).then_some(())
    })
    .await;
    space.stats().await;
    let entries = space.fetch("w1", 10).await;
    assert_eq!(entries.len(), 2);
    let claimed =
        claim::claim(&mut space.link, &space.keys, &space.queue, "w2", Duration::ZERO, 10).await.unwrap();
    assert_eq!(claimed.len(), 2);
    let held = pending::pending(&mut space.link, &space.keys, &space.queue, "w2", None, 10).await.unwrap();
    assert_eq!(held.iter().map(|entry| entry.deliveries).collect::<Vec<_>>(), [2, 2]);
    beat::beat(&mut space.link, &space.keys, "w2", "x").await.unwrap();
    let reaped = reap::reap(&mut space.link, &space.keys, &queues, "w2", Duration::ZERO).await.unwrap();
    assert_eq!(reaped, Reaped::Holding);
    space.settle_entries(&entries).await;
    let reaped = reap::reap(&mut space.link, &space.keys, &queues, "w2", Duration::ZERO).await.unwrap();
    assert_eq!(reaped, Reaped::Gone);
    let stats = space.stats().await;
    assert_eq!((stats.parked, stats.scheduled, stats.dead), (0, 0, 0));
    let floor = stats.head.receipts_floor_hour;
    let dropped = receipts_drop::receipts_drop(&mut space.link, &space.keys, &queues, floor).await.unwrap();
    assert_eq!(dropped.unwrap().floor_hour, floor);
}
