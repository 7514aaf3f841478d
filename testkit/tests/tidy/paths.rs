//! Every path that a page names exists. A path in backticks is written from the root, or from a folder that its section
//! names in backticks with `/` at its end, or from the page's own folder, as links are. In `<kind>` and `*` anything may stand, and for NAME.

use crate::pages::{pages, sections};
use crate::source::{files_in, read, tree};

/// What looks like a path in backticks and is none of the source.
const OTHERS: [(&str, &str); 8] = [
    ("create/", "begins ids of jobs"),
    ("entry/", "begins ids of jobs"),
    ("checkout/2026-11", "an id"),
    (".tollgate/", "made by a private server"),
    (".secrets/", "made by scripts/compose-secrets.sh"),
    ("target/", "made by builds"),
    ("report.json", "made by runs"),
    ("tollgate-local/", "begins names of images"),
];

const ENDS: [&str; 12] =
    [".c", ".csv", ".json", ".lua", ".md", ".mjs", ".py", ".rs", ".sh", ".toml", ".ts", ".yml"];

/// Whether a span is meant as a path. Those that begin with `/` are places of a server or of a machine.
fn is_path(span: &str) -> bool {
    let is_word = !span.contains([' ', '=', '{', '(', '|', ',', '"']) && !span.contains("://");
    let is_of_source = span.contains('/') || ENDS.iter().any(|end| span.ends_with(end));
    let is_other = OTHERS.iter().any(|(begin, _)| span.starts_with(begin));
    is_word && is_of_source && !is_other && !span.starts_with(['/', '.', '-'])
}

/// Whether this path is there; a folder may be written without its last `/`.
fn is_there(tree: &[String], path: &str) -> bool {
    let path = path.replace("NAME", "*");
    let mut pattern = String::new();
    for (n, part) in path.split('<').enumerate() {
        pattern += if n == 0 { "" } else { "*" };
        pattern += if n == 0 { part } else { part.split_once('>').map_or(part, |(_, rest)| rest) };
    }
    tree.iter().any(|there| fits(&pattern, there) || fits(&format!("{pattern}/"), there))
}

/// Whether a path is what the pattern says, in which `*` stands for anything within one name.
fn fits(pattern: &str, path: &str) -> bool {
    let (patterns, parts): (Vec<_>, Vec<_>) = (pattern.split('/').collect(), path.split('/').collect());
    let part_fits = |(pattern, part): (&&str, &&str)| match pattern.split_once('*') {
        Some((begin, end)) => {
            part.len() >= begin.len() + end.len() && part.starts_with(begin) && part.ends_with(end)
        }
        None => pattern == part,
    };
    patterns.len() == parts.len() && patterns.iter().zip(&parts).all(part_fits)
}

#[test]
fn every_path_in_backticks_exists() {
    let tree = tree();
    let (mut missing, mut count) = (Vec::new(), 0);
    for page in pages().iter().filter(|page| *page != "CHANGELOG.md") {
        for section in sections(page) {
            let is_folder = |span: &&String| span.ends_with('/') && tree.contains(span);
            let own = page.rsplit_once('/').map(|(folder, _)| format!("{folder}/"));
            let folders: Vec<_> = section.spans.iter().filter(is_folder).chain(&own).collect();
            for path in section.spans.iter().filter(|span| is_path(span)) {
                count += 1;
                let is_below = |folder: &&String| is_there(&tree, &format!("{folder}{path}"));
                if !is_there(&tree, path) && !folders.iter().any(is_below) {
                    missing.push(format!("{page}, {}: {path}", section.heading));
                }
            }
        }
    }
    assert!(count > 100, "{count}");
    assert!(missing.is_empty(), "{missing:#?}");
}

/// Commands and comments name files from the root: what begins with a folder of it, or ends as a page.
#[test]
fn every_path_in_a_command_or_a_comment_exists() {
    let tree = tree();
    let is_top = |word: &str| {
        word.split_once('/').is_some_and(|(top, rest)| !rest.is_empty() && tree.contains(&format!("{top}/")))
    };
    let is_sign = |c: char| !c.is_alphanumeric() && !"/._-*<>".contains(c);
    let mut missing = Vec::new();
    let mut judge = |from: &str, text: &str| {
        for word in text.split(is_sign).map(|word| word.trim_end_matches(['.', '-'])) {
            let names_page = word.ends_with(".md") && word.len() > 3;
            let is_other = OTHERS.iter().any(|(begin, _)| word.starts_with(begin));
            if (is_top(word) || names_page) && !is_other && !is_there(&tree, word) {
                missing.push(format!("{from}: {word}"));
            }
        }
    };
    for page in pages().iter().filter(|page| *page != "CHANGELOG.md") {
        for section in sections(page) {
            let commands = section.spans.iter().filter(|span| span.contains(' ')).chain(&section.fenced);
            commands.for_each(|command| judge(page, command));
        }
    }
    for end in [".rs", ".lua"] {
        for path in ["src", "lua", "tests"].iter().flat_map(|folder| files_in(&tree, folder, end)) {
            let is_comment =
                |line: &&str| ["//", "--"].iter().any(|begin| line.trim_start().starts_with(begin));
            for line in read(path).lines().filter(is_comment) {
                judge(path, line);
            }
        }
    }
    judge("Makefile", &read("Makefile"));
    judge("docker-compose.yml", &read("docker-compose.yml"));
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_target_of_make_that_a_page_names_is_one() {
    let makefile = read("Makefile");
    let lines = makefile.lines().filter_map(|line| Some(line.split_once(':')?.0));
    let targets: Vec<&str> = lines.flat_map(str::split_whitespace).collect();
    let is_target = |name: &str| {
        let of_pattern = targets.iter().filter_map(|target| target.strip_suffix('%'));
        targets.contains(&name) || of_pattern.into_iter().any(|begin| name.starts_with(begin))
    };
    for page in pages() {
        for section in sections(&page) {
            for line in section.spans.iter().chain(&section.fenced) {
                let Some(rest) = line.strip_prefix("make ") else { continue };
                let rest: String = rest.split('"').step_by(2).collect();
                if let Some(name) = rest.split_whitespace().find(|word| !word.contains('=')) {
                    assert!(is_target(name), "{page}: make {name}");
                }
            }
        }
    }
}
