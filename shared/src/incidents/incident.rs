//! What is reported, and what is open of it.

use std::fmt;
use std::time::Duration;

use super::kind::{Impact, Kind};

/// Who reports: one loop, one task, one watcher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Reporter(pub(super) u64);

/// What a reporter says is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// Which of the things that can be wrong.
    pub kind: Kind,
    /// With what, where there are several: `partition 3`; empty otherwise.
    pub subject: String,
    /// What happened, and what follows from it, in one line.
    pub reason: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Whether the process still does its work.
    pub impact: Impact,
}

impl Incident {
    /// An incident that keeps the process from its work.
    pub fn new(kind: Kind, subject: impl Into<String>, reason: impl Into<String>) -> Self {
        let hint = kind.hint().map(str::to_owned);
        Self { kind, subject: subject.into(), reason: reason.into(), hint, impact: Impact::NotReady }
    }

    /// The same, of which the process only is the worse.
    #[must_use]
    pub fn degraded(self) -> Self {
        Self { impact: Impact::Degraded, ..self }
    }

    /// With another hint than the kind's own.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// An open incident, as `/readyz` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// Which of the things that can be wrong.
    pub kind: Kind,
    /// With what.
    pub subject: String,
    /// What its reporters say, each thing once.
    pub reasons: Vec<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// The worst that a reporter says.
    pub impact: Impact,
    /// For how long it has been open.
    pub age: Duration,
}

/// `out_of_memory for 12 s: settle in partition 0: …`, then the hint.
impl fmt::Display for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, subject, reasons, hint, age, .. } = self;
        write!(f, "{kind}")?;
        if !subject.is_empty() {
            write!(f, " ({subject})")?;
        }
        write!(f, " for {} s: {}", age.as_secs(), reasons.join("; also: "))?;
        match hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}
