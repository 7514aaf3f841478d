//! What is measured: one file for each section.

mod script;

use anyhow::Result;
use clap::ValueEnum;

use crate::cost::Rounds;
use crate::report::Row;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    pub(crate) rounds: usize,
    quick: bool,
}

impl Scale {
    pub(crate) fn new(quick: bool, rounds: Option<usize>) -> Self {
        Self { rounds: rounds.unwrap_or(if quick { 2 } else { 7 }).max(1), quick }
    }

    /// A count of jobs, a tenth of it if it has to be quick.
    pub(crate) fn jobs(self, full: u64) -> u64 {
        if self.quick { full / 10 } else { full }
    }
}

/// A section of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Section {
    /// settle alone, called in-process, against the bare batch: for tuning the script.
    Script,
}

impl Section {
    pub(crate) const PUBLISHED: [Self; 0] = [];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Script => "settle alone, without a worker",
        }
    }

    pub(crate) fn run(self, scale: Scale) -> Result<Vec<Row>> {
        match self {
            Self::Script => script::run(scale),
        }
    }
}

/// The cells that compare two measurements.
pub(crate) fn compared(ours: &Rounds, limit: &Rounds) -> Row {
    let ratio = ours.against(limit);
    Row {
        ours: format!("{:.0}/s", ours.rate()),
        limit: format!("{:.0}/s", limit.rate()),
        ratio: ratio.rate.to_string(),
        redis_cpu: format!("{:.2} / {:.2}: {}", ours.redis_cpu(), limit.redis_cpu(), ratio.redis_cpu),
        client_cpu: format!("{:.2} / {:.2}", ours.client_cpu(), limit.client_cpu()),
        ..Row::default()
    }
}
