//! The clock of the server, the workers or the producers steps.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::run::fault::Undo;
use crate::run::site::Site;

/// By how many seconds a clock steps: less than a claim idle time, more than any lease, and past a day.
const STEPS: [i64; 8] = [-86_400, -7_200, -30, -1, 1, 30, 7_200, 86_400];

/// Steps one of them, either way.
pub(super) fn step(site: &Site, random: &mut ChaCha8Rng) -> anyhow::Result<(String, Undo)> {
    anyhow::ensure!(!site.clocks.is_empty(), "no clock of this scenario can be stepped");
    let clock = &site.clocks[random.random_range(0..site.clocks.len())];
    let seconds = STEPS[random.random_range(0..STEPS.len())];
    clock.step(seconds)?;
    site.count(&format!("clock of the {} stepped", clock.whose), 1);
    Ok((format!("of the {}, by {seconds} s", clock.whose), Undo::Clock(clock.clone())))
}
