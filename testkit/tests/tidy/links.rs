//! Every link of a page to another page, to a place in one, or to a file leads somewhere.

use crate::pages::pages;
use crate::source::{read, root};

/// The name under which a heading is linked to: lower case, spaces as hyphens, without other signs.
fn anchor(heading: &str) -> String {
    let heading = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
    heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let (mut broken, mut links) = (Vec::new(), 0);
    for page in pages() {
        let (text, file) = (read(&page), root().join(&page));
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.contains("://")) {
            links += 1;
            let (path, place) = target.split_once('#').unwrap_or((target, ""));
            let file = if path.is_empty() { file.clone() } else { file.parent().unwrap().join(path) };
            let is_there = match (file.exists(), place) {
                (exists, "") => exists,
                (false, _) => false,
                (true, place) => {
                    let text = std::fs::read_to_string(&file).unwrap();
                    text.lines().any(|line| line.starts_with('#') && anchor(line) == place)
                }
            };
            if !is_there {
                broken.push(format!("{page}: {target}"));
            }
        }
    }
    assert!(links > 50, "{links}");
    assert!(broken.is_empty(), "{broken:#?}");
}
