//! Jobs that are not to begin before some time.

use tollgate::instant::Instant;
use tollgate::job::Job;

use crate::harness::{Space, redemptions, shared, until};

fn at(ms_from_now: i64, jobs: Vec<Job>) -> Vec<Job> {
    let at = Instant::from_ms(Instant::now().ms().checked_add_signed(ms_from_now).unwrap());
    jobs.into_iter().map(|job| Job { at, ..job }).collect()
}

#[tokio::test]
async fn delayed_jobs_wait_in_scheduled_and_are_settled_when_due() {
    let space = Space::on(shared()).await;
    let worker = space.worker(&[]);
    worker.says("ready").await;
    space.enqueue(&at(3_600_000, redemptions("later", 3))).await;
    space.enqueue(&at(-1_000, redemptions("past", 5))).await;
    space.enqueue(&redemptions("now", 5)).await;
    let stats = space.emptied().await;
    assert!(stats.scheduled == 3 && space.issued().await == 10, "{stats:?}");
    // Those of a machine that is too slow to see them wait are due later.
    let mut issued = 10;
    for seconds in [1, 4, 16, 64] {
        let soon = at(seconds * 1_000, redemptions(&format!("soon{seconds}-"), 30));
        space.enqueue(&soon).await;
        let stats = space.emptied().await;
        issued += 30;
        let waited = stats.scheduled == 33 && space.fate(&format!("soon{seconds}-0")).await == "scheduled";
        until("the jobs that become due", async || (space.issued().await == issued).then_some(())).await;
        if waited {
            break;
        }
        assert!(seconds < 64, "none of them waited for its time: {stats:?}");
    }
    let stats = space.drained().await;
    assert_eq!((stats.scheduled, stats.parked), (3, 3), "settled jobs leave no row behind");
}

#[tokio::test]
async fn a_delayed_duplicate_of_a_settled_job_is_replayed_at_once() {
    let space = Space::on(shared()).await;
    space.enqueue(&redemptions("j", 3)).await;
    let _worker = space.worker(&[]);
    space.drained().await;
    space.enqueue(&at(60_000, redemptions("j", 3))).await;
    let stats = space.drained().await;
    assert_eq!((stats.head.replayed, stats.scheduled), (3, 0));
}

/// A stream's ids are ahead of the clock after the clock went back, or after anyone with the right to XADD chose one.
#[tokio::test]
async fn an_entry_whose_id_is_ahead_of_the_clock_does_not_run_before_its_time() {
    let space = Space::on(shared()).await;
    let next_year_ms = Instant::now().ms() + 365 * 24 * 3_600_000;
    let first = at(3_600_000, redemptions("first", 1)).remove(0).encode();
    space.cmd(&["XADD", &space.queue_key(), &format!("{next_year_ms}-0"), "job", &first]).await;
    // From now on Redis itself gives ids of next year.
    space.enqueue(&at(3_600_000, redemptions("later", 5))).await;
    space.enqueue(&at(1_500, redemptions("soon", 5))).await;
    space.enqueue(&redemptions("now", 5)).await;
    let _worker = space.worker(&[]);
    let stats = space.emptied().await;
    assert!(stats.scheduled >= 6 && space.issued().await <= 10, "{stats:?}");
    assert_eq!(space.fate("first0").await, "scheduled");
    until("the jobs that become due", async || (space.issued().await == 10).then_some(())).await;
    let stats = space.drained().await;
    assert_eq!((stats.scheduled, space.fate("later4").await.as_str()), (6, "scheduled"));
}
