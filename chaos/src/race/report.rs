//! What came of a run: rows, judged by what their cures promise; shown as tables, JSON or a page.

mod charts;
mod contents;
mod damage;
mod json;
mod page;
mod row;
mod table;

use std::path::{Path, PathBuf};

use super::matrix::Senseless;

pub(super) use self::contents::{Report, Setting};
pub(super) use self::row::Row;

/// Makes the directory of the page, and sees that it can be written to: better before a run than after it.
pub(super) fn check_dir(dir: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(dir)?;
    tempfile::NamedTempFile::new_in(dir)?;
    Ok(())
}

impl Report {
    /// The table of the scenario that was added last, and what broke it.
    pub(super) fn last_scenario(&self) -> String {
        let Some((scenario, rows)) = self.scenarios.last() else { return String::new() };
        let senseless: Vec<&Senseless> = self.senseless_in(*scenario).collect();
        table::scenario(*scenario, rows, &senseless)
    }

    pub(super) fn json(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string(&json::document(self))?)
    }

    /// Writes the page; answers where.
    pub(super) fn write_page(&self, dir: &Path) -> anyhow::Result<PathBuf> {
        let path = dir.join("index.html");
        std::fs::write(&path, page::page(self)?)?;
        Ok(path)
    }
}
