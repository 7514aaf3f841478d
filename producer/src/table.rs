//! Tables for people: columns as wide as their widest cell, numbers to the right. Pure.

use std::fmt::{self, Write as _};
use std::time::Duration;

use tollgate::instant::Instant;

/// A moment as people read it, or its milliseconds since the Unix epoch where it is none.
pub(crate) fn time(at_ms: u64) -> String {
    Instant::from_ms(at_ms).map_or_else(|| at_ms.to_string(), |at| at.to_string())
}

/// How a column is aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// Rows under a header; displayed without a line end after the last row.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table of these columns. A name that begins with `>` aligns its column to the right.
    pub(crate) fn new(columns: &[&'static str]) -> Self {
        let column = |name: &&'static str| match name.strip_prefix('>') {
            Some(name) => (name, Align::Right),
            None => (*name, Align::Left),
        };
        Self { columns: columns.iter().map(column).collect(), rows: Vec::new() }
    }

    /// Adds a row, one cell for each column.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        debug_assert_eq!(N, self.columns.len());
        self.rows.push(cells.into());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header: Vec<String> = self.columns.iter().map(|(name, _)| (*name).to_owned()).collect();
        let lines = || std::iter::once(&header).chain(&self.rows);
        let width = |at: usize| lines().map(|row| row[at].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        for (number, row) in lines().enumerate() {
            let mut line = String::new();
            for ((cell, (_, align)), width) in row.iter().zip(&self.columns).zip(&widths) {
                // Not by the width of a format, which may be 65,535 at most.
                let space = " ".repeat(width - cell.chars().count());
                match align {
                    Align::Left => write!(line, "{cell}{space}  ")?,
                    Align::Right => write!(line, "{space}{cell}  ")?,
                }
            }
            let end = if number == self.rows.len() { "" } else { "\n" };
            write!(f, "{}{end}", line.trim_end())?;
        }
        Ok(())
    }
}

/// An age in milliseconds for people: `350ms`, `4.2s`, `12m`, `3h 05m`, `9d`; `-` for none.
pub(crate) fn age(ms: Option<u64>) -> String {
    let Some(ms) = ms else { return "-".to_owned() };
    let (minutes, hours) = (ms / 60_000, ms / 3_600_000);
    match ms {
        0..1_000 => format!("{ms}ms"),
        1_000..60_000 => format!("{}.{}s", ms / 1000, ms % 1000 / 100),
        60_000..3_600_000 => format!("{minutes}m {:02}s", ms / 1000 % 60),
        3_600_000..172_800_000 => format!("{hours}h {:02}m", minutes % 60),
        _ => format!("{}d", hours / 24),
    }
}

/// A duration for people, as [`age`].
#[cfg(feature = "watch")]
pub(crate) fn duration(duration: Duration) -> String {
    age(u64::try_from(duration.as_millis()).ok())
}

/// A count with its noun: `1 violation`, `2,000 violations`.
pub(crate) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// How many a second, in whole numbers; `-` where the time is too short to say.
pub(crate) fn rate(number: u64, elapsed: Duration) -> String {
    /// Below this a rate would be a guess from a handful of packets.
    const SHORTEST: Duration = Duration::from_millis(10);
    if elapsed < SHORTEST {
        return "-".to_owned();
    }
    count((number as f64 / elapsed.as_secs_f64()).round() as u64)
}

/// A count with its thousands apart: `1,234,567`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&["queue", ">waiting"]);
        table.row(["default".to_owned(), count(1_234_567)]);
        table.row(["кампания".to_owned(), count(7)]);
        assert_eq!(table.to_string(), "queue       waiting\ndefault   1,234,567\nкампания          7");
        assert_eq!(Table::new(&["id"]).to_string(), "id");
    }

    #[test]
    fn ages_and_counts_read_well() {
        for (ms, text) in [
            (0, "0ms"),
            (999, "999ms"),
            (4_250, "4.2s"),
            (59_999, "59.9s"),
            (60_000, "1m 00s"),
            (3_599_999, "59m 59s"),
            (7_500_000, "2h 05m"),
            (172_800_000, "2d"),
        ] {
            assert_eq!(age(Some(ms)), text);
        }
        assert_eq!(age(None), "-");
        assert_eq!(counted(1, "line", "lines"), "1 line");
        assert_eq!(counted(0, "line", "lines"), "0 lines");
        assert_eq!(counted(1_000, "line", "lines"), "1,000 lines");
        assert_eq!(rate(28_000, Duration::from_secs(2)), "14,000");
        assert_eq!(rate(5, Duration::from_millis(1)), "-");
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(number), text);
        }
    }
}
