//! Every block of commands in README.md, docs/ and examples/: it is run here, line by line, on a private server of its
//! own, or an HTML comment before it says why not.
//!
//! `<!-- runs -->` before a block: each of its commands ends with 0, or with what its comment says (`exit code 1`); one
//! that ends with `&` goes on until the block is over. `<!-- not run: WHY -->`: somebody has looked, and that is why.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tollgate::embedded::Temporary;

use crate::harness::Running;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// One block, with the comment before it.
struct Block {
    page: String,
    line: usize,
    comment: String,
    text: String,
}

fn blocks() -> Vec<Block> {
    let mut pages = vec![root().join("README.md"), root().join("examples/README.md")];
    let docs = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    pages.extend(docs.filter(|path| path.extension().is_some_and(|end| end == "md")));
    pages.sort();
    let mut blocks = Vec::new();
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for (at, _) in lines.iter().enumerate().filter(|(_, line)| **line == "```sh") {
            let end = lines[at + 1..].iter().position(|line| *line == "```").unwrap();
            blocks.push(Block {
                page: page.strip_prefix(root()).unwrap().display().to_string(),
                line: at + 1,
                comment: at.checked_sub(1).map_or("", |before| lines[before]).to_owned(),
                text: lines[at + 1..at + 1 + end].join("\n"),
            });
        }
    }
    blocks
}

#[test]
fn every_block_runs_or_says_why_not() {
    let blocks = blocks();
    assert!(blocks.len() > 8);
    for Block { page, line, comment, .. } in blocks {
        let why = comment.strip_prefix("<!-- not run: ").and_then(|rest| rest.strip_suffix(" -->"));
        let is_said = comment == "<!-- runs -->" || why.is_some_and(|why| why.len() > 10);
        assert!(
            is_said,
            "{page}:{line}: before it stands {comment:?}, neither <!-- runs --> nor <!-- not run: WHY -->"
        );
    }
}

#[test]
fn what_is_said_to_run_runs() {
    let mut ran = 0;
    for block in blocks().iter().filter(|block| block.comment == "<!-- runs -->") {
        run(block);
        ran += 1;
    }
    assert!(ran >= 3);
}

fn run(Block { page, line, text, .. }: &Block) {
    // The programs' own private server, which commands without a URL start, and one for redis-cli to speak to.
    let redis = Temporary::start(&[]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    for name in ["examples", "docs"] {
        std::os::unix::fs::symlink(root().join(name), dir.path().join(name)).unwrap();
    }
    let bin = dir.path().join("bin");
    fs::create_dir(&bin).unwrap();
    let socket = redis.url().replace("unix://", "");
    fs::write(
        bin.join("redis-cli"),
        format!("#!/bin/sh\nexec $(command -v -p redis-cli) -s {socket} \"$@\"\n"),
    )
    .unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(bin.join("redis-cli"), executable).unwrap();
    let programs = Path::new(env!("CARGO_BIN_EXE_tollgate-producer")).parent().unwrap();
    let path = format!("{}:{}:{}", bin.display(), programs.display(), std::env::var("PATH").unwrap());
    let shell = |command: &str| {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("exec {command}")]).current_dir(dir.path()).env("PATH", &path);
        shell.env("REDIS_URL", redis.url()).env("RUST_LOG", "warn").stdin(Stdio::null());
        shell
    };
    assert!(shell("tollgate-producer init").output().unwrap().status.success());
    let mut background: Vec<Running> = Vec::new();
    for typed in text.lines().filter(|typed| !typed.trim().is_empty()) {
        let (command, comment) = typed.split_once(" #").unwrap_or((typed, ""));
        let command = command.trim();
        if let Some(command) = command.strip_suffix('&') {
            let child: Child = shell(command).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            background.push(Running(child));
            continue;
        }
        let expected = if comment.contains("exit code 1") { 1 } else { 0 };
        let output = shell(command).output().unwrap();
        assert_eq!(output.status.code(), Some(expected), "{page}:{line}: {command}: {output:?}");
    }
}
