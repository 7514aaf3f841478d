//! The race lab: what it catches, what it finds safe, what it prints.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tollgate_testkit::consul::{Consul, Settings};

/// `tollgate-chaos race` with these words, in an environment of its own.
pub(crate) fn command(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate-chaos"));
    command.arg("race").args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env_remove(tollgate::env::CONSUL_ADDR);
    command
}

/// Runs it to its end.
pub(crate) fn run(mut command: Command) -> (i32, Value, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let words = String::from_utf8_lossy(&stderr).into_owned();
    let text = String::from_utf8(stdout).unwrap();
    let document = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status}: {text}\n{words}"));
    (status.code().unwrap_or_else(|| panic!("{status}: {words}")), document, words)
}

/// A few rounds of each cell, however long they take: one round alone may go well by luck.
fn race(words: &[&str]) -> (i32, Value) {
    race_rounds("4", words)
}

fn race_rounds(rounds: &str, words: &[&str]) -> (i32, Value) {
    let (code, document, _) =
        run(command(&[words, &["--json", "--time", "1ms", "--rounds", rounds]].concat()));
    (code, document)
}

pub(crate) fn rows(document: &Value) -> &Vec<Value> {
    document["rows"].as_array().unwrap()
}

/// A count, all concurrencies together.
fn sum(row: &Value, field: &str) -> u64 {
    row["runs"].as_array().unwrap().iter().map(|run| run[field].as_u64().unwrap()).sum()
}

/// `naive redis`, for a message.
pub(crate) fn name(row: &Value) -> String {
    format!("{} {} on {}", row["scenario"], row["with"], row["store"])
}

#[test]
fn the_naive_way_is_caught_in_every_scenario_on_every_store_and_atomic_steps_are_safe() {
    let (code, document) =
        race(&["--cure", "naive", "--cure", "atomic", "--cure", "transaction", "--concurrency", "8,24"]);
    assert_eq!((code, &document["verdict"]), (0, &Value::from("pass")), "{document}");
    // Six scenarios: naive, atomic and three isolation levels on PostgreSQL; naive, atomic and MULTI on Redis.
    assert_eq!(rows(&document).len(), 6 * (5 + 3));
    for row in rows(&document) {
        let twice = row["scenario"] == "double-click";
        let safe = row["promises"] == "safe";
        let promised = match row["with"].as_str().unwrap() {
            "naive" | "transaction, READ COMMITTED" | "transaction, MULTI" => false,
            _ => !twice,
        };
        assert_eq!(safe, promised, "{}", name(row));
        assert_eq!(sum(row, "damage") == 0, safe, "{}: {row}", name(row));
        assert_eq!(row["interleaving"].is_null(), safe, "{}", name(row));
        assert_eq!(sum(row, "refused_wrongly"), 0, "{}", name(row));
        assert!(sum(row, "asked") >= 2, "{}", name(row));
    }
}

#[test]
fn the_interleaving_is_the_one_that_lost_an_update() {
    let (code, document) = race_rounds(
        "100",
        &["--cure", "naive", "--scenario", "atm", "--store", "redis", "--concurrency", "2"],
    );
    assert_eq!(code, 0, "{document}");
    let timeline = &rows(&document)[0]["interleaving"];
    let lines = timeline["lines"].as_array().unwrap();
    let words: Vec<&str> = lines.iter().map(|line| line["words"].as_str().unwrap()).collect();
    let at =
        |wanted: &str| words.iter().position(|words| *words == wanted).unwrap_or_else(|| panic!("{words:?}"));
    // Both read what was there before either wrote.
    assert_eq!(words.iter().filter(|words| **words == "reads: $100.00").count(), 2, "{words:?}");
    let last_read = words.iter().rposition(|words| words.starts_with("reads")).unwrap();
    assert!(last_read < at("writes: $20.00") && last_read < at("writes: $50.00"), "{words:?}");
    assert!(at("writes: $20.00") < at("is paid $80.00") && at("writes: $50.00") < at("is paid $50.00"));
    let times: Vec<f64> = lines.iter().map(|line| line["at_ms"].as_f64().unwrap()).collect();
    assert!(times.is_sorted() && times[0] == 0.0, "{times:?}");
    let outcome = timeline["outcome"].as_str().unwrap();
    assert!(outcome.starts_with("account 1: $100.00 at first, $130.00 paid out, $"), "{outcome}");
}

#[test]
fn races_appear_without_help_at_enough_concurrency() {
    let (code, document) = race_rounds(
        "100",
        &["--cure", "naive", "--scenario", "ticket", "--think", "0", "--concurrency", "32"],
    );
    assert_eq!(code, 0, "{document}");
    rows(&document).iter().for_each(|row| assert_ne!(sum(row, "damage"), 0, "{}", name(row)));
}

#[test]
fn row_locks_versions_and_tollgate_are_safe_and_a_key_only_where_requests_repeat() {
    let cures = ["row-lock", "optimistic", "idempotency-key", "tollgate"];
    let cures: Vec<&str> = cures.iter().flat_map(|cure| ["--cure", cure]).collect();
    let (code, document) = race(&[&cures[..], &["--concurrency", "2,16"]].concat());
    assert_eq!(code, 0, "{document}");
    assert_eq!(document["audit"], "pass");
    for row in rows(&document) {
        let twice = row["scenario"] == "double-click";
        let safe = match row["cure"].as_str().unwrap() {
            "idempotency-key" => twice,
            "tollgate" => true,
            _ => !twice,
        };
        assert_eq!(sum(row, "damage") == 0, safe, "{}: {row}", name(row));
    }
    // Tollgate plays all of them, in Redis; that it does not elsewhere is said.
    let is_ours = |row: &&Value| row["cure"] == "tollgate" && row["store"] == "redis";
    let played: BTreeSet<&str> =
        rows(&document).iter().filter(is_ours).map(|row| row["scenario"].as_str().unwrap()).collect();
    assert_eq!(played, ["atm", "coupon", "double-click", "loan", "stock", "ticket"].into());
    let senseless = document["senseless"].as_array().unwrap();
    assert!(
        senseless.iter().any(|row| row["cure"] == "tollgate" && row["store"] == "postgres"),
        "{senseless:?}"
    );
}

/// etcd and ZooKeeper are played where they are installed, and said to be left out where they are not; Consul by a
/// stand-in, which ends the session of a stopped holder sooner than Consul would.
#[test]
fn a_stopped_holder_breaks_locks_that_expire_and_no_fence() {
    // Stopped for as long as it takes on a slow machine until the lock has ended and another is through.
    let words = "--cure lock --cure lock+fence --scenario ticket --concurrency 4 --pause 12s";
    let words: Vec<&str> = words.split(' ').collect();
    let consul = Consul::start(Settings { shortest_lasts: Duration::from_secs(1), ..Settings::default() });
    let mut command = command(&[&words[..], &["--json", "--time", "1ms"]].concat());
    command.env(tollgate::env::CONSUL_ADDR, consul.address());
    let (code, document, _) = run(command);
    let left_out = document["setting"]["left_out"].as_array().unwrap();
    assert_eq!((code, document["verdict"].as_str()), (if left_out.is_empty() { 0 } else { 4 }, Some("pass")));
    // For each service and store: lock and lock+fence, left alone and stopped.
    assert_eq!(rows(&document).len(), (6 - left_out.len()) * 2 * 4, "{left_out:?}");
    for row in rows(&document) {
        let advisory = row["with"].as_str().unwrap().contains("advisory");
        let breaks = row["stopped"] == true && row["cure"] == "lock" && !advisory;
        assert_eq!(sum(row, "damage") != 0, breaks, "{}: {row}", name(row));
        if breaks {
            let timeline = row["interleaving"].to_string();
            assert!(timeline.contains("SIGSTOP") && timeline.contains("SIGCONT"), "{timeline}");
        }
        if row["stopped"] == true && row["cure"] == "lock+fence" && !advisory {
            assert_ne!(sum(row, "retries"), 0, "the stale holder was fenced: {row}");
        }
    }
    // Each stopped holder had its lock taken away, and nothing is left of the run.
    let seen = consul.seen();
    assert!(seen.expired >= 4 && seen.refused >= 4, "{seen:?}");
    assert_eq!(consul.left(), (0, 0));
}

#[test]
fn consul_is_played_only_where_one_is_named_that_works() {
    let words = ["--cure", "lock", "--scenario", "loan", "--store", "redis", "--concurrency", "2", "--json"];
    let (_, document, _) = run(command(&words));
    assert!(!document.to_string().contains("Consul"), "{document}");
    let port = tollgate_testkit::servers::free_port();
    for (address, why) in
        [(format!("127.0.0.1:{port}"), "Connection refused"), ("::".to_owned(), "must be HOST:PORT")]
    {
        let mut command = command(&words);
        let output = command.env(tollgate::env::CONSUL_ADDR, &address).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains("CONSUL_ADDR=") && told.contains(&address) && told.contains(why), "{told}");
    }
}

#[test]
fn a_missing_server_leaves_its_rows_out_and_says_so() {
    let bin = tempfile::tempdir().unwrap();
    let server = tollgate_testkit::servers::server_program();
    std::os::unix::fs::symlink(server, bin.path().join("redis-server")).unwrap();
    for program in ["id", "sh"] {
        let found = which(program).unwrap_or_else(|| panic!("{program} is not in PATH"));
        std::os::unix::fs::symlink(found, bin.path().join(program)).unwrap();
    }
    let mut command =
        command(&["--cure", "naive", "--cure", "lock", "--scenario", "loan", "--store", "redis"]);
    command.args(["--concurrency", "8", "--time", "1ms", "--rounds", "10"]).env("PATH", bin.path());
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(4), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("LEFT OUT: etcd is not installed; hint: "), "{text}");
    assert!(text.contains("PASS"), "{text}");
    assert!(!text.contains("lock, etcd"), "{text}");
}

#[test]
fn a_cure_where_it_makes_no_sense_is_refused_with_the_reason() {
    let output = command(&["--cure", "row-lock", "--store", "redis"]).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{words}");
    assert!(words.contains("Redis locks no keys"), "{words}");
    for wrong in
        [["--concurrency", "1"], ["--concurrency", "2,65"], ["--think", "5ms..1ms"], ["--scenario", "x"]]
    {
        let output = command(&wrong).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{wrong:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn the_page_stands_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/report");
    let mut command =
        command(&["--scenario", "ticket", "--cure", "naive", "--cure", "atomic", "--rounds", "10"]);
    let output = command.arg("--report").arg(&path).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let page = std::fs::read_to_string(path.join("index.html")).unwrap();
    // Two panels of throughput and p99.
    let charts = page.matches("xmlns=\"http://www.w3.org/2000/svg\"").count();
    assert_eq!(charts, 2 * 2);
    for elsewhere in ["src=", "href=\"http", "url(", "@import"] {
        assert!(!page.contains(elsewhere), "{elsewhere}");
    }
    assert!(page.contains("gets the ticket") && page.contains("<h3>naive on PostgreSQL"));
    // The answer comes first: an interleaving whose wrong write is marked, then every cure.
    let at = |words: &str| page.find(words).unwrap_or_else(|| panic!("no {words}"));
    assert!(at("← wrong") < at("<caption>on PostgreSQL"), "the interleaving comes after the table");
    assert!(at("<caption>on PostgreSQL") < at("<section"), "the table comes after the scenarios");
    assert!(page.contains("<td class=\"safe\">safe</td>") && page.contains("<td class=\"damaged\">"));
}

#[test]
fn a_report_that_cannot_be_written_is_told_before_the_run() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut command = command(&["--time", "1m", "--report"]);
    let output = command.arg(file.path().join("report")).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(words.contains("error: --report ") && output.stdout.is_empty(), "{words}");
}

fn which(program: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|program| Path::is_file(program))
}

/// The names that a table of docs/races.md has in its first column, under this head.
fn documented(head: &str) -> Vec<String> {
    let docs = include_str!("../../../docs/races.md");
    let (_, table) =
        docs.split_once(&format!("| {head} | what |\n|---|---|\n")).unwrap_or_else(|| panic!("{head}"));
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    let first = rows.map(|row| row.trim_start_matches("| ").split(" | ").next().unwrap());
    let mut names: Vec<String> =
        first.flat_map(|cell| cell.split(", ").map(|name| name.trim_matches('`').to_owned())).collect();
    names.sort();
    names
}

fn keys(value: &Value) -> Vec<String> {
    let mut keys: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
    keys.sort();
    keys
}

#[test]
fn the_document_has_the_fields_that_the_docs_name() {
    let (_, document) =
        race(&["--cure", "naive", "--scenario", "ticket", "--store", "redis", "--concurrency", "8"]);
    let row = &rows(&document)[0];
    assert_eq!(keys(&document), documented("field"));
    assert_eq!(keys(row), documented("field of a row"));
    assert_eq!(keys(&row["runs"][0]), documented("field of a run"));
    assert_eq!(
        keys(&document["setting"]),
        ["concurrency", "left_out", "pause", "rounds", "seed", "think", "time"]
    );
    assert_eq!(keys(&row["interleaving"]), ["columns", "lines", "outcome", "wrong"]);
    assert_eq!(keys(&row["interleaving"]["lines"][0]), ["at_ms", "column", "words"]);
}
