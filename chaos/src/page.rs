//! What the pages of all reports look like: colours of the day and of the night, text, tables.

pub(crate) const STYLE: &str = include_str!("page.css");
