//! The rows of a report, and what they say.

use serde::Serialize;

use crate::race::judge::Tally;
use crate::race::matrix::{Cell, Promise};
use crate::race::play::Run;
use crate::race::timeline::Timeline;

/// A cure on a store in a scenario, at every concurrency.
pub(in crate::race) struct Row {
    pub(in crate::race) cell: Cell,
    pub(in crate::race) runs: Vec<Run>,
}

/// What a row says about its cure, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::race) enum Verdict {
    /// Promised and kept.
    Safe,
    /// Nothing was promised, and no damage was seen.
    Lucky,
    /// Nothing was promised, and damage was done.
    Damaged,
    /// Promised and broken.
    Broken,
}

impl Verdict {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Safe => "safe",
            Self::Broken => "BROKEN",
            Self::Damaged => "damaged",
            Self::Lucky => "lucky",
        }
    }
}

impl Row {
    /// All concurrencies together.
    pub(super) fn tally(&self) -> Tally {
        self.runs.iter().fold(Tally::default(), |mut sum, run| {
            sum += run.tally;
            sum
        })
    }

    /// The run with the most users.
    pub(super) fn busiest(&self) -> Option<&Run> {
        self.runs.iter().max_by_key(|run| run.concurrency)
    }

    pub(super) fn timeline(&self) -> Option<&Timeline> {
        self.runs.iter().find_map(|run| run.timeline.as_ref())
    }

    pub(super) fn verdict(&self) -> Verdict {
        match (self.cell.promise(), self.tally().damage) {
            (Promise::Safe, 0) => Verdict::Safe,
            (Promise::Safe, _) => Verdict::Broken,
            (Promise::Nothing(_), 0) => Verdict::Lucky,
            (Promise::Nothing(_), _) => Verdict::Damaged,
        }
    }
}

/// Drawings of one shape, for one reason: the same steps in the same order.
pub(super) struct Drawn<'a> {
    pub(super) rows: Vec<&'a Row>,
    pub(super) timeline: &'a Timeline,
}

impl Drawn<'_> {
    /// `naive on PostgreSQL and Redis; …`.
    pub(super) fn names(&self) -> String {
        let mut names: Vec<(String, Vec<&str>)> = Vec::new();
        for row in &self.rows {
            let (label, store) = (row.cell.label(), row.cell.store.name());
            match names.iter_mut().find(|(known, _)| *known == label) {
                Some((_, stores)) => stores.push(store),
                None => names.push((label, vec![store])),
            }
        }
        let names = names.iter().map(|(label, stores)| format!("{label} on {}", stores.join(" and ")));
        names.collect::<Vec<_>>().join("; ")
    }
}

/// Every broken invariant's interleaving; those of one shape once, with all their rows.
pub(super) fn drawn(rows: &[Row]) -> Vec<Drawn<'_>> {
    let mut all: Vec<Drawn<'_>> = Vec::new();
    for row in rows {
        let Some(timeline) = row.timeline() else { continue };
        let alike = |drawn: &&mut Drawn<'_>| {
            drawn.rows[0].cell.promise() == row.cell.promise() && drawn.timeline.shape() == timeline.shape()
        };
        match all.iter_mut().find(alike) {
            Some(drawn) => drawn.rows.push(row),
            None => all.push(Drawn { rows: vec![row], timeline }),
        }
    }
    all
}
