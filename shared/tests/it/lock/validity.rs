//! Short TTLs, late answers, stalled nodes: the work never goes on after its validity.

use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::{Duration, Instant};

use tollgate::lock::{Lease, LockError, LockOptions, LostCause, Renewal};

use super::{Fleet, by_hand, fine, ms, name, soon};
use crate::harness::SOON;

const TTLS_MS: [u64; 14] = [1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 600];

/// An effect every millisecond: when it began, and until when the lease was valid as far as was known then.
#[derive(Default)]
struct Effects(Mutex<Vec<(Instant, Instant)>>);

impl Effects {
    async fn go_on(&self, lease: Lease, how_long: Duration) -> Result<(), Infallible> {
        let end = Instant::now() + how_long;
        while Instant::now() < end {
            let valid_until = lease.valid_until();
            self.0.lock().unwrap().push((Instant::now(), valid_until));
            tokio::time::sleep(ms(1)).await;
        }
        Ok(())
    }

    fn all_within_validity(&self) -> bool {
        self.0.lock().unwrap().iter().all(|(at, valid_until)| at < valid_until)
    }
}

fn options(ttl_ms: u64) -> LockOptions {
    LockOptions { renewal: Renewal::Background, ..by_hand(ms(ttl_ms)) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_ttl_is_too_late_or_extended_or_cancelled_in_time() {
    let (mut done, mut refused) = (0, 0);
    for ttl_ms in TTLS_MS {
        let fleet = Fleet::shared(3);
        let effects = Effects::default();
        // Three times what one grant allows.
        let how_long = ms(ttl_ms * 3);
        let result =
            fleet.locks().with(&name(), &options(ttl_ms), |lease| effects.go_on(lease, how_long)).await;
        assert!(effects.all_within_validity(), "{ttl_ms} ms");
        match result.map_err(LockError::from) {
            Ok(()) => done += 1,
            Err(LockError::TooLate { .. }) => {
                refused += 1;
                assert!(effects.0.lock().unwrap().is_empty());
            }
            // A slow machine; then it was in time all the same.
            Err(LockError::Lost(_)) => {}
            Err(other) => panic!("{ttl_ms} ms: {other}"),
        }
    }
    assert!(refused >= 3, "a TTL of 1 to 3 ms has nothing left after drift and margin");
    assert!(done >= 1, "600 ms are extended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_majority_falls_silent_the_work_is_cancelled_before_its_validity_ends() {
    let servers = Fleet::start(3);
    for ttl_ms in [55, 144, 600] {
        let fleet = Fleet::of(&servers);
        let effects = Effects::default();
        let options = LockOptions { node_timeout: ms(20), ..options(ttl_ms) };
        let locks = fleet.locks();
        // Greeted before: the take itself then fits into its time-out.
        let _ = locks.with(&name(), &options, async |_| fine(())).await;
        let result = locks
            .with(&name(), &options, |lease| {
                servers[1..].iter().for_each(tollgate::embedded::Temporary::pause);
                effects.go_on(lease, SOON)
            })
            .await;
        servers.iter().for_each(tollgate::embedded::Temporary::resume);
        assert!(effects.all_within_validity(), "{ttl_ms} ms");
        match result.unwrap_err().into() {
            LockError::Lost(lost) => assert!(matches!(lost.cause, LostCause::Ended(_)), "{lost}"),
            error @ (LockError::Broken { .. } | LockError::TooLate { .. }) => {
                assert!(ttl_ms < 600, "{error}");
            }
            other => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn work_that_cannot_be_cancelled_is_told_that_it_overran() {
    let fleet = Fleet::shared(3);
    // Blocks its thread past the end: time itself is the subject.
    let work = async |_| {
        std::thread::sleep(ms(2_200));
        fine(())
    };
    let error = LockError::from(fleet.locks().with(&name(), &by_hand(ms(2_000)), work).await.unwrap_err());
    assert_eq!(error.code(), "lock_overran", "{error}");
}

#[tokio::test]
async fn idle_work_is_cancelled_at_the_deadline() {
    let fleet = Fleet::shared(3);
    let work = async |_| std::future::pending::<Result<(), Infallible>>().await;
    let error =
        LockError::from(soon(fleet.locks().with(&name(), &by_hand(ms(2_000)), work)).await.unwrap_err());
    assert_eq!(error.code(), "lock_lost", "{error}");
}

#[tokio::test]
async fn work_that_wakes_after_the_end_is_not_polled_again() {
    let fleet = Fleet::shared(3);
    let lock = fleet.locks().acquire(&name(), &by_hand(ms(2_000))).await.unwrap();
    let polled = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&polled);
    // A task that wakes itself runs again before the runtime looks at its timers: only the clock can tell.
    let guarded = tokio::spawn(async move {
        lock.guard(poll_fn(|context| {
            if count.fetch_add(1, Ordering::SeqCst) == 0 {
                std::thread::sleep(ms(2_200));
            }
            context.waker().wake_by_ref();
            Poll::<Result<(), Infallible>>::Pending
        }))
        .await
    });
    assert_eq!(LockError::from(guarded.await.unwrap().unwrap_err()).code(), "lock_lost");
    assert_eq!(polled.load(Ordering::SeqCst), 1);
}
