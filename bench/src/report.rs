//! The tables: for a terminal, and as Markdown for docs/benchmarks.md.

use std::fmt::Write;

use crate::cost::Rounds;

/// One line of a table; an empty cell where a column does not apply.
#[derive(Debug, Clone, Default)]
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) ours: String,
    pub(crate) limit: String,
    pub(crate) ratio: String,
    /// Seconds of Redis CPU for 100,000 jobs: ours / limit.
    pub(crate) redis_cpu: String,
    /// Seconds of client CPU for 100,000 jobs: ours / limit.
    pub(crate) client_cpu: String,
    pub(crate) aim: String,
    /// Below what was reached before.
    pub(crate) is_worse: bool,
}

const HEADINGS: [&str; 7] =
    ["what", "ours", "limit", "ratio", "Redis CPU s / 100k", "client CPU s / 100k", "aim"];

impl Row {
    fn cells(&self) -> [&str; 7] {
        [&self.what, &self.ours, &self.limit, &self.ratio, &self.redis_cpu, &self.client_cpu, &self.aim]
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

/// A ratio beside what it should reach.
pub(crate) fn verdict(aim: f64, ratio: f64) -> String {
    format!("{aim}: {}", if ratio >= aim { "met" } else { "missed" })
}

pub(crate) struct Report {
    head: Vec<(&'static str, String)>,
    tables: Vec<(&'static str, Vec<Row>)>,
}

impl Report {
    pub(crate) fn new(head: Vec<(&'static str, String)>) -> Self {
        Self { head, tables: Vec::new() }
    }

    pub(crate) fn add(&mut self, title: &'static str, rows: Vec<Row>) {
        self.tables.push((title, rows));
    }

    /// Whether any row is below what was reached before.
    pub(crate) fn is_worse(&self) -> bool {
        self.tables.iter().flat_map(|(_, rows)| rows).any(|row| row.is_worse)
    }

    pub(crate) fn markdown(&self) -> String {
        let mut text = String::new();
        for (name, value) in &self.head {
            let _ = writeln!(text, "- {name}: {value}");
        }
        for (title, rows) in &self.tables {
            let lines = table(rows);
            let _ = writeln!(text, "\n### {title}\n");
            for (n, line) in lines.iter().enumerate() {
                let _ = writeln!(text, "| {} |", line.join(" | "));
                if n == 0 {
                    let _ = writeln!(text, "|{}", "---|".repeat(line.len()));
                }
            }
        }
        text
    }

    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for (name, value) in &self.head {
            let _ = writeln!(text, "{name:10} {value}");
        }
        for (title, rows) in &self.tables {
            let _ = writeln!(text, "\n{title}");
            let lines = table(rows);
            let width = |column: usize| {
                lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default()
            };
            for line in &lines {
                let cells: Vec<String> =
                    line.iter().enumerate().map(|(n, cell)| format!("{cell:0$}", width(n))).collect();
                let _ = writeln!(text, "  {}", cells.join("  ").trim_end());
            }
        }
        text
    }
}

/// The headings and the rows, without the columns in which no row has anything.
fn table(rows: &[Row]) -> Vec<Vec<&str>> {
    let used: Vec<usize> = (0..HEADINGS.len())
        .filter(|column| rows.iter().any(|row| !row.cells()[*column].is_empty()))
        .collect();
    let pick = |cells: [&'static str; 7]| used.iter().map(|column| cells[*column]).collect();
    let mut lines: Vec<Vec<&str>> = vec![pick(HEADINGS)];
    lines.extend(rows.iter().map(|row| used.iter().map(|column| row.cells()[*column]).collect()));
    lines
}
