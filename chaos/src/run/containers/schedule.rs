//! Which container breaks how, and when: drawn from the seed alone.

use std::time::Duration;

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What is done to a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum How {
    /// SIGKILL to its process; the restart policy brings it back.
    Kill,
    Pause,
    /// SIGTERM, and started again.
    Restart,
    /// Off the network and on again.
    Disconnect,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Whom {
    Worker(usize),
    Redis,
    LockNode(usize),
    /// Two lock nodes of three.
    LockMajority,
    Bank,
}

/// What happens at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Break(Whom, How),
    /// Fewer workers for a while: compose takes the others away.
    Scale(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Strike {
    pub(super) at: Duration,
    pub(super) lasts: Duration,
    pub(super) what: What,
}

/// Between two faults, on average; a fifth of the time is quiet.
const EVERY_MS: std::ops::Range<u64> = 700..2_300;
/// How long it waits for what must rest.
const WAITS: Duration = Duration::from_millis(300);
const QUIET_FOR: Duration = Duration::from_secs(5);
const QUIET_AFTER: Duration = Duration::from_secs(20);
/// Before the end nothing begins any more.
const LAST_BEFORE_END: Duration = Duration::from_secs(3);
/// One container is killed or restarted so often at most: sooner, the engine waits longer and longer.
const REST: Duration = Duration::from_secs(12);
/// How long Redis is left alone between two faults of its own, so that something is decided in between.
const REDIS_RESTS: Duration = Duration::from_secs(6);

/// All of a run, in the order of their beginnings.
pub(super) fn of(seed: u64, duration: Duration, workers: usize) -> Vec<Strike> {
    let mut random = ChaCha8Rng::seed_from_u64(seed ^ 0xc0_117a);
    let mut strikes: Vec<Strike> = Vec::new();
    let mut deck = Vec::new();
    let (mut at, mut quiet_at) = (Duration::from_millis(500), QUIET_AFTER);
    while at + LAST_BEFORE_END < duration {
        if at > quiet_at {
            at += QUIET_FOR;
            quiet_at = at + QUIET_AFTER;
        }
        // Each kind comes once before any comes again, so that a short run has seen most.
        if deck.is_empty() {
            deck = kinds(workers, &mut random);
        }
        // Of what is left in this round, the first that may begin now; none, and it waits.
        let Some(place) = deck.iter().position(|what| has_rested(*what, at, &strikes)) else {
            at += WAITS;
            continue;
        };
        let what = deck.remove(place);
        strikes.push(Strike { at, lasts: lasts(what, &mut random), what });
        at += Duration::from_millis(random.random_range(EVERY_MS));
    }
    strikes
}

fn kinds(workers: usize, random: &mut impl Rng) -> Vec<What> {
    use How::{Disconnect, Kill, Pause, Restart};
    let mut deck = Vec::new();
    for how in [Kill, Kill, Pause, Disconnect, Restart, Kill, Pause] {
        deck.push(What::Break(Whom::Worker(random.random_range(0..workers)), how));
    }
    deck.extend([Kill, Pause, Disconnect, Restart].map(|how| What::Break(Whom::Redis, how)));
    deck.extend([Kill, Pause, Disconnect, Restart].map(|how| What::Break(Whom::Bank, how)));
    for how in [Kill, Pause, Disconnect, Restart] {
        deck.push(What::Break(Whom::LockNode(random.random_range(0..3)), how));
    }
    deck.push(What::Break(Whom::LockMajority, if random.random_bool(0.5) { Pause } else { Disconnect }));
    deck.push(What::Scale((workers / 2).max(1)));
    // Fisher and Yates.
    for place in (1..deck.len()).rev() {
        deck.swap(place, random.random_range(0..=place));
    }
    deck
}

fn lasts(what: What, random: &mut impl Rng) -> Duration {
    let range = match what {
        What::Scale(_) => 6_000..9_000,
        // Past the claim idle time, so that others take over what it holds.
        What::Break(Whom::Worker(_), How::Pause | How::Disconnect) => 2_200..3_500,
        What::Break(_, How::Pause | How::Disconnect) => 1_200..3_000,
        What::Break(_, How::Kill | How::Restart) => 200..400,
    };
    Duration::from_millis(random.random_range(range))
}

/// Whether this may begin now: nothing of its kind is under way, and what it breaks has rested.
fn has_rested(what: What, at: Duration, strikes: &[Strike]) -> bool {
    strikes.iter().all(|one| {
        let over = one.at + one.lasts;
        match (what, one.what) {
            (What::Break(Whom::Redis, how), What::Break(Whom::Redis, before)) => {
                let rest = if ends_process(how) && ends_process(before) { REST } else { REDIS_RESTS };
                over + rest <= at
            }
            // Compose waits for a healthy Redis, and takes no paused container away.
            (What::Scale(_), What::Scale(_)) => over + REST * 3 <= at,
            (What::Scale(_), What::Break(Whom::Worker(_) | Whom::Redis, _)) => {
                over + Duration::from_secs(1) <= at
            }
            (What::Break(Whom::Worker(_) | Whom::Redis, _), What::Scale(_)) => {
                over + Duration::from_secs(2) <= at
            }
            (What::Break(whom, how), What::Break(other, before)) if overlap(whom, other) => {
                let rest =
                    if ends_process(how) && ends_process(before) { REST } else { Duration::from_secs(1) };
                over + rest <= at
            }
            _ => true,
        }
    })
}

fn ends_process(how: How) -> bool {
    matches!(how, How::Kill | How::Restart)
}

fn overlap(one: Whom, other: Whom) -> bool {
    let locks = |whom| matches!(whom, Whom::LockNode(_) | Whom::LockMajority);
    one == other || (locks(one) && locks(other) && (one == Whom::LockMajority || other == Whom::LockMajority))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The run of `make compose-chaos`, and the shorter one of CI (scripts/ci-compose.sh).
    const PLAYED: [(u64, usize); 2] = [(120, 6), (60, 4)];

    #[test]
    fn a_seed_is_a_schedule_and_every_run_has_seen_everything() {
        for (seconds, workers) in PLAYED {
            for seed in 0..200 {
                let strikes = of(seed, Duration::from_secs(seconds), workers);
                assert_eq!(strikes, of(seed, Duration::from_secs(seconds), workers));
                let seen = |wanted: &dyn Fn(&What) -> bool| strikes.iter().any(|one| wanted(&one.what));
                assert!(seen(&|what| matches!(what, What::Scale(_))), "{seconds} s, seed {seed}");
                for how in [How::Kill, How::Pause, How::Restart, How::Disconnect] {
                    let of = |wanted: fn(&Whom) -> bool| {
                        seen(&|what| matches!(what, What::Break(whom, h) if *h == how && wanted(whom)))
                    };
                    let missing = format!("{seconds} s, seed {seed}, {how:?}");
                    assert!(of(|whom| matches!(whom, Whom::Worker(_))), "no worker: {missing}");
                    assert!(of(|whom| matches!(whom, Whom::Redis)), "no Redis: {missing}");
                    assert!(of(|whom| matches!(whom, Whom::LockNode(_))), "no lock node: {missing}");
                    assert!(of(|whom| matches!(whom, Whom::Bank)), "no bank: {missing}");
                }
            }
        }
    }

    #[test]
    fn no_container_is_broken_twice_at_once() {
        for seed in 0..50 {
            let strikes = of(seed, Duration::from_secs(60), 6);
            for (place, one) in strikes.iter().enumerate() {
                assert!(has_rested(one.what, one.at, &strikes[..place]), "seed {seed}: {one:?}");
            }
        }
    }
}
