//! The tables: for a terminal, and as Markdown for docs/benchmarks.md.

use std::fmt::Write;

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
}

const HEADINGS: [&str; 7] =
    ["what", "ours", "limit", "ratio", "Redis CPU s / 100k", "client CPU s / 100k", "aim"];

impl Row {
    fn cells(&self) -> [&str; 7] {
        [&self.what, &self.ours, &self.limit, &self.ratio, &self.redis_cpu, &self.client_cpu, &self.aim]
    }
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

    pub(crate) fn markdown(&self) -> String {
        let mut text = String::new();
        for (name, value) in &self.head {
            let _ = writeln!(text, "- {name}: {value}");
        }
        for (title, rows) in &self.tables {
            let _ = writeln!(
                text,
                "\n### {title}\n\n| {} |\n|{}",
                HEADINGS.join(" | "),
                "---|".repeat(HEADINGS.len())
            );
            for row in rows {
                let _ = writeln!(text, "| {} |", row.cells().join(" | "));
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
            let lines: Vec<[&str; 7]> =
                std::iter::once(HEADINGS).chain(rows.iter().map(Row::cells)).collect();
            let width =
                |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
            for line in &lines {
                let cells: Vec<String> = line
                    .iter()
                    .enumerate()
                    .map(|(column, cell)| format!("{cell:0$}", width(column)))
                    .collect();
                let _ = writeln!(text, "  {}", cells.join("  ").trim_end());
            }
        }
        text
    }
}
