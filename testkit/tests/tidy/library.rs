//! The libraries know no command line: what a command or a flag is called, the programs say.

use crate::source::{code, literals, read, tree};

/// Says of each variable what it stands for.
const DECLARES: &str = "shared/src/env.rs";
/// Speaks to redis-server by its flags.
const LAUNCHES: &str = "shared/src/embedded/";

fn is_of_a_library(path: &str) -> bool {
    ["shared/src/", "audit/src/"].iter().any(|folder| path.starts_with(folder)) && path.ends_with(".rs")
}

fn names_a_command(literal: &str) -> bool {
    let is_flag =
        |word: &str| word.strip_prefix("--").is_some_and(|name| name.starts_with(char::is_alphabetic));
    let mut words = literal.split(|c: char| c.is_whitespace() || "`(),;:".contains(c));
    words.any(|word| is_flag(word) || ["tollgate-producer", "tollgate-worker"].contains(&word))
}

#[test]
fn no_library_names_a_program_or_a_flag() {
    let tree = tree();
    let files: Vec<&String> = tree.iter().filter(|path| is_of_a_library(path)).collect();
    assert!(files.len() > 100, "{} files", files.len());
    let told = files.into_iter().filter(|path| *path != DECLARES && !path.starts_with(LAUNCHES));
    let named: Vec<String> = told
        .flat_map(|path| {
            let code = code(&read(path));
            let named = literals(&code).filter(|literal| names_a_command(literal));
            named.map(|literal| format!("{path}: {literal}")).collect::<Vec<_>>()
        })
        .collect();
    assert!(named.is_empty(), "belongs to a program, as a hint (cli/src/hints.rs):\n{}", named.join("\n"));
}
