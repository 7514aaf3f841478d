//! The conservation law and what it is made of: exact at every instant, also after Redis restarted, and false
//! when entries disappear past the scripts.

use std::path::PathBuf;
use std::time::Duration;

use tollgate::code::Code;
use tollgate::embedded::Temporary;
use tollgate::scripts::park::{Destination, Parked};
use tollgate::scripts::recover::Company;
use tollgate::scripts::{queue, stats};

use crate::harness::{servers, until};
use crate::space::*;

/// Waiting, pending, and whether the law holds.
async fn counts(s: &mut Space) -> (u64, u64, bool) {
    let stats = stats::read(&mut s.link, &s.keys).await.unwrap();
    (stats.queues[0].waiting, stats.queues[0].in_flight, stats.is_conserved())
}

#[tokio::test]
async fn what_waits_is_still_known_after_redis_restarted() {
    let mut redis = servers::private(&["--appendfsync", "always"]);
    for rewrite in [false, true] {
        let mut space = Space::on(servers::open(&redis)).await;
        let s = &mut space;
        s.make(create("c", 99)).await;
        let jobs: Vec<_> = (0..30).map(|i| fresh(redeem("c", &format!("u{i}"), 1))).collect();
        s.enqueue(&jobs).await;
        let entries = s.fetch("w", 10).await;
        s.settle_entries(&entries[..6]).await;
        if rewrite {
            // The rewritten file has Redis's own count of what was fetched; what follows it does not.
            s.run(&["BGREWRITEAOF"]).await;
            let link = &mut s.link;
            until("the rewrite", async || {
                let info: String = link.query(&crate::harness::cmd(&["INFO", "persistence"])).await.unwrap();
                let over = |field: &str| info.contains(&format!("{field}:0\r\n"));
                (over("aof_rewrite_in_progress") && over("aof_rewrite_scheduled")).then_some(())
            })
            .await;
        }
        let more = s.fetch("w", 5).await;
        s.settle_entries(&more[..1]).await;
        assert_eq!(counts(s).await, (15, 8, true));

        redis.kill();
        redis.restart().unwrap();
        s.link = servers::open(&redis).link().await.unwrap();
        assert_eq!(counts(s).await, (15, 8, true), "rewrite: {rewrite}");
        let rest = s.fetch("w", 30).await;
        s.settle_entries(&rest).await;
        s.settle_entries(&[&entries[6..], &more[1..]].concat()).await;
        assert_eq!(counts(s).await, (0, 0, true), "rewrite: {rewrite}");
    }
}

/// What a worker saw leave its row is in it again when Redis lost its latest writes, and the worker does not know. It goes on
/// with the rest; what came back is still undecided, and is read again.
#[tokio::test]
async fn what_came_back_into_a_row_with_lost_writes_is_decided_again() {
    let mut redis = servers::private(&["--appendfsync", "always"]);
    for (was_list, is_parked) in [(false, false), (false, true), (true, false), (true, true)] {
        let what = format!("was a list: {was_list}, parked: {is_parked}");
        let mut space = Space::on(servers::open(&redis)).await;
        let s = &mut space;
        s.make(create("c", 99)).await;
        let jobs: Vec<_> = (0..7).map(|i| fresh(redeem("c", &format!("u{i}"), 1))).collect();
        let mut entries = s.deliver("w", &jobs).await;
        if was_list {
            s.settle_entries(&entries[..1]).await;
            entries.remove(0);
        }

        let file = append_only_file(&redis);
        let length = std::fs::metadata(&file).unwrap().len();
        s.settle_entries(&entries[..2]).await;
        redis.kill();
        std::fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(length).unwrap();
        redis.restart().unwrap();
        s.link = servers::open(&redis).link().await.unwrap();

        let rest = &entries[2..];
        if is_parked {
            for entry in rest {
                let parked = s.park(entry, Destination::Dead(Code::WorkerLost)).await.unwrap();
                assert_eq!(parked, Parked::Moved, "{what}");
            }
        } else {
            s.settle_entries(rest).await;
        }
        let stats = stats::read(&mut s.link, &s.keys).await.unwrap();
        assert_eq!((stats.head.vanished, stats.queues[0].in_flight), (0, 2), "{what}");
        let (_, heirs) = s.take_over("heir", Duration::ZERO, Company::Others).await.unwrap();
        assert_eq!(heirs, entries[..2], "{what}");
        s.settle_entries(&heirs).await;
        assert_eq!(counts(s).await, (0, 0, true), "{what}");
        let report = tollgate_audit::audit(&s.tollgate, &[], &|_| {}).await.unwrap();
        assert_eq!(report.violations, [], "{what}");
    }
}

/// The file that Redis appends its writes to.
fn append_only_file(redis: &Temporary) -> PathBuf {
    let files = std::fs::read_dir(redis.dir().join("data/appendonlydir")).unwrap();
    files.map(|file| file.unwrap().path()).find(|path| path.to_string_lossy().ends_with(".incr.aof")).unwrap()
}

#[tokio::test]
async fn entries_that_disappear_past_the_scripts_are_missed() {
    for what in ["waiting", "waiting and the last", "in flight", "rows"] {
        let mut space = Space::new().await;
        let s = &mut space;
        s.make(create("c", 99)).await;
        let stream = s.keys.queue(&s.queue);
        let entries = s.deliver("w", &[fresh(redeem("c", "u", 1)), fresh(redeem("c", "u", 1))]).await;
        s.enqueue(&[fresh(redeem("c", "u", 1)), fresh(redeem("c", "u", 1))]).await;
        let waiting = format!("({}", entries[1].0);
        let rows: Vec<(String, Vec<String>)> =
            s.link.query(&crate::harness::cmd(&["XRANGE", &stream, &waiting, "+"])).await.unwrap();
        assert_eq!(counts(s).await, (2, 2, true));
        let in_flight = s.keys.in_flight(&s.queue);
        match what {
            "waiting" => _ = s.run(&["XDEL", &stream, &rows[0].0]).await,
            "waiting and the last" => _ = s.run(&["XDEL", &stream, &rows[0].0, &rows[1].0]).await,
            "in flight" => _ = s.run(&["XDEL", &stream, &entries[0].0]).await,
            _ => _ = s.run(&["DEL", &in_flight]).await,
        }
        if what == "rows" {
            let stats = stats::read(&mut s.link, &s.keys).await.unwrap();
            assert_eq!(stats.queues[0].problem, Some(stats::QueueProblem::Rows), "{what}");
            continue;
        }
        // What is there to settle is settled by another worker; what is gone is counted as vanished, and the sums hold.
        let (_, heirs) = s.take_over("heir", Duration::ZERO, Company::Others).await.unwrap();
        s.settle_entries(&heirs).await;
        loop {
            let entries = s.fetch("w", 9).await;
            if entries.is_empty() {
                break;
            }
            s.settle_entries(&entries).await;
        }
        let (stats, gone) = (s.stats().await, if what == "waiting and the last" { 2 } else { 1 });
        assert_eq!(
            (stats.head.vanished, stats.queues[0].in_flight, stats.queues[0].waiting),
            (gone, 0, 0),
            "{what}"
        );
        let report = tollgate_audit::audit(&s.tollgate, &[], &|_| {}).await.unwrap();
        assert!(
            report.violations.iter().any(|found| found.what.contains("deleted from their streams")),
            "{what}"
        );
        // Somebody has looked: from then on it counts as lost.
        let name = s.queue.clone();
        let repaired = queue::repair(&mut s.link, &s.keys, &name, queue::Apply::Yes).await.unwrap();
        assert!(format!("{repaired:?}").contains("vanished"), "{what}: {repaired:?}");
        let stats = s.stats().await;
        assert_eq!((stats.head.vanished, stats.head.lost, stats.is_conserved()), (0, gone, true), "{what}");
        let again = queue::repair(&mut s.link, &s.keys, &name, queue::Apply::Yes).await.unwrap();
        assert!(format!("{again:?}").contains("Intact"), "{what}: {again:?}");
        let report = tollgate_audit::audit(&s.tollgate, &[], &|_| {}).await.unwrap();
        assert_eq!(report.violations, [], "{what}");
    }
}
