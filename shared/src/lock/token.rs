//! Tokens of attempts.

use crate::protocol::instant::Instant;
use crate::random;

/// A token that no other attempt anywhere has: who, since when by the clock here (to be shown, nothing rests on it), and
/// 128 random bits.
pub(super) fn token(owner: &str) -> String {
    format!("{owner}/{}-{:032x}", Instant::now().ms(), random::random::<u128>())
}
