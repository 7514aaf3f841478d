//! How much is measured, and how often.

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    pub(crate) rounds: usize,
    quick: bool,
}

impl Scale {
    pub(crate) fn new(quick: bool, rounds: Option<usize>) -> Self {
        Self { rounds: rounds.unwrap_or(if quick { 2 } else { 5 }).max(1), quick }
    }

    /// Whether it has to be quick.
    pub(crate) fn is_quick(self) -> bool {
        self.quick
    }

    /// A count of jobs, a tenth of it if it has to be quick.
    pub(crate) fn jobs(self, full: u64) -> u64 {
        if self.quick { full / 10 } else { full }
    }
}
