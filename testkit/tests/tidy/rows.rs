//! ARCHITECTURE.md has a row for every agent, a line for every crate, and a glossary of words that are in use.

use std::collections::BTreeSet;

use crate::source::{code, files_in, read, tree};

const PAGE: &str = "ARCHITECTURE.md";

/// The first column of the table whose head begins so.
fn first_column(head: &str) -> Vec<String> {
    let page = read(PAGE);
    let rows = page.lines().skip_while(|line| !line.starts_with(head)).skip(2);
    let rows = rows.take_while(|line| line.starts_with('|'));
    let column: Vec<_> = rows.filter_map(|row| Some(row.split('|').nth(1)?.trim().to_owned())).collect();
    assert!(column.len() > 5, "{head}: {column:?}");
    column
}

#[test]
fn every_agent_has_its_row() {
    let tree = tree();
    let files = tree.iter().filter_map(|path| path.strip_prefix("worker/src/agents/")?.strip_suffix(".rs"));
    let agents: BTreeSet<_> = files.map(|name| name.replace('_', " ")).collect();
    assert_eq!(first_column("| agent |").into_iter().collect::<BTreeSet<_>>(), agents);
}

#[test]
fn every_crate_has_its_line() {
    let cargo = read("Cargo.toml");
    let members = cargo.lines().find_map(|line| line.strip_prefix("members = [")).unwrap();
    let members: Vec<_> = members.split('"').skip(1).step_by(2).collect();
    assert!(members.len() > 5);
    let page = read(PAGE);
    let (_, block) = page.split_once("## The crates\n\n```\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    for member in &members {
        let cargo = read(&format!("{member}/Cargo.toml"));
        let name = cargo.lines().find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"')).unwrap();
        let line = block.lines().find(|line| line.starts_with(&format!("{member}/ ")));
        assert!(line.is_some_and(|line| line.contains(&format!("crate `{name}`:"))), "{member}/: {line:?}");
    }
    let told = block.lines().filter(|line| !line.starts_with(' ')).count();
    assert_eq!(told, members.len(), "a line without its crate");
}

#[test]
fn every_word_of_the_glossary_is_in_use() {
    let tree = tree();
    let rust: Vec<String> = files_in(&tree, "src", ".rs").map(|path| code(&read(path))).collect();
    let lua = files_in(&tree, "lua", ".lua").map(read);
    let source: Vec<String> = rust.into_iter().chain(lua).collect();
    let words = first_column("| word | meaning |");
    let once: BTreeSet<_> = words.iter().collect();
    assert_eq!(once.len(), words.len(), "a word stands twice");
    for word in &words {
        let name = word.replace(' ', "_");
        let of_type: String = word.split(' ').map(|part| part[..1].to_uppercase() + &part[1..]).collect();
        let is_used = |text: &String| text.contains(&name) || text.contains(&of_type);
        assert!(source.iter().any(is_used), "{word}: nothing is called so");
    }
}
