//! The main job on real input: a shop's purchase log (`examples/`), sent while workers are killed.
//!
//! What the converter makes of it is in `cdnow.rs`; here the workers are processes, and die.

use std::collections::{BTreeMap, HashSet};
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Cli, Ran, Running, SOON};

const ROWS: usize = 6_919;
const ZERO_AMOUNTS: usize = 8;
const CUSTOMERS: usize = 2_357;
const WORKERS: usize = 3;
/// The file is sent in so many parts; while each but the first is sent, a worker is killed.
const PARTS: usize = 6;

/// The lines of the converter: a campaign, the accounts, then a withdrawal and a redemption for each row.
fn lines() -> Vec<String> {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let converter = Command::new("awk")
        .arg("-f")
        .arg(examples.join("cdnow.awk"))
        .arg(examples.join("data/cdnow_sample.csv"))
        .output();
    let text = String::from_utf8(converter.unwrap().stdout).unwrap();
    let lines: Vec<String> = text.lines().map(|line| format!("{line}\n")).collect();
    assert_eq!(lines.len(), 1 + CUSTOMERS + 2 * ROWS);
    lines
}

#[test]
fn a_shops_log_is_decided_once_while_workers_are_killed() {
    let cli = Cli::new();
    let lines = lines();
    let (resources, jobs) = lines.split_at(1 + CUSTOMERS);
    cli.run_with(&["enqueue"], resources.concat().as_bytes()).exits(0);

    let start = || cli.worker(&["--claim-idle", "300ms"]);
    let mut workers: Vec<Running> = (0..WORKERS).map(|_| start()).collect();
    let mut killed_with_entries = 0;
    let mut enqueue = feed(&cli);
    for (number, part) in jobs.chunks(jobs.len().div_ceil(PARTS)).enumerate() {
        if number > 0 {
            // Alone with the part, and frozen again and again until it has work in hand.
            workers.iter().for_each(|worker| signal(&worker.0, "-STOP"));
            write(&mut enqueue, part);
            let victim = number % WORKERS;
            killed_with_entries += u64::from(frozen_with_work(&cli, &workers[victim].0));
            workers[victim] = start();
            workers.iter().for_each(|worker| signal(&worker.0, "-CONT"));
        } else {
            write(&mut enqueue, part);
        }
    }
    let sent = end(enqueue);
    // A part of the lines was invalid, so it is exit 1.
    assert_eq!(sent.code, Some(1), "{sent:#?}");
    let summary = sent.json();
    assert_eq!(summary["accepted"], 2 * ROWS - ZERO_AMOUNTS, "{summary}");
    assert_eq!(summary["invalid"], ZERO_AMOUNTS, "{summary}");
    assert_eq!(sent.stderr.matches("amount_zero").count(), ZERO_AMOUNTS, "{}", sent.stderr);
    assert!(killed_with_entries > 0, "no worker died with work in hand: this run shows nothing");

    // The sender is not sure whether it all arrived, and sends the file again.
    cli.run_with(&["enqueue"], jobs.concat().as_bytes()).exits(1);
    let replayed = 2 * ROWS - ZERO_AMOUNTS;
    let decided = 1 + CUSTOMERS + 2 * ROWS - ZERO_AMOUNTS;
    let stats = until(&cli, |stats| stats["waiting"] == 0 && stats["in_flight"] == 0);
    assert_eq!(stats["decided"], decided, "{stats}");
    // On a loaded machine a living worker's batch is claimed after 300 ms and settled twice: answered, not decided.
    assert!(stats["replayed"].as_u64().unwrap() >= replayed as u64, "{stats}");
    assert_eq!((&stats["waiting"], &stats["dead"]), (&json!(0), &json!(0)), "{stats}");
    assert_eq!(stats["conservation"]["holds"], true, "{stats}");

    let mut codes: BTreeMap<String, usize> = BTreeMap::new();
    let mut ids = HashSet::new();
    for line in cli.run(&["journal", "export"]).exits(0).lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert!(ids.insert(line["id"].as_str().unwrap().to_owned()), "decided twice: {line}");
        *codes.entry(line["code"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    let expected = [
        ("account_opened", CUSTOMERS),
        ("campaign_created", 1),
        ("redeemed", ROWS),
        ("withdrawn", ROWS - ZERO_AMOUNTS),
    ];
    assert_eq!(codes, expected.map(|(code, count)| (code.to_owned(), count)).into());

    let accounts = cli.run(&["account", "ls", "--json"]).json();
    let accounts = accounts.as_array().unwrap();
    assert_eq!(accounts.len(), CUSTOMERS);
    // Each was opened with what its customer spends in all: one withdrawal too many or too few would show.
    assert!(accounts.iter().all(|account| account["available"] == 0 && account["held"] == 0));
    let audit = cli.run(&["audit", "--json"]);
    audit.exits(0);
    assert_eq!(audit.json()["verdict"], "pass");
}

fn feed(cli: &Cli) -> Child {
    cli.command(&["enqueue", "-", "--json"]).stdin(Stdio::piped()).spawn().unwrap()
}

fn write(enqueue: &mut Child, part: &[String]) {
    enqueue.stdin.as_mut().unwrap().write_all(part.concat().as_bytes()).unwrap();
}

fn end(mut enqueue: Child) -> Ran {
    drop(enqueue.stdin.take());
    Ran::of(enqueue.wait_with_output().unwrap())
}

fn signal(child: &Child, signal: &str) {
    let status = Command::new("kill").args([signal, &child.id().to_string()]).status();
    assert!(status.unwrap().success());
}

/// Lets a frozen worker go on for a moment, until it is frozen with work in hand; whether that came about soon.
fn frozen_with_work(cli: &Cli, worker: &Child) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(3) {
        signal(worker, "-CONT");
        std::thread::sleep(Duration::from_millis(2));
        signal(worker, "-STOP");
        let workers = cli.run(&["worker", "ls", "--json"]).json();
        let mut rows = workers.as_array().unwrap().iter();
        if rows.any(|row| row["pid"] == worker.id() && row["in_flight"].as_u64() > Some(0)) {
            return true;
        }
    }
    false
}

fn until(cli: &Cli, enough: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    loop {
        let stats = cli.run(&["stats", "--json"]).json();
        if enough(&stats) {
            return stats;
        }
        assert!(begun.elapsed() < SOON, "waited {SOON:?}: {stats}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
