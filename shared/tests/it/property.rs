//! How a property test of this crate runs: so many cases, on one server and one runtime.

use std::cell::RefCell;
use std::fmt::Debug;
use std::time::{Duration, Instant};

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

/// How many seconds a property test goes on at least; it ends after its cases if unset.
/// `TOLLGATE_PROPERTY_SECONDS=600 cargo test …` looks longer.
const SECONDS: &str = "TOLLGATE_PROPERTY_SECONDS";

/// Makes a ground once, then tries `check` on it with so many values of `strategy`; panics with the smallest value
/// that fails. `check` has to put the ground back as it was.
pub(crate) fn holds<S, G>(
    cases: u32,
    strategy: S,
    ground: impl AsyncFnOnce() -> G,
    check: impl AsyncFn(&mut G, S::Value) -> Result<(), String>,
) where
    S: Strategy,
    S::Value: Debug + Clone,
{
    let seconds = std::env::var(SECONDS).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let config =
        Config { cases: u32::MAX, failure_persistence: None, max_shrink_iters: 2_000, ..Config::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ground = RefCell::new(runtime.block_on(ground()));
    let until = Instant::now() + Duration::from_secs(seconds);
    let mut runner = TestRunner::new(config);
    let mut tried = 0_u32;
    while tried < cases || Instant::now() < until {
        tried += 1;
        let tree = strategy.new_tree(&mut runner).unwrap();
        let verdict = runner.run_one(tree, |value| {
            let verdict = runtime.block_on(check(&mut ground.borrow_mut(), value));
            verdict.map_err(TestCaseError::fail)
        });
        if let Err(failure) = verdict {
            panic!("after {tried} cases: {failure}");
        }
    }
}
