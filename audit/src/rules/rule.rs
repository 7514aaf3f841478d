//! What a rule is.

use tollgate::code::Code;
use tollgate::journal::Line;

use crate::model::Model;

/// How much a customer weighs in the sum over a campaign's holders.
pub(crate) type Weight<'a> = &'a dyn Fn(&str) -> u128;

/// The rule of a kind.
pub(super) trait Rule {
    /// What `settle` must have answered; `None` where the journal does not tell enough.
    fn decide(&self, model: &Model, line: &Line) -> Option<Decision>;

    /// Takes over what the line says it did, whether or not it should have.
    fn take_over(&self, model: &mut Model, line: &Line, weight: Weight<'_>);
}

/// What a line must say, by the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) code: Code,
    /// The resource's state after it; `None` if there is no such resource.
    pub(crate) after: Option<u64>,
    /// This is possible as well, and then nothing changed: what would tell is not in the journal.
    pub(super) or: Option<Code>,
}

impl Decision {
    pub(super) fn new(code: Code, after: Option<u64>) -> Self {
        Self { code, after, or: None }
    }

    /// Whether the line says so.
    pub(super) fn agrees(&self, line: &Line, before: Option<u64>) -> bool {
        (line.code == self.code && line.after == self.after)
            || (Some(line.code) == self.or && line.after == before)
    }
}
