//! What each cure let happen in each scenario: the answer of the whole run in one table a store.

use super::contents::Report;
use super::row::{Row, Verdict};
use crate::race::cure::{Cure, Store};
use crate::race::judge::Tally;

/// A cure on one store, all lock services together.
pub(super) struct Line {
    pub(super) label: String,
    /// For each scenario of the run; none where it was not played.
    pub(super) cells: Vec<Option<Damage>>,
}

/// Wrong or lost effects of a hundred requests, and what the rows together say of their cure.
#[derive(Debug, Clone, Copy)]
pub(super) struct Damage {
    pub(super) percent: f64,
    pub(super) verdict: Verdict,
}

/// The lines of one store, in the order of the cures.
pub(super) fn lines(report: &Report, store: Store) -> Vec<Line> {
    let mut keys: Vec<(Cure, bool, String)> = Vec::new();
    for row in report.scenarios.iter().flat_map(|(_, rows)| rows).filter(|row| row.cell.store == store) {
        let label = label(row);
        if keys.iter().all(|(.., known)| *known != label) {
            keys.push((row.cell.cure, row.cell.stopped, label));
        }
    }
    keys.sort();
    let cell = |rows: &[Row], name: &str| {
        damage(rows.iter().filter(|row| row.cell.store == store && label(row) == name))
    };
    let line = |(.., label): (_, _, String)| {
        let cells = report.scenarios.iter().map(|(_, rows)| cell(rows, &label)).collect();
        Line { label, cells }
    };
    keys.into_iter().map(line).collect()
}

fn label(row: &Row) -> String {
    match (row.cell.cure.service(), row.cell.stopped) {
        (Some(_), true) => format!("{}, holder stopped", row.cell.cure.kind().name()),
        (Some(_), false) => row.cell.cure.kind().name(),
        (None, _) => row.cell.label(),
    }
}

/// Of several rows, what the worst of them says.
fn damage<'a>(rows: impl Iterator<Item = &'a Row>) -> Option<Damage> {
    let rows: Vec<&Row> = rows.collect();
    let verdict = rows.iter().map(|row| row.verdict()).max()?;
    let tallies: Vec<Tally> = rows.iter().map(|row| row.tally()).collect();
    let sum = |count: fn(&Tally) -> u64| tallies.iter().map(count).sum::<u64>() as f64;
    let percent = sum(|tally| tally.damage) * 100.0 / sum(|tally| tally.asked).max(1.0);
    Some(Damage { percent, verdict })
}
