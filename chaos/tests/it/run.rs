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

/// Changes one line of a file that `is` says yes to.
fn change(dir: &Path, file: &str, is: &dyn Fn(&Value) -> bool, to: &dyn Fn(&mut Value) -> bool) {
    let path = dir.join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    let mut done = false;
    let lines = text.lines().filter_map(|line| {
        let mut value: Value = serde_json::from_str(line).unwrap();
        if !done && is(&value) {
            done = true;
            return to(&mut value).then(|| format!("{value}\n"));
        }
        Some(format!("{line}\n"))
    });
    let changed: String = lines.collect();
    assert!(done, "nothing to change in {file}");
    std::fs::write(path, changed).unwrap();
}

/// How a file is changed: which line of it, and into what (false: it goes).
type Damage = (&'static str, fn(&Value) -> bool, fn(&mut Value) -> bool);

#[test]
fn a_run_passes_and_its_judge_sees_every_change_of_its_files() {
    let dir = tempfile::tempdir().unwrap();
    let (code, document) = run("bank-stall", "1", "4s", dir.path(), &[]);
    assert_eq!((code, &document["verdict"]), (0, &json!("pass")), "{document}");
    let played = dir.path().join("bank-stall-1");
    let (again, text, _) = chaos(&["check", played.to_str().unwrap(), "--json"]);
    let again_document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((again, &again_document["findings"]), (0, &document["findings"]));
    let page = std::fs::read_to_string(played.join("index.html")).unwrap();
    assert!(page.contains("bank stalls") && page.contains("PASS") && !page.contains("http://"), "{page}");

    let damages: [(u64, Damage); 12] = [
        (9, ("journal.ndjson", |line| line["seq"] == 7, |_| false)),
        (
            1,
            (
                "journal.ndjson",
                |line| line["code"] == "campaign_limit_reached",
                |line| {
                    line["code"] = json!("redeemed");
                    line["class"] = json!("applied");
                    true
                },
            ),
        ),
        (
            2,
            (
                "journal.ndjson",
                |line| line["code"] == "withdrawn",
                |line| {
                    line["amount"] = json!(line["amount"].as_u64().unwrap() + 1);
                    true
                },
            ),
        ),
        (
            4,
            (
                "history.ndjson",
                |event| event["code"] == "withdrawn",
                |event| {
                    event["code"] = json!("insufficient_funds");
                    true
                },
            ),
        ),
        (
            5,
            (
                "journal.ndjson",
                |line| line["kind"] == "redeem",
                |line| {
                    line["id"] = json!("nobody-sent-this");
                    true
                },
            ),
        ),
        (
            8,
            (
                "lookups.ndjson",
                |found| found["class"] == "applied",
                |found| {
                    found["class"] = json!("not_decided");
                    found["seq"] = Value::Null;
                    true
                },
            ),
        ),
        (
            11,
            (
                "journal.ndjson",
                |line| line["code"] == "held",
                |line| {
                    line["code"] = json!("paid");
                    true
                },
            ),
        ),
        (15, ("history.ndjson", |event| event["event"] == "drained", |_| false)),
        (
            16,
            (
                "census.ndjson",
                |key| key["key"].as_str().unwrap().contains(":receipts:"),
                |key| {
                    key["size"] = json!(key["size"].as_u64().unwrap() + 1);
                    true
                },
            ),
        ),
        (17, ("bank.ndjson", |line| line["outcome"] == "paid", |_| false)),
        // A byte of an entry, and a whole entry.
        (
            24,
            (
                "chains.ndjson",
                |link| link["id"] == "9-0" || link["id"] == "10-0" || link["id"] == "11-0",
                |link| {
                    let lines = link["fields"]["lines"].as_str().unwrap().replacen('a', "b", 1);
                    link["fields"]["lines"] = json!(lines);
                    true
                },
            ),
        ),
        (24, ("chains.ndjson", |link| link["fields"]["by"].is_string(), |_| false)),
    ];
    for (check, (file, is, to)) in damages {
        let kept = std::fs::read(played.join(file)).unwrap();
        change(&played, file, &is, &to);
        let (code, text, _) = chaos(&["check", played.to_str().unwrap(), "--json"]);
        let document: Value = serde_json::from_str(&text).unwrap();
        assert!(
            code == 5 && checks(&document).contains(&check),
            "check {check} after damage to {file}: {document}"
        );
        std::fs::write(played.join(file), kept).unwrap();
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
    let (code, _, stderr) = chaos(&["check", "/nowhere"]);
    assert!(code == 1 && stderr.contains("/nowhere"), "{stderr}");
}
