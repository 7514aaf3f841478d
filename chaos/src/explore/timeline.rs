//! An order in columns, one for each process, from top to bottom in time.

use std::fmt;

const COLUMN_WIDTH: usize = 46;

#[derive(Debug, Clone)]
pub(super) struct Timeline {
    /// Of each column: who has died, and who was started instead.
    names: Vec<String>,
    /// The column, or all of them, and the words.
    lines: Vec<(Option<usize>, String)>,
}

impl Timeline {
    pub(super) fn new(names: impl Iterator<Item = char>) -> Self {
        Self { names: names.map(String::from).collect(), lines: Vec::new() }
    }

    pub(super) fn add(&mut self, name: char, words: String) {
        let column = self.names.iter().position(|names| names.contains(name));
        self.lines.push((column, words));
    }

    pub(super) fn add_to_all(&mut self, words: &str) {
        self.lines.push((None, format!("-- {words} --")));
    }

    /// The column of one that died is that of the one that was started instead.
    pub(super) fn rename(&mut self, before: char, after: char) {
        let columns = self.names.iter_mut().filter(|names| names.contains(before));
        columns.for_each(|names| names.push_str(&format!(", then {after}")));
    }
}

impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for name in &self.names {
            write!(f, "{name:COLUMN_WIDTH$}")?;
        }
        writeln!(f)?;
        for (column, words) in &self.lines {
            let indent = column.unwrap_or_default() * COLUMN_WIDTH;
            writeln!(f, "{:indent$}{words}", "")?;
        }
        Ok(())
    }
}
