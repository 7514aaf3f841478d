//! Every environment variable that the crates read, set or speak of is declared in `shared/src/env.rs`.

use std::collections::BTreeSet;

use crate::pages::pages;
use crate::source::{code, files_in, literals, read, tree, words};

const DECLARED_IN: &str = "shared/src/env.rs";
const USE: &str = "use the constant of tollgate::env";

/// What is the system's or cargo's, read and handed on; what a build hands to itself; and an example's own.
const OF_OTHERS: [&str; 4] = ["PATH", "OPT_LEVEL", "TOLLGATE_OPT_LEVEL", "TOLLGATE_LOOKUP"];

/// The names that are declared: of constants, which the list and the page's table are made of.
fn declared() -> BTreeSet<String> {
    let text = read(DECLARED_IN);
    let constants = text.split("pub const ").skip(1).filter(|rest| rest.contains(": &str = "));
    let mut names = BTreeSet::new();
    for constant in constants {
        let (name, rest) = constant.split_once(": &str = \"").unwrap_or_default();
        if !name.is_empty() && !name.contains(char::is_whitespace) {
            assert!(rest.starts_with(&format!("{name}\";")), "{name} is called otherwise");
            assert!(text.contains(&format!("name: {name},")), "{name} is not in ALL");
            names.insert(name.to_owned());
        }
    }
    assert!(names.len() > 30, "{names:?}");
    names
}

/// Whether a word is the name of a variable by its looks.
fn is_variable(word: &str) -> bool {
    const BEGINS: [&str; 5] = ["TOLLGATE_", "REDIS_", "XDG_", "RUST_LOG", "CONSUL_"];
    let is_upper =
        word.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    is_upper && !word.ends_with('_') && BEGINS.iter().any(|begin| word.starts_with(begin))
}

/// The Rust files of what is built, and of the builds.
fn rust(tree: &[String]) -> impl Iterator<Item = &str> {
    let builds = tree.iter().map(String::as_str).filter(|path| path.ends_with("/build.rs"));
    ["src", "examples"].iter().flat_map(|folder| files_in(tree, folder, ".rs")).chain(builds)
}

/// What compose fills in: its own variables, and some of ours.
fn of_compose() -> BTreeSet<String> {
    let text = read("docker-compose.yml");
    let names = text.split("${").skip(1).filter_map(|rest| words(rest).next());
    names.map(str::to_owned).collect()
}

#[test]
fn a_variable_has_its_name_in_one_place() {
    let (tree, declared) = (tree(), declared());
    let known = &declared | &of_compose();
    for path in rust(&tree).filter(|path| *path != DECLARED_IN) {
        let code = code(&read(path));
        for literal in literals(&code) {
            assert!(!declared.contains(literal), "{path}: {literal:?}: {USE}");
            for word in words(literal).filter(|word| is_variable(word)) {
                assert!(known.contains(word) || OF_OTHERS.contains(&word), "{path}: {word} is not declared");
            }
        }
    }
}

/// Whatever reads or sets one names it by its constant.
#[test]
fn no_variable_is_read_or_set_by_a_literal() {
    const CALLS: [&str; 7] =
        ["env::var(", "var_os(", ".env(", ".env_remove(", "env::text(", "env::path(", "env = "];
    let (tree, mut calls) = (tree(), 0);
    for path in rust(&tree) {
        let code = code(&read(path));
        for call in CALLS {
            for rest in code.split(call).skip(1) {
                calls += 1;
                let name = rest.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next());
                let may = |name| OF_OTHERS.contains(&name);
                assert!(name.is_none_or(may), "{path}: {call}{name:?}: {USE}");
            }
        }
    }
    assert!(calls > 50, "{calls}");
}

/// Set but empty is as not set: so says `env.rs`, and only what it reads itself keeps to that.
#[test]
fn variables_are_read_in_one_place() {
    const ELSEWHERE: [(&str, &str); 2] = [
        ("cli/src/lib.rs", "takes empty ones away from every flag"),
        ("worker/src/log/filter.rs", "tells one that is no text from one that is not set"),
    ];
    let tree = tree();
    for path in rust(&tree).filter(|path| *path != DECLARED_IN && !path.ends_with("/build.rs")) {
        let code = code(&read(path)).replace("env::var_os(\"PATH\")", "");
        let reads = code.contains("env::var(") || code.contains("var_os(");
        let may = ELSEWHERE.iter().any(|(other, _)| *other == path);
        assert_eq!(reads, may, "{path}: tollgate::env reads variables");
    }
}

#[test]
fn every_variable_that_a_page_names_is_declared() {
    let known = &declared() | &of_compose();
    let files = ["Makefile", "docker-compose.yml", "Dockerfile"].map(str::to_owned);
    for file in pages().into_iter().chain(files).filter(|file| file != "CHANGELOG.md") {
        for word in words(&read(&file)).filter(|word| is_variable(word)) {
            assert!(known.contains(word) || OF_OTHERS.contains(&word), "{file}: {word} is not declared");
        }
    }
}
