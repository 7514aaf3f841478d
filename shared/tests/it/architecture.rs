//! ARCHITECTURE.md lists every key that `keys.rs` can build, and no other.

const PAGE: &str = include_str!("../../../ARCHITECTURE.md");
const KEYS: &str = include_str!("../../src/protocol/keys.rs");

/// The names that `keys.rs` hands to `self.key(…)`, with `<…>` for what is filled in.
fn built() -> Vec<String> {
    let calls = KEYS.split("self.key(").skip(1);
    let mut names: Vec<String> = calls
        .filter_map(|rest| rest.split('"').nth(1))
        .map(|name| name.split_once('{').map_or(name.to_owned(), |(prefix, _)| format!("{prefix}<>")))
        .collect();
    names.sort();
    names
}

/// The names in the first column of the page's table of keys.
fn documented() -> Vec<String> {
    let rows = PAGE.lines().skip_while(|line| !line.starts_with("| key |")).skip(2);
    let mut names: Vec<String> = rows
        .take_while(|line| line.starts_with('|'))
        .filter_map(|row| row.split('`').nth(1))
        .map(|name| name.split_once('<').map_or(name.to_owned(), |(prefix, _)| format!("{prefix}<>")))
        .collect();
    names.sort();
    names
}

#[test]
fn the_table_of_keys_is_the_keys_there_are() {
    assert!(built().len() > 10, "keys.rs is written in another way than this test reads");
    assert_eq!(documented(), built());
}
