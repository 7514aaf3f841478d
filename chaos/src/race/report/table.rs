//! A scenario for a terminal: its story, its table, and the interleavings that broke it.

use comfy_table::{CellAlignment, Table, presets};

use super::row::{Row, drawn};
use crate::race::matrix::{Promise, Senseless};
use crate::race::scenario::Scenario;
use crate::stage::thousands;

/// Heads of the columns; numbers stand to the right.
pub(super) const HEADS: [&str; 12] = [
    "cure",
    "store",
    "asked",
    "granted",
    "over-\nissued",
    "lost\nupdates",
    "refused\nwrongly",
    "retries",
    "per s",
    "p50 ms",
    "p99 ms",
    "",
];

/// The cells of a row, under [`HEADS`].
pub(super) fn cells(scenario: Scenario, row: &Row) -> [String; 12] {
    let tally = row.tally();
    let busiest = row.busiest();
    let ms =
        |quantile: f64| busiest.map_or_else(String::new, |run| format!("{:.1}", run.latency_ms(quantile)));
    let over = match tally.over_issued {
        0 => "0".to_owned(),
        over => (scenario.story().amount)(over),
    };
    // Of a paused holder no rate can be told.
    let rate = busiest.filter(|_| !row.cell.stopped).map(|run| thousands(run.per_second() as u64));
    [
        row.cell.label(),
        row.cell.store.name().to_owned(),
        thousands(tally.asked),
        thousands(tally.granted),
        over,
        thousands(tally.lost_updates),
        thousands(tally.refused_wrongly),
        thousands(tally.retries),
        rate.unwrap_or_default(),
        ms(0.5),
        ms(0.99),
        row.verdict().name().to_owned(),
    ]
}

pub(super) fn scenario(scenario: Scenario, rows: &[Row], senseless: &[&Senseless]) -> String {
    let story = scenario.story();
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(HEADS);
    table.add_rows(rows.iter().map(|row| cells(scenario, row)));
    for (number, column) in table.column_iter_mut().enumerate() {
        if (2..HEADS.len() - 1).contains(&number) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let mut text = format!(
        "\n{}: {}\n  scarce: {}\n  must hold: {} ({})\n  for Tollgate: the kind {}\n\n",
        story.name, story.story, story.resource, story.invariant, story.guarantees, story.kind
    );
    let lines = table.to_string();
    lines.lines().for_each(|line| text.extend([" ", line.trim_end(), "\n"]));
    for other in senseless {
        text.push_str(&format!("  not on {}: {}, since {}\n", other.store.name(), other.cure, other.why));
    }
    for drawn in drawn(rows) {
        text.push_str(&format!("\n  {}", drawn.names()));
        if let Some(Promise::Nothing(why)) = drawn.rows.first().map(|row| row.cell.promise()) {
            text.push_str(&format!("\n  {why}"));
        }
        text.push_str("\n\n");
        drawn.timeline.to_string().lines().for_each(|line| text.extend(["  ", line.trim_end(), "\n"]));
    }
    text
}
