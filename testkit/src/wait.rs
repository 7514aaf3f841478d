//! Waiting for a state, never for a time: a slow machine only waits for longer.

use std::time::{Duration, Instant};

/// How long anything is waited for.
pub const SOON: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Waits until `condition` gives a value.
///
/// # Panics
/// If that does not come about [`SOON`].
pub async fn until<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(begun.elapsed() < SOON, "waited {SOON:?} for {what}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The same on a thread that may wait, for what is so or not.
///
/// # Panics
/// As [`until`].
pub fn until_so(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < SOON, "waited {SOON:?} for {what}");
        std::thread::sleep(LOOK_EVERY);
    }
}
