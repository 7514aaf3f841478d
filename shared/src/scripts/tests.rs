//! The headers of the scripts, compared with their wrappers and with the files.

use super::*;
use crate::connection::reply::Keyword;
use crate::scripts::script::{File, Names};

/// The lines of a header under one of its labels, each without the comment sign and the label.
fn header(script: &Script, label: &str) -> Vec<&'static str> {
    const WIDTH: usize = "-- returns  ".len();
    let lines = script.main.text.lines().skip_while(|line| !line.starts_with(&format!("-- {label} ")));
    let mut lines = lines.take_while(|line| line.starts_with("--"));
    let first = lines.next().unwrap_or_else(|| panic!("{}: no {label} in its header", script.name));
    let more = lines.take_while(|line| {
        line[2..].starts_with(' ') && line[..WIDTH.min(line.len())][2..].trim().is_empty()
    });
    std::iter::once(first).chain(more).map(|line| &line[WIDTH..]).collect()
}

/// What KEYS or ARGV of a header say: names, then behind each `for each …:` those that are there for each of it.
fn names(script: &Script, label: &str) -> Vec<Vec<String>> {
    let text = header(script, label).join(" ");
    let (names, _) = text.split_once(';').unwrap_or((&text, ""));
    let mut groups = names.split(", then for each ");
    let once = groups.next().into_iter().map(str::to_owned);
    let of_each = groups.map(|group| group.split_once(':').map_or(group, |(_, names)| names).to_owned());
    once.chain(of_each).map(|names| names.split_whitespace().map(str::to_owned).collect()).collect()
}

fn declared_names(names: &Names) -> Vec<Vec<&str>> {
    std::iter::once(names.once).chain(names.each.iter().copied()).map(<[&str]>::to_vec).collect()
}

/// The words that `returns` lists at this depth: the first of a line, or those before a colon, separated by commas.
fn listed(script: &Script, depth: usize) -> Vec<&'static str> {
    let lines = header(script, "returns").into_iter().skip(1);
    let lines = lines.filter(|line| line.len() - line.trim_start().len() == depth);
    let words = lines.flat_map(|line| {
        let line = line.trim();
        let end = line.find("  ").unwrap_or(line.len());
        let names = match line[..end].split_once(": ") {
            Some((names, _)) => names,
            None => &line[..end],
        };
        names.split(", ").map(|name| name.split([' ', ':']).next().unwrap_or_default())
    });
    words.collect()
}

#[test]
fn every_header_says_what_its_wrapper_sends() {
    for script in ALL {
        assert_eq!(names(script, "KEYS"), declared_names(&script.keys), "{}: KEYS", script.name);
        assert_eq!(names(script, "ARGV"), declared_names(&script.args), "{}: ARGV", script.name);
        assert!(!header(script, "repeat").concat().trim().is_empty(), "{}: repeat", script.name);
        assert!(script.main.text.starts_with("#!lua"), "{}", script.name);
        let second = script.main.text.lines().nth(1);
        assert!(second.is_some_and(|line| line.starts_with(&format!("-- {}:", script.name))));
    }
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/lua")).unwrap();
    let files =
        files.filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|ext| ext == "lua"));
    assert_eq!(files.count() + 1, ALL.len(), "a script without a wrapper (settle is a folder)");
}

#[test]
fn every_header_says_what_its_wrapper_reads() {
    for script in ALL {
        let returns = header(script, "returns");
        let statuses: Vec<&str> =
            script.statuses.concat().into_iter().chain(script.refusals.iter().copied()).collect();
        let begins = if statuses.is_empty() { "nonce, " } else { "nonce, status, and for status" };
        assert!(returns[0].starts_with(begins), "{}: returns {}", script.name, returns[0]);
        assert_eq!(sorted(listed(script, 2)), sorted(statuses), "{}: statuses", script.name);
        assert_eq!(sorted(listed(script, 4)), sorted(script.each.concat()), "{}: for each", script.name);
        for refusal in script.refusals {
            assert!(error::Refused::of(refusal).is_some(), "{}: {refusal}", script.name);
        }
        let given = script.statuses.concat().into_iter().chain(script.each.concat());
        for word in given.chain(script.refusals.iter().copied()) {
            let is_given = |file: &File| {
                [format!("'{word}'"), format!("'{word} "), format!("'{word}:")]
                    .iter()
                    .any(|text| file.text.contains(text))
            };
            assert!(script.files().any(is_given), "{}: nothing answers {word}", script.name);
        }
    }
}

fn sorted(mut words: Vec<&str>) -> Vec<&str> {
    words.sort_unstable();
    words
}

/// The names that a file declares for its whole script: `local name` and `local function name` at its margin.
fn declared(text: &str) -> Vec<&str> {
    let mut names = Vec::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("local ")) {
        let list = line.strip_prefix("function ").map(|name| name.split('(').next().unwrap_or_default());
        let list = list.unwrap_or_else(|| line.split(['=', '-']).next().unwrap_or_default());
        names.extend(list.split(',').map(str::trim).filter(|name| !name.is_empty()));
    }
    names
}

/// The names that a file uses, fields of tables left out.
fn used(text: &str) -> std::collections::BTreeSet<&str> {
    let mut names = std::collections::BTreeSet::new();
    for line in text.lines() {
        let code = line.split("--").next().unwrap_or_default();
        for code in code.split('\'').step_by(2) {
            let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            for (at, word) in code.split(|c| !is_word(c)).scan(0, |at, word| {
                let begin = *at;
                *at += word.len() + 1;
                Some((begin, word))
            }) {
                if !word.is_empty() && !code[..at].ends_with(['.', ':']) {
                    names.insert(word);
                }
            }
        }
    }
    names
}

/// The names that a file binds anywhere: its own, and those of parameters, loops and inner blocks.
fn bound(text: &str) -> Vec<&str> {
    let mut names = Vec::new();
    for line in text.lines() {
        let lists = line.split("local ").skip(1).map(|list| list.split('=').next().unwrap_or_default());
        let parameters = line.split("function").skip(1).filter_map(|rest| rest.split(['(', ')']).nth(1));
        let loops = line.split("for ").skip(1).filter_map(|rest| rest.split(" in ").next());
        names.extend(lists.chain(parameters).chain(loops).flat_map(|list| list.split([',', ' ', '=', '('])));
    }
    names
}

/// What a file says that it gives to others.
fn given(text: &str) -> Vec<&str> {
    let mut lines = text.lines().skip_while(|line| !line.starts_with("-- gives "));
    let first = lines.next().and_then(|line| line.strip_prefix("-- gives "));
    let more = lines.map_while(|line| line.strip_prefix("--         "));
    first.into_iter().chain(more).flat_map(str::split_whitespace).collect()
}

#[test]
fn no_file_declares_a_name_for_another_without_saying_so() {
    use std::collections::{BTreeMap, BTreeSet};
    let mut uses: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for script in ALL {
        let files: Vec<_> = script.files().collect();
        let mut known: BTreeMap<&str, &str> = BTreeMap::new();
        for (n, file) in files.iter().enumerate() {
            for name in declared(file.text) {
                // Of two with one name, the files between and behind them would mean different ones.
                if let Some(other) = known.insert(name, file.name) {
                    let is_told = given(file.text).contains(&name);
                    assert!(!is_told, "{}: {other} and {} both declare {name}", script.name, file.name);
                }
            }
            for later in &files[n + 1..] {
                let (used_here, own) = (used(file.text), bound(file.text));
                let mut early = given(later.text);
                early.retain(|name| used_here.contains(name) && !own.contains(name));
                assert!(early.is_empty(), "{}: {} uses {early:?} of {}", script.name, file.name, later.name);
                let uses = uses.entry(file.name).or_default();
                let (used_later, own) = (used(later.text), bound(later.text));
                let is_used = |name: &&str| used_later.contains(name) && !own.contains(name);
                uses.extend(declared(file.text).into_iter().filter(is_used));
            }
        }
    }
    for file in ALL.into_iter().flat_map(Script::files) {
        let told: BTreeSet<_> = given(file.text).into_iter().collect();
        assert_eq!(told, uses.remove(file.name).unwrap_or_else(|| told.clone()), "{}: gives", file.name);
    }
}
