//! The model of a case: what it can be decided as, and what it was decided as. Pure.

use tollgate::code::Code;
use tollgate::ids::{Actor, CaseOption};
use tollgate::options::Options;
use tollgate::quantity::Version;
use tollgate::reason::Reason;

/// The fields of a case's key, in the order of [`Case::fields`].
pub(super) const CASE_FIELDS: [&str; 6] = ["decision", "by", "reason", "options", "version", "seq"];

/// A case after the lines so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Case {
    pub(super) version: u64,
    /// `None` where its opening is not in the journal.
    pub(super) options: Option<Options>,
    /// What stands.
    pub(super) word: Option<Word>,
    /// Of its last change; of what stands, where something does.
    pub(super) seq: u64,
    /// Its opening is not in the journal: nothing more can be said of it.
    pub(super) unknown: bool,
}

/// Who decided it, as what, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) decision: CaseOption,
    pub(super) by: Actor,
    pub(super) reason: Option<Reason>,
}

impl Case {
    /// Why it can be neither decided nor amended by whoever has read this version, and what a line shows then; `None` if
    /// it can.
    pub(super) fn refusal(&self, expected: Option<Version>) -> Option<(Code, Vec<u64>)> {
        if self.word.is_some() {
            return Some((Code::AlreadyDecided, vec![self.version, self.seq]));
        }
        let differs = expected.is_some_and(|expected| expected.get() != self.version);
        differs.then(|| (Code::VersionMismatch, vec![self.version]))
    }

    /// What its key must hold, in the order of [`CASE_FIELDS`].
    pub(super) fn fields(&self) -> [String; 6] {
        let word = self.word.as_ref();
        let reason = word.and_then(|word| word.reason.as_ref());
        [
            word.map(|word| word.decision.to_string()).unwrap_or_default(),
            word.map(|word| word.by.to_string()).unwrap_or_default(),
            reason.map(Reason::to_string).unwrap_or_default(),
            self.options.as_ref().map(Options::to_string).unwrap_or_default(),
            self.version.to_string(),
            self.seq.to_string(),
        ]
    }
}
