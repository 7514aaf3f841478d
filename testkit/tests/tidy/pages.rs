//! The pages, and what stands in backticks in them.

use crate::source::{read, root};

/// Every page, written from the root.
pub(crate) fn pages() -> Vec<String> {
    let mut pages: Vec<String> =
        ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "examples/README.md"]
            .map(str::to_owned)
            .into();
    let docs = std::fs::read_dir(root().join("docs")).unwrap();
    let names = docs.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    pages.extend(names.filter(|name| name.ends_with(".md")).map(|name| format!("docs/{name}")));
    pages
}

/// What stands under one heading.
#[derive(Default)]
pub(crate) struct Section {
    pub(crate) heading: String,
    /// What stands in backticks within a line.
    pub(crate) spans: Vec<String>,
    /// The lines between fences.
    pub(crate) fenced: Vec<String>,
}

pub(crate) fn sections(page: &str) -> Vec<Section> {
    let mut sections = vec![Section::default()];
    let mut is_fenced = false;
    for line in read(page).lines() {
        if line.trim_start().starts_with("```") {
            is_fenced = !is_fenced;
        } else if !is_fenced && line.starts_with('#') {
            sections.push(Section { heading: line.to_owned(), ..Section::default() });
        } else {
            let section = sections.last_mut().unwrap();
            match is_fenced {
                true => section.fenced.push(line.to_owned()),
                false => section.spans.extend(line.split('`').skip(1).step_by(2).map(str::to_owned)),
            }
        }
    }
    sections
}
