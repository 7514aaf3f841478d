//! What was decided.

use crate::protocol::code::{Class, Code};
use crate::scripts::settle::Answer;

/// What was decided about a request, by this call or by an earlier one under the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// The code, of the list in `docs/codes.md`.
    pub code: Code,
    /// Its line in the partition's journal, from 1; `None` for what is not decided: it may be asked again under its id.
    pub seq: Option<u64>,
    /// Whether it had been decided before.
    pub replayed: bool,
}

impl Decision {
    pub(super) fn of(answer: Answer) -> Self {
        let (seq, replayed) = answer.decided();
        Self { code: answer.direct_code(), seq, replayed }
    }

    /// Whether the effect happened, now or then; of a payout: whether its money is held.
    pub fn is_applied(self) -> bool {
        self.seq.is_some() && matches!(self.code.class(), Class::Applied | Class::Pending)
    }
}
