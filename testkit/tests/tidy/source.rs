//! The files of the repository, and what of a Rust file is code.

use std::path::{Path, PathBuf};

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

pub(crate) fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every file and folder below the root, written from there, a folder with `/` at its end; without hidden ones, and
/// without what builds and installations make.
pub(crate) fn tree() -> Vec<String> {
    const MADE: [&str; 2] = ["target", "node_modules"];
    let mut found = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(root().join(&folder)).unwrap().map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap();
            if name.starts_with('.') || MADE.contains(&name.as_str()) {
                continue;
            }
            let path = format!("{folder}{name}");
            if entry.file_type().unwrap().is_dir() {
                folders.push(format!("{path}/"));
                found.push(format!("{path}/"));
            } else {
                found.push(path);
            }
        }
    }
    found
}

/// The files of `tree` that end so and lie in a folder of this name.
pub(crate) fn files_in<'a>(
    tree: &'a [String],
    folder: &'a str,
    end: &'a str,
) -> impl Iterator<Item = &'a str> {
    let lies_there = move |path: &str| path.split('/').any(|part| part == folder);
    tree.iter().map(String::as_str).filter(move |path| path.ends_with(end) && lies_there(path))
}

/// A Rust file without its comments and without the module of tests at its end.
pub(crate) fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let is_code = |line: &&str| !line.trim_start().starts_with("//");
    text.lines().filter(is_code).flat_map(|line| [line, "\n"]).collect()
}

/// The string literals of a piece of code. Of `"a\"b"` they are two, which is near enough for names.
pub(crate) fn literals(code: &str) -> impl Iterator<Item = &str> {
    code.lines().flat_map(|line| line.split('"').skip(1).step_by(2))
}

/// The words of a text that could be names of variables.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}
