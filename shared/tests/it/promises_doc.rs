//! The README numbers its promises without a gap, and knows every name (G1 …) that a page uses.

use std::collections::BTreeSet;

const README: &str = include_str!("../../../README.md");

/// Every `G` with a number that stands as a word of its own.
fn names(text: &str) -> BTreeSet<u32> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    words.filter_map(|word| word.strip_prefix('G')?.parse().ok()).collect()
}

#[test]
fn promises_are_numbered_without_a_gap_and_every_name_is_known() {
    let table = README.lines().skip_while(|line| *line != "| | promise | |").skip(2);
    let rows: Vec<Vec<&str>> =
        table.take_while(|line| line.starts_with('|')).map(|line| line.split(" | ").collect()).collect();
    let mut promised = BTreeSet::new();
    for (at, row) in rows.iter().enumerate() {
        assert_eq!(row[0], format!("| {}", at + 1));
        let name = names(row[2]);
        assert_eq!(name.len(), 1, "{row:?}");
        assert!(name.iter().all(|name| promised.insert(*name)), "named twice: {row:?}");
    }
    assert!(promised.len() > 20);

    let planned = README.lines().find(|line| line.ends_with("are planned, and not promised."));
    let planned = names(planned.unwrap());
    assert!(promised.is_disjoint(&planned));
    let known = &promised | &planned;
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs");
    for page in std::fs::read_dir(docs).unwrap().map(|entry| entry.unwrap().path()) {
        if page.extension().is_some_and(|end| end == "md") {
            let used = names(&std::fs::read_to_string(&page).unwrap());
            assert!(used.is_subset(&known), "{}: {:?}", page.display(), &used - &known);
        }
    }
}
