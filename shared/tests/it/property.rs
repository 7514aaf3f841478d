//! How a property test of this crate runs: cases until the time is up, on one server and one runtime.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

/// How many seconds a property test may take; 4 if unset. `TOLLGATE_PROPERTY_SECONDS=600 cargo test …` looks longer.
const SECONDS: &str = "TOLLGATE_PROPERTY_SECONDS";

/// Tries `check` on values of `strategy` until the time is up; panics with the smallest value that fails.
pub(crate) fn holds<S>(strategy: S, check: impl AsyncFn(S::Value) -> Result<(), String>)
where
    S: Strategy,
    S::Value: Debug + Clone,
{
    let seconds = std::env::var(SECONDS).ok().and_then(|text| text.parse().ok()).unwrap_or(4);
    let until = Instant::now() + Duration::from_secs(seconds);
    let config =
        Config { cases: u32::MAX, failure_persistence: None, max_shrink_iters: 2_000, ..Config::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut cases = 0_u32;
    let mut runner = TestRunner::new(config);
    let mut failed = None;
    while failed.is_none() && (Instant::now() < until || cases == 0) {
        let tree = strategy.new_tree(&mut runner).unwrap();
        let verdict =
            runner.run_one(tree, |value| runtime.block_on(check(value)).map_err(TestCaseError::fail));
        cases += 1;
        failed = verdict.err();
    }
    if let Some(failure) = failed {
        panic!("after {cases} cases: {failure}");
    }
    println!("{cases} cases");
    assert!(cases >= 20, "only {cases} cases: too slow to find anything");
}
