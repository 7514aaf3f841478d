//! A session at a terminal as text: commands and what they answered, without what differs from run to run.

use std::fmt::Write as _;
use std::fs;
use std::process::Stdio;

use crate::harness::{Cli, Ran};

/// A session: commands and what they answered.
pub(super) struct Session<'a> {
    cli: &'a Cli,
    dir: tempfile::TempDir,
    text: String,
}

impl<'a> Session<'a> {
    pub(super) fn new(cli: &'a Cli) -> Self {
        Self { cli, dir: tempfile::tempdir().unwrap(), text: String::new() }
    }

    pub(super) fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// What is not shown: it must simply work.
    pub(super) fn quietly(&self, args: &[&str]) {
        self.cli.run(args).exits(0);
    }

    pub(super) fn run(&mut self, args: &[&str]) {
        self.note(args, &self.cli.run(args));
    }

    pub(super) fn run_with(&mut self, args: &[&str], stdin: &str) {
        self.note(args, &self.cli.run_with(args, stdin.as_bytes()));
    }

    /// A file of this content, sent.
    pub(super) fn send(&mut self, name: &str, bytes: &[u8]) {
        let path = self.file(name, bytes);
        self.run(&["enqueue", &path]);
    }

    pub(super) fn at(&mut self, url: &str, args: &[&str]) {
        let cli = Cli { url: url.to_owned(), namespace: self.cli.namespace.clone() };
        let ran = cli.run(args);
        let _ = writeln!(self.text, "# REDIS_URL={url}");
        self.note(args, &ran);
    }

    pub(super) fn worker(&mut self, args: &[&str]) {
        let ran = Ran::of(
            self.cli.worker_command(args).stderr(Stdio::piped()).stdout(Stdio::piped()).output().unwrap(),
        );
        let _ = writeln!(self.text, "$ tollgate-worker {}", args.join(" "));
        self.outcome(&ran);
    }

    fn note(&mut self, args: &[&str], ran: &Ran) {
        let words: Vec<String> = args
            .iter()
            .map(|word| {
                if word.contains([' ', '#', '&', '*', '{']) {
                    format!("'{word}'")
                } else {
                    (*word).to_owned()
                }
            })
            .collect();
        let _ = writeln!(self.text, "$ tollgate-producer {}", words.join(" "));
        self.outcome(ran);
    }

    fn outcome(&mut self, ran: &Ran) {
        let _ = writeln!(self.text, "{}{}[exit {}]\n", ran.stdout, ran.stderr, ran.code.unwrap());
    }

    /// The text, to be compared.
    pub(super) fn plain(self) -> String {
        let mut text = self.text.replace(self.dir.path().to_str().unwrap(), "DIR");
        text = text.replace(env!("CARGO_BIN_EXE_tollgate-producer"), "tollgate-producer");
        text = text.replace(&self.cli.url, "URL");
        text = text.replace(&self.cli.namespace, "NAMESPACE");
        stable(&text)
    }
}

/// Replaces ids and times by words.
fn stable(text: &str) -> String {
    let is_id = |word: &str| {
        let parts: Vec<&str> = word.split('-').collect();
        parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12])
            && word.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
    };
    let is_time =
        |word: &str| word.len() >= 20 && word.starts_with("20") && word.ends_with('Z') && word.contains('T');
    let mut stable = String::new();
    let mut word = String::new();
    for c in text.chars().chain(['\n']) {
        if c.is_ascii_alphanumeric() || matches!(c, '-' | ':' | '.') {
            word.push(c);
            continue;
        }
        let (id, rest) = word.split_at_checked(36).unwrap_or((&word, ""));
        match &word {
            _ if is_id(id) && rest.is_empty() => stable.push_str("ID"),
            _ if is_id(id) && rest.starts_with('.') => stable.push_str("RUN"),
            _ if is_id(id) => stable.push_str(&format!("ID{rest}")),
            // Those that were typed are on the hour.
            time if is_time(time) && !time.ends_with(":00:00Z") => stable.push_str("TIME"),
            other => stable.push_str(other),
        }
        word.clear();
        stable.push(c);
    }
    let lines = stable.lines().map(|line| {
        // How fast it was.
        if let Some(at) = line.find("  in ").filter(|_| line.contains(" a second")) {
            return format!("{}  in SECONDS, RATE a second", &line[..at]);
        }
        // A time whose last digits are zeros is shorter, and what pads its column longer.
        match line.split_once("TIME  ") {
            Some((before, after)) => format!("{before}TIME  {}", after.trim_start()),
            None => line.to_owned(),
        }
    });
    lines.collect::<Vec<_>>().join("\n").trim_end().to_owned()
}
