//! Chaos runs from outside: a run, its verdict, the verdict again, and that the judge sees what is wrong with its files.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

/// `tollgate-chaos` with these words.
pub(crate) fn chaos(words: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate-chaos"));
    let output = command.args(words).stdin(Stdio::null()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

/// A run of a scenario; its exit code and its document.
pub(crate) fn run(scenario: &str, seed: &str, time: &str, dir: &Path, more: &[&str]) -> (i32, Value) {
    let dir = dir.to_str().unwrap();
    let words =
        ["run", "--json", "--scenario", scenario, "--seed", seed, "--duration", time, "--report", dir];
    let (code, stdout, stderr) = chaos(&[&words, more].concat());
    let document = serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{code} {stdout}\n{stderr}"));
    (code, document)
}

/// The numbers of the checks that found something.
pub(crate) fn checks(document: &Value) -> Vec<u64> {
    document["findings"].as_array().unwrap().iter().map(|found| found["check"].as_u64().unwrap()).collect()
}

/// What is asked of a line.
type Is = fn(&Value) -> bool;

/// What becomes of it.
enum To {
    Gone,
    /// These fields hold this JSON.
    Set(&'static [(&'static str, &'static str)]),
    /// This number is one more.
    More(&'static str),
    /// One byte of the lines of an entry is another.
    OtherByte,
}

impl To {
    /// The line afterwards.
    fn apply(&self, mut line: Value) -> String {
        match self {
            Self::Gone => return String::new(),
            Self::Set(fields) => {
                fields.iter().for_each(|(field, json)| line[*field] = serde_json::from_str(json).unwrap())
            }
            Self::More(field) => line[*field] = json!(line[*field].as_u64().unwrap() + 1),
            Self::OtherByte => {
                let lines = line["fields"]["lines"].as_str().unwrap().replacen('a', "b", 1);
                line["fields"]["lines"] = json!(lines);
            }
        }
        format!("{line}\n")
    }
}

/// The check that must see it, the file, which line of it (the first that is so), and what becomes of it.
const DAMAGES: [(u64, &str, Is, To); 12] = [
    (9, "journal.ndjson", |line| line["seq"] == 7, To::Gone),
    (
        1,
        "journal.ndjson",
        |line| line["code"] == "campaign_limit_reached",
        To::Set(&[("code", r#""redeemed""#), ("class", r#""applied""#)]),
    ),
    (2, "journal.ndjson", |line| line["code"] == "withdrawn", To::More("amount")),
    (
        4,
        "history.ndjson",
        |event| event["code"] == "withdrawn",
        To::Set(&[("code", r#""insufficient_funds""#)]),
    ),
    (5, "journal.ndjson", |line| line["kind"] == "redeem", To::Set(&[("id", r#""nobody-sent-this""#)])),
    (
        8,
        "lookups.ndjson",
        |found| found["class"] == "applied",
        To::Set(&[("class", r#""not_decided""#), ("seq", "null")]),
    ),
    (11, "journal.ndjson", |line| line["code"] == "held", To::Set(&[("code", r#""paid""#)])),
    (15, "history.ndjson", |event| event["event"] == "drained", To::Gone),
    (
        16,
        "census.ndjson",
        |key| key["key"].as_str().is_some_and(|key| key.contains(":receipts:")),
        To::More("size"),
    ),
    (17, "bank.ndjson", |line| line["outcome"] == "paid", To::Gone),
    (24, "chains.ndjson", |link| ["9-0", "10-0", "11-0"].iter().any(|id| link["id"] == *id), To::OtherByte),
    (24, "chains.ndjson", |link| link["fields"]["by"].is_string(), To::Gone),
];

/// Changes the first line that `is` so.
fn change(path: &Path, is: Is, to: &To) {
    let text = std::fs::read_to_string(path).unwrap();
    let mut done = false;
    let lines = text.lines().map(|line| {
        let value: Value = serde_json::from_str(line).unwrap();
        if done || !is(&value) {
            return format!("{line}\n");
        }
        done = true;
        to.apply(value)
    });
    let changed: String = lines.collect();
    assert!(done, "nothing to change in {}", path.display());
    std::fs::write(path, changed).unwrap();
}

/// The verdict on the files of a run.
fn check(played: &Path) -> (i32, Value) {
    let (code, text, _) = chaos(&["check", played.to_str().unwrap(), "--json"]);
    (code, serde_json::from_str(&text).unwrap())
}

#[test]
fn a_run_passes_and_its_judge_sees_every_change_of_its_files() {
    let dir = tempfile::tempdir().unwrap();
    let (code, document) = run("bank-stall", "1", "4s", dir.path(), &[]);
    assert_eq!((code, &document["verdict"]), (0, &json!("pass")), "{document}");
    let played = dir.path().join("bank-stall-1");
    let (again, again_document) = check(&played);
    assert_eq!((again, &again_document["findings"]), (0, &document["findings"]));
    let page = std::fs::read_to_string(played.join("index.html")).unwrap();
    assert!(page.contains("bank stalls") && page.contains("PASS") && !page.contains("http://"), "{page}");

    for (number, file, is, to) in DAMAGES {
        let path = played.join(file);
        let kept = std::fs::read(&path).unwrap();
        change(&path, is, &to);
        let (code, document) = check(&played);
        assert!(
            code == 5 && checks(&document).contains(&number),
            "check {number} after damage to {file}: {document}"
        );
        std::fs::write(path, kept).unwrap();
    }
}

#[test]
fn what_is_no_scenario_is_told_before_anything_starts() {
    let (code, _, stderr) = chaos(&["run", "--scenario", "earthquake"]);
    assert!(code == 2 && stderr.contains("earthquake"), "{code} {stderr}");
    let (code, stdout, _) = chaos(&["run", "--list"]);
    assert!(code == 0 && stdout.contains("lost-replies"), "{stdout}");
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().to_str().unwrap();
    let words = ["run", "--scenario", "sigterm", "--redis-server", "/nowhere/redis", "--report", place];
    let (code, stdout, _) = chaos(&words);
    assert!(code == 4 && stdout.contains("LEFT OUT") && stdout.contains("/nowhere/redis"), "{code} {stdout}");
    let words = ["run", "--cluster", "--sentinel", "--redis-server", "env redis-server", "--report", place];
    let (code, stdout, _) = chaos(&words);
    let left_out = stdout.matches("LEFT OUT  a cluster and Sentinels run ").count();
    // Each when it is its turn, and once more under the last line.
    assert!(code == 4 && left_out == 28 && stdout.contains("sentinel-restarted"), "{code} {stdout}");
    let (code, _, stderr) = chaos(&["run", "--cluster", "--smoke"]);
    assert!(code == 2 && stderr.contains("--smoke"), "{code} {stderr}");
    let (code, _, stderr) = chaos(&["check", "/nowhere"]);
    assert!(code == 1 && stderr.contains("/nowhere"), "{stderr}");
}
