//! Which fault begins when, and for how long: pure, drawn from the seed.

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::fault::Fault;
use super::scenario::{MIXED, Scenario};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Strike {
    pub(super) at: Duration,
    pub(super) fault: Fault,
    pub(super) lasts: Duration,
}

/// A period of a mix; every fourth is quiet.
const PERIOD: Duration = Duration::from_millis(2_500);
/// The first strike leaves time for something to be broken.
const FIRST: Duration = Duration::from_millis(400);
/// Within so many microseconds after that each has come once, however seldom it is.
const SOON: u64 = 1_000_000;

/// The strikes of a scenario, in their order. A longer time begins with the same ones.
pub(super) fn of(scenario: &Scenario, seed: u64, duration: Duration) -> Vec<Strike> {
    let source = |number: usize| ChaCha8Rng::seed_from_u64(seed ^ 0x5c4ed ^ ((number as u64) << 32));
    if scenario.name == "mix" {
        return mixed(&mut source(0), duration);
    }
    let mut strikes = Vec::new();
    for (number, recurring) in scenario.faults.iter().enumerate() {
        let mut random = source(number);
        let every = recurring.every.as_micros() as u64;
        let mut at = FIRST + Duration::from_micros(random.random_range(0..(every / 2).min(SOON) + 1));
        // Each comes at least once, however short the run is.
        while at < duration || strikes.is_empty() {
            strikes.push(Strike { at, fault: recurring.fault, lasts: recurring.lasts });
            let pause = Duration::from_micros(random.random_range(every / 2..every * 3 / 2 + 1));
            at += pause + recurring.lasts;
        }
    }
    strikes.sort_by_key(|strike| strike.at);
    strikes
}

/// In each period but the quiet ones between one and three kinds, some of them again and again.
fn mixed(random: &mut ChaCha8Rng, duration: Duration) -> Vec<Strike> {
    let mut strikes = Vec::new();
    let periods = (duration.as_millis() / PERIOD.as_millis()).max(1) as u32;
    for period in 0..periods {
        if period % 4 == 3 {
            continue;
        }
        let start = PERIOD * period;
        if period % 4 == 1 {
            // Whoever dies while its replies vanish has a batch in flight, which the others must take over.
            let at = FIRST.max(start + Duration::from_millis(random.random_range(0..1_000)));
            let silence = Strike { at, fault: Fault::SilenceReplies, lasts: Duration::from_millis(700) };
            let kills = (0..4).map(|kill| at + Duration::from_millis(250 + 60 * kill));
            strikes.push(silence);
            strikes.extend(kills.map(|at| Strike { at, fault: Fault::KillWorker, lasts: Duration::ZERO }));
        }
        for _ in 0..random.random_range(1..=3) {
            let (fault, lasts) = MIXED[random.random_range(0..MIXED.len())];
            let times = if lasts == 0 { random.random_range(1..=4) } else { 1 };
            for _ in 0..times {
                let within = Duration::from_millis(random.random_range(0..PERIOD.as_millis() as u64 * 4 / 5));
                let at = FIRST.max(start + within);
                strikes.push(Strike { at, fault, lasts: Duration::from_millis(lasts) });
            }
        }
    }
    strikes.sort_by_key(|strike| strike.at);
    strikes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::scenario;

    #[test]
    fn a_seed_is_a_schedule_and_a_quarter_of_a_mix_is_quiet() {
        let minute = Duration::from_secs(60);
        let of = |seed| of(&scenario::mix(), seed, minute);
        assert_eq!(of(7), of(7));
        assert_ne!(of(7), of(8));
        let quiet = |strike: &Strike| strike.at.as_millis() / PERIOD.as_millis() % 4 == 3;
        assert!(!of(7).iter().any(quiet) && of(7).len() > 30);
        assert!(super::of(&scenario::mix(), 7, minute * 2).starts_with(&of(7)));
        for scenario in scenario::list::all() {
            let longer = super::of(&scenario, 1, scenario.smoke * 5);
            assert!(longer.starts_with(&super::of(&scenario, 1, scenario.smoke)), "{}", scenario.name);
            let strikes = super::of(&scenario, 1, scenario.smoke);
            assert_eq!(strikes.is_empty(), scenario.faults.is_empty(), "{}", scenario.name);
        }
    }
}
