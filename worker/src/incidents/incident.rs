//! One thing that is wrong, as it is reported and as it is shown.

use std::fmt;
use std::time::Duration;

use super::kind::{Impact, Kind};

/// Who reports: one loop, one task, one watcher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Reporter(pub(super) u64);

/// What a reporter says is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Incident {
    /// Which of the things that can be wrong.
    pub(crate) kind: Kind,
    /// With what, where there are several: `partition 3`; empty otherwise.
    pub(crate) subject: String,
    /// What happened, and what follows from it, in one line.
    pub(crate) reason: String,
    /// What to do about it.
    pub(crate) hint: Option<String>,
    /// Whether the process still does its work.
    pub(crate) impact: Impact,
}

impl Incident {
    /// An incident that keeps the process from its work.
    pub(crate) fn new(kind: Kind, subject: impl Into<String>, reason: impl Into<String>) -> Self {
        let hint = kind.hint().map(str::to_owned);
        Self { kind, subject: subject.into(), reason: reason.into(), hint, impact: Impact::NotReady }
    }

    /// The same, of which the process only is the worse.
    #[must_use]
    pub(crate) fn degraded(self) -> Self {
        Self { impact: Impact::Degraded, ..self }
    }

    /// With another hint than the kind's own.
    #[must_use]
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// An open incident, as `/readyz` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Open {
    /// Which of the things that can be wrong.
    pub(crate) kind: Kind,
    /// With what.
    pub(crate) subject: String,
    /// What its reporters say, each thing once.
    pub(crate) reasons: Vec<String>,
    /// What to do about it.
    pub(crate) hint: Option<String>,
    /// The worst that a reporter says.
    pub(crate) impact: Impact,
    /// For how long it has been open.
    pub(crate) age: Duration,
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
