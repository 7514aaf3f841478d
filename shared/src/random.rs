//! The one source of randomness of whatever makes calls: nonces, tokens, jitter, shuffles.
//!
//! It is the thread's generator of `rand`, and nothing else. Only with the feature `explore`, which no release has, may a thread
//! be given a seeded one, so that the same order of calls is the same calls ([`Seeded`]). Must not be passed by: a
//! random number from elsewhere that reaches a call makes an order that nobody can repeat.

use rand::distr::uniform::{SampleRange, SampleUniform};
use rand::distr::{Distribution, StandardUniform};
use rand::seq::SliceRandom;
use rand::{Rng, RngExt};

/// Any value of its type.
pub fn random<T>() -> T
where
    StandardUniform: Distribution<T>,
{
    with(|source| source.random())
}

/// A value of a range, which must not be empty.
pub fn in_range<T, R>(range: R) -> T
where
    T: SampleUniform,
    R: SampleRange<T>,
{
    with(|source| source.random_range(range))
}

/// Puts `items` into a random order.
pub fn shuffle<T>(items: &mut [T]) {
    with(|source| items.shuffle(source));
}

#[cfg(not(feature = "explore"))]
fn with<T>(draw: impl FnOnce(&mut dyn Rng) -> T) -> T {
    draw(&mut rand::rng())
}

#[cfg(feature = "explore")]
fn with<T>(draw: impl FnOnce(&mut dyn Rng) -> T) -> T {
    seeded::with(draw)
}

#[cfg(feature = "explore")]
pub use seeded::Seeded;
#[cfg(feature = "explore")]
pub(crate) use seeded::is_seeded;

#[cfg(feature = "explore")]
mod seeded {
    use std::cell::RefCell;

    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    thread_local! {
        static OF_THREAD: RefCell<Option<StdRng>> = const { RefCell::new(None) };
    }

    /// The generator of one process of an explored fleet.
    #[derive(Debug)]
    pub struct Seeded(Option<StdRng>);

    impl Seeded {
        /// The same numbers for the same seed.
        pub fn new(seed: u64) -> Self {
            Self(Some(StdRng::seed_from_u64(seed)))
        }

        /// Does `work`, which draws from this generator meanwhile.
        pub fn during<T>(&mut self, work: impl FnOnce() -> T) -> T {
            let swap = |source: &mut Option<StdRng>| {
                OF_THREAD.with_borrow_mut(|of_thread| std::mem::swap(source, of_thread));
            };
            swap(&mut self.0);
            let result = work();
            swap(&mut self.0);
            result
        }
    }

    pub(crate) fn is_seeded() -> bool {
        OF_THREAD.with_borrow(Option::is_some)
    }

    pub(super) fn with<T>(draw: impl FnOnce(&mut dyn Rng) -> T) -> T {
        OF_THREAD.with_borrow_mut(|of_thread| match of_thread {
            Some(seeded) => draw(seeded),
            None => draw(&mut rand::rng()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_draw_keeps_to_its_range_and_a_shuffle_loses_nothing() {
        assert!((0..1_000).all(|_| (3..=5).contains(&in_range(3..=5))));
        let mut items: Vec<u64> = (0..100).collect();
        shuffle(&mut items);
        items.sort_unstable();
        assert!(items.into_iter().eq(0..100));
        assert_ne!(random::<u128>(), random::<u128>());
    }

    #[cfg(feature = "explore")]
    #[test]
    fn the_same_seed_draws_the_same_and_ends_with_its_work() {
        let draw = |seed| Seeded::new(seed).during(|| (random::<u64>(), in_range(0..1_000_000)));
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        let mut seeded = Seeded::new(7);
        assert_ne!(seeded.during(random::<u64>), seeded.during(random::<u64>));
        assert_ne!(random::<u64>(), random::<u64>());
    }
}
