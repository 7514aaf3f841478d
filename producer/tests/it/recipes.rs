//! Every block of commands in README.md, docs/ and examples/: it is run here, line by line, on a private server of its
//! own, or an HTML comment before it says why not.
//!
//! `<!-- runs -->` before a block: each of its commands ends with 0, or with what its comment says (`exit code 1`); one
//! that ends with `&` goes on until the block is over. `<!-- runs as USER -->`: by this user, one of the four of
//! docs/operating.md or the administrator of Redis, in a namespace in which something has happened; an account of it is
//! damaged where the block repairs one. `<!-- not run: WHY -->`: somebody has looked, and that is why.
//!
//! Commands that the text names in passing are run, too: they exist, and the user who is to run them may.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tollgate::embedded::Temporary;
use tollgate_testkit::servers::{cli_program, server_program};

use crate::harness::Running;

const DOC: &str = include_str!("../../../docs/operating.md");

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

impl Block {
    fn why_not(&self) -> Option<&str> {
        self.comment.strip_prefix("<!-- not run: ")?.strip_suffix(" -->")
    }

    /// Who runs it; `None` if it is not run, and the default user where nobody is named.
    fn user(&self) -> Option<&str> {
        match self.comment.as_str() {
            "<!-- runs -->" => Some("default"),
            comment => comment.strip_prefix("<!-- runs as ")?.strip_suffix(" -->"),
        }
    }
}

#[test]
fn every_block_runs_or_says_why_not() {
    let blocks = blocks();
    assert!(blocks.len() > 8);
    for block in blocks {
        let Block { page, line, comment, .. } = &block;
        let is_said = block.user().is_some() || block.why_not().is_some_and(|why| why.len() > 10);
        assert!(
            is_said,
            "{page}:{line}: before it stands {comment:?}, neither <!-- runs --> nor <!-- not run: WHY -->"
        );
    }
}

#[test]
fn what_is_said_to_run_runs() {
    let blocks = blocks();
    let (default, named): (Vec<&Block>, Vec<&Block>) = blocks
        .iter()
        .filter(|block| block.user().is_some())
        .partition(|block| block.user() == Some("default"));
    assert!(default.len() >= 3 && named.len() >= 6);
    for block in default {
        let ground = Ground::new();
        assert!(ground.shell("tollgate-producer init").output().unwrap().status.success());
        ground.run(block);
    }
    for block in named {
        let mut ground = Ground::with_users();
        if block.text.contains("repair account a1") {
            ground.administer(&["SET", "{tollgate.0}:account:a1", "no number"]);
        }
        ground.user = block.user().unwrap().to_owned();
        ground.run(block);
        if block.text.contains(" backup") {
            ground.restores_the_backup();
        }
    }
}

/// Where a block is run: a directory, a server, and the programs in PATH.
struct Ground {
    // The programs' own private server, which commands without a URL start, and one for redis-cli to speak to.
    redis: Temporary,
    dir: tempfile::TempDir,
    user: String,
}

impl Ground {
    fn new() -> Self {
        let (redis, dir) = (Temporary::start(&[]).unwrap(), tempfile::tempdir().unwrap());
        for name in ["examples", "docs"] {
            std::os::unix::fs::symlink(root().join(name), dir.path().join(name)).unwrap();
        }
        let bin = dir.path().join("bin");
        fs::create_dir(&bin).unwrap();
        let socket = redis.url().replace("unix://", "");
        let login = "${REDIS_USERNAME:+--no-auth-warning --user $REDIS_USERNAME --pass $REDIS_PASSWORD}";
        let program = cli_program();
        let program = program.display();
        let script = format!("#!/bin/sh\nexec {program} -s {socket} {login} \"$@\"\n");
        fs::write(bin.join("redis-cli"), script).unwrap();
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(bin.join("redis-cli"), executable).unwrap();
        Self { redis, dir, user: "default".to_owned() }
    }

    /// The four users of docs/operating.md, and a namespace in which something has happened.
    fn with_users() -> Self {
        let mut ground = Self::new();
        for line in DOC.lines().filter_map(|line| line.strip_prefix("user ")) {
            ground.administer(
                &[&["ACL", "SETUSER"], &line.split_whitespace().collect::<Vec<_>>()[..]].concat(),
            );
        }
        ground.user = "operator".to_owned();
        for command in [
            "init",
            "campaign create summer --limit 9",
            "account open a1 --balance 50",
            "withdraw --account a1 --amount 5 --id order-17",
            "withdraw --account a1 --amount 5 --id pay-1 --destination DE02120300000000202051",
            "withdraw --account nobody --amount 5 --id lost-1",
            "withdraw --account a1 --amount 5 --id tomorrow-1 --in 24h",
        ] {
            ground.succeeds(&format!("tollgate-producer {command}"));
        }
        let mut worker = ground.shell("exec tollgate-worker");
        worker.env("REDIS_USERNAME", "worker");
        let worker = Running::start(worker.stdout(Stdio::null()).stderr(Stdio::null()));
        crate::harness::until_so("the worker to have seen all", || {
            let stats = ground.shell("tollgate-producer stats --json").output().unwrap();
            let stats: serde_json::Value = serde_json::from_slice(&stats.stdout).unwrap();
            ["scheduled", "dead"].iter().all(|name| stats[*name] == 1) && stats["decided"] == 4
        });
        drop(worker);
        ground
    }

    /// A command of redis-cli by whoever may do everything.
    fn administer(&self, words: &[&str]) {
        let socket = self.redis.url().replace("unix://", "");
        let done = Command::new(cli_program()).args(["-e", "-s", &socket]).args(words).output().unwrap();
        assert!(done.status.success(), "{words:?}: {done:?}");
    }

    fn shell(&self, command: &str) -> Command {
        let programs = Path::new(env!("CARGO_BIN_EXE_tollgate-producer")).parent().unwrap();
        let bin = self.dir.path().join("bin");
        let path = format!("{}:{}:{}", bin.display(), programs.display(), std::env::var("PATH").unwrap());
        let mut shell = Command::new("sh");
        shell.args(["-c", command]).current_dir(self.dir.path()).env("PATH", &path);
        shell.env("REDIS_URL", self.redis.url()).env("RUST_LOG", "warn").stdin(Stdio::null());
        if !["default", "administrator"].contains(&self.user.as_str()) {
            shell.env("REDIS_USERNAME", &self.user).env("REDIS_PASSWORD", "change-me");
        }
        shell
    }

    fn succeeds(&self, command: &str) {
        let output = self.shell(command).output().unwrap();
        assert!(output.status.success(), "{command}: {output:?}");
    }

    fn run(&self, Block { page, line, text, .. }: &Block) {
        let mut background: Vec<Running> = Vec::new();
        for typed in text.lines().filter(|typed| !typed.trim().is_empty()) {
            let (command, comment) = typed.split_once(" #").unwrap_or((typed, ""));
            let command = command.trim();
            if let Some(command) = command.strip_suffix('&') {
                let mut shell = self.shell(&format!("exec {command}"));
                background.push(Running::start(shell.stdout(Stdio::null()).stderr(Stdio::null())));
                continue;
            }
            let codes = [1, 5].into_iter().find(|code| comment.contains(&format!("exit code {code}")));
            let output = self.shell(command).output().unwrap();
            let place = format!("{page}:{line}: {command}: {output:?}");
            assert_eq!(output.status.code(), Some(codes.unwrap_or(0)), "{place}");
            // redis-cli ends with 0 also where Redis refuses.
            let answer = String::from_utf8_lossy(&output.stdout);
            assert!(!answer.starts_with("NOPERM") && !answer.starts_with("ERR"), "{place}");
        }
    }

    /// A server on the copy has all of it.
    fn restores_the_backup(&self) {
        let audit = |ground: &Self, more: &str| {
            let audited = ground.shell(&format!("tollgate-producer audit --json {more}")).output().unwrap();
            assert!(audited.status.success(), "{audited:?}");
            serde_json::from_slice::<serde_json::Value>(&audited.stdout).unwrap()["head"][0].clone()
        };
        let head = audit(self, "");
        assert!(head["seq"].as_u64() > Some(0), "{head}");
        let dir = tempfile::tempdir().unwrap();
        fs::rename(self.dir.path().join("backup"), dir.path().join("appendonlydir")).unwrap();
        let socket = dir.path().join("redis.sock");
        let mut server = Command::new(server_program());
        server.args(["--port", "0", "--appendonly", "yes", "--save", "", "--dir"]).arg(dir.path());
        server.arg("--unixsocket").arg(&socket).stdout(Stdio::null());
        let server = Running::start(&mut server);
        let expect = format!("--expect 0:{}:{}", head["seq"], head["hash"].as_str().unwrap());
        let url = format!("unix://{}", socket.display());
        crate::harness::until_so("the copy to be served, whole", || {
            let mut shell = self.shell(&format!("tollgate-producer audit {expect}"));
            shell.env("REDIS_URL", &url).output().unwrap().status.success()
        });
        drop(server);
    }
}

/// What the pages call whatever the reader has.
const PLACEHOLDERS: [(&str, &str); 7] = [
    ("NOUN", "account a1"),
    ("CUSTOMER", "c1"),
    ("TEXT", "looked-at"),
    ("NAME", "default"),
    ("…", "looked-at"),
    ("ID", "order-17"),
    ("N", "1"),
];

/// Commands that only read: `auditor` may run them. All others are the operator's.
const READING: [&str; 16] = [
    "account show",
    "account statement",
    "audit",
    "campaign holders",
    "dead ls",
    "dead show",
    "inventory holders",
    "job history",
    "job scheduled",
    "job waiting",
    "journal export",
    "lookup",
    "payout ls",
    "payout show",
    "queue ls",
    "stats",
];
/// The others that are named with all that they need.
const CHANGING: [&str; 10] = [
    "dead discard",
    "dead retry",
    "init --",
    "job cancel",
    "payout post",
    "payout void",
    "queue pause",
    "queue resume",
    "receipts",
    "repair",
];

/// The words of a command that the text names in passing, as somebody would type them; `None` if it is none, or the
/// mere name of one.
fn typed(span: &str) -> Option<(String, bool)> {
    let span = span.strip_prefix("tollgate-producer ").unwrap_or(span);
    let begins =
        |names: &[&str]| names.iter().any(|name| span == *name || span.starts_with(&format!("{name} ")));
    let is_whole = |name: &str| span.contains(' ') || ["audit", "stats"].contains(&name);
    let reads = begins(&READING) || span == "worker ls";
    let changes = begins(&CHANGING) || span.starts_with("init --");
    if !(reads || changes) || !is_whole(span) || span.contains("--expect") || span.contains("--bank-ledger") {
        return None;
    }
    let words: Vec<String> = span
        .split(' ')
        .map(|word| {
            PLACEHOLDERS.iter().find(|(name, _)| word == *name).map_or(word, |(_, typed)| typed).to_owned()
        })
        .collect();
    let mut line = words.join(" ");
    // What is named by its name alone is run on what there is.
    if ["dead retry", "dead discard", "dead show", "payout show", "payout post", "payout void", "job history"]
        .contains(&span)
        || [
            "repair account",
            "repair campaign",
            "repair case",
            "repair holders",
            "repair hold",
            "repair inventory",
            "repair queue",
        ]
        .contains(&span)
        || [
            "queue pause",
            "queue resume",
            "job cancel",
            "campaign holders",
            "inventory holders",
            "account statement",
        ]
        .contains(&span)
    {
        line.push_str(" order-17");
    }
    if ["payout post order-17", "payout void order-17"].contains(&line.as_str()) {
        line.push_str(" --reason looked-at");
    }
    Some((line, reads))
}

#[test]
fn commands_that_are_named_exist_and_their_users_may_run_them() {
    let mut ground = Ground::with_users();
    let mut named = std::collections::BTreeSet::new();
    for page in ["docs/operating.md", "docs/payouts.md", "docs/codes.md", "docs/protocol.md", "README.md"] {
        let text = fs::read_to_string(root().join(page)).unwrap();
        named.extend(text.split('`').skip(1).step_by(2).filter_map(typed));
    }
    assert!(named.len() > 40, "{named:?}");
    for (line, reads) in named {
        for user in if reads { &["auditor", "operator"][..] } else { &["operator"] } {
            ground.user = (*user).to_owned();
            let ran = ground.shell(&format!("tollgate-producer {line}")).output().unwrap();
            let stderr = String::from_utf8_lossy(&ran.stderr);
            let is_well = matches!(ran.status.code(), Some(0 | 1 | 4)) && !stderr.contains("no_permission");
            assert!(is_well, "{user}: {line}: {ran:?}");
        }
    }
}
