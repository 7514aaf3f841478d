//! Where an order has come to.

use super::databases::Loaded;
use super::step::Call;

/// All that decides what can still happen, but for what is left of the bound.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub(super) database: u32,
    pub(super) loaded: Loaded,
    pub(super) bank: u32,
    /// Everybody's name, place in the fleet, and where it is; nowhere if it has died.
    pub(super) members: Vec<(char, usize, Option<u32>)>,
    /// Calls that are on their way though their sender has gone on.
    pub(super) late: Vec<(Call, u32)>,
    /// Whose call ran last.
    pub(super) last: Option<char>,
    /// What was done last.
    pub(super) just: Just,
}

/// Steps that could as well be made in another order are made in one: `world/choices.rs` says which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Just {
    /// A process went on.
    WentOn,
    /// Redis forgot its scripts.
    Flushed,
    Otherwise,
}

impl State {
    /// One that does not know what Redis holds: what can follow depends on that.
    pub(super) fn without_database(&self) -> Self {
        Self { database: 0, ..self.clone() }
    }

    /// Where its database and its living processes are.
    pub(super) fn parts(&self) -> (u32, impl Iterator<Item = (char, Option<u32>)> + '_) {
        (self.database, self.members.iter().map(|(name, _, member)| (*name, *member)))
    }
}
