//! Many tasks on one name: the guarded work never overlaps, and everybody gets their turn in the end.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tollgate::lock::{LockError, LockOptions};

use super::{Fleet, fine, name};
use crate::harness::SOON;

const TASKS: usize = 64;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_tasks_on_one_name_do_not_overlap() {
    for nodes in [1, 3] {
        let fleet = Fleet::shared(nodes);
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("counter");
        std::fs::write(&file, "0").unwrap();
        let turns = Arc::new(Mutex::new(Vec::<(Instant, Instant)>::new()));
        let locks = fleet.locks();
        let options = LockOptions {
            retry_delay_max: Duration::from_millis(60),
            node_timeout: Duration::from_secs(5),
            ..LockOptions::of_ttl(SOON)
        }
        .wait(Duration::from_secs(60));
        let tasks: Vec<_> = (0..TASKS)
            .map(|_| {
                let (locks, options, file, turns) =
                    (locks.clone(), options.clone(), file.clone(), Arc::clone(&turns));
                tokio::spawn(async move {
                    let work = async |_| {
                        let begun = Instant::now();
                        let count: usize = std::fs::read_to_string(&file).unwrap().parse().unwrap();
                        // Whoever else is let in reads the same number here.
                        tokio::time::sleep(Duration::from_millis(1)).await;
                        std::fs::write(&file, (count + 1).to_string()).unwrap();
                        turns.lock().unwrap().push((begun, Instant::now()));
                        fine(())
                    };
                    locks.with(&name(), &options, work).await
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        assert_eq!(std::fs::read_to_string(&file).unwrap(), TASKS.to_string());
        let mut turns = turns.lock().unwrap().clone();
        turns.sort();
        assert!(turns.windows(2).all(|pair| pair[0].1 <= pair[1].0), "two turns overlap");
    }
}

#[tokio::test]
async fn a_late_retry_counts_its_validity_from_the_attempt_that_succeeded() {
    let fleet = Fleet::shared(3);
    let locks = fleet.locks();
    let first = locks.acquire(&name(), &super::long()).await.unwrap();
    let options = super::by_hand(SOON);
    let options = LockOptions { retry_delay_max: Duration::from_millis(20), ..options }.wait(SOON);
    let waiting = tokio::spawn({
        let (locks, options) = (locks.clone(), options.clone());
        async move { locks.acquire(&name(), &options).await.unwrap() }
    });
    // Time itself is the subject: several attempts fail meanwhile.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let released_from = Instant::now();
    first.release().await.unwrap();
    let second = waiting.await.unwrap();
    let worth = SOON - SOON / 100 - Duration::from_millis(2);
    assert!(second.lease().valid_until() >= released_from + worth, "not from the first attempt");
    assert!(second.lease().valid_until() <= Instant::now() + worth);
}

#[tokio::test]
async fn whoever_waits_gives_up_in_time_and_says_who_has_it() {
    let fleet = Fleet::shared(3);
    let _held = fleet.locks().owned_by("w-7").acquire(&name(), &super::long()).await.unwrap();
    let options = LockOptions { retry_delay_max: Duration::from_millis(20), ..super::long() }
        .wait(Duration::from_millis(100));
    let error = fleet.locks().acquire(&name(), &options).await.unwrap_err();
    let LockError::Taken { against, .. } = error else { panic!("{error}") };
    assert!(against.taken.iter().all(|taken| taken.owner == "w-7"), "{against}");
}
