//! `enqueue`: bad lines, order, repeated runs, whatever breaks it off.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::Instant;

use serde_json::{Value, json};
use tollgate::ids::QueueName;
use tollgate::link::Link;

use crate::harness::{Cli, Ran, SOON, drain, opened, redis};

fn run_id(stderr: &str) -> String {
    let line = stderr.lines().find_map(|line| line.strip_prefix("run "));
    line.unwrap_or_else(|| panic!("no run in {stderr:?}")).to_owned()
}

#[tokio::test]
async fn a_file_is_sent_and_its_bad_lines_are_named() {
    let cli = Cli::new();
    let file = [
        r#"{"kind":"campaign_create","campaign":"c","limit":2}"#,
        r#"{"kind":"account_open","account":"a","balance":100}"#,
        r#"{"kind":"redeem","id":"r1","campaign":"c","customer":"x"}"#,
        "",
        r#"{"kind":"withdraw","id":"w0","account":"a","amount":0}"#,
        r#"{"kind":"withdraw","id":"w1","account":"a","amount":1e3}"#,
        r#"{"kind":"redeem","campaign":"c","customer":"x","price":1}"#,
        r#"{"kind":"redeem","campaign":"c","campaign":"c","customer":"x"}"#,
        r#"{"kind":"deposit","account":"a","amount":5}"#,
        r#"{"kind":"deposit","id":"d1","account":"a","amount":5}"#,
        r#"{"kind":"withdraw","account":"a","amount":105}"#,
        "not json",
    ]
    .join("\n");
    let ran = cli.run_with(&["--json", "enqueue"], file.as_bytes());
    ran.exits(1);
    let run = run_id(&ran.stderr);
    assert_eq!(
        ran.stdout,
        format!(
            "{{\"run\":\"{run}\",\"accepted\":5,\"refused\":0,\"invalid\":6,\"not_applied\":0,\"unknown\":0,\"stopped\":null,\"mismatched\":0,\"rejected\":null}}\n"
        )
    );
    for line in [
        "line 5: amount \"0\": must be more than zero (amount_zero)",
        "line 6: amount \"1e3\": must be a whole number of minor units",
        "line 7: price \"1\": must be one of",
        "line 8: campaign '\"c\"': must be given once (repeated_field)",
        "line 9: id: must be given for a deposit",
        "line 12: envelope, column 2 \"not json\": must be one JSON object: expected ident (malformed_json)",
    ] {
        assert!(ran.stderr.contains(line), "{line}: {}", ran.stderr);
    }
    let (tollgate, mut link) = opened(&cli).await;
    assert_eq!(drain(&tollgate, &mut link).await, 2);
    assert_eq!(cli.run(&["--json", "account", "show", "a"]).json()["available"], 0);
    assert_eq!(cli.run(&["--json", "campaign", "show", "c"]).json()["issued"], 1);
}

#[tokio::test]
async fn a_run_repeated_sends_the_same_ids() {
    let cli = Cli::new();
    let dir = tempfile::tempdir().unwrap();
    let (file, ids) = (dir.path().join("jobs"), dir.path().join("ids"));
    let lines = "{\"kind\":\"campaign_create\",\"campaign\":\"c\",\"limit\":10}\nbad\n".to_owned()
        + &"{\"kind\":\"redeem\",\"campaign\":\"c\",\"customer\":\"x\"}\n".repeat(3);
    std::fs::write(&file, lines).unwrap();
    let (file, ids) = (file.to_str().unwrap(), ids.to_str().unwrap());
    let first = cli.run(&["enqueue", file, "--ids-out", ids]);
    first.exits(1);
    let first_ids = std::fs::read_to_string(ids).unwrap();
    let list: Vec<&str> = first_ids.lines().collect();
    assert_eq!((list[0], list[1], list.len()), ("create/campaign/c", "", 5));
    let run = run_id(&first.stderr);
    cli.run(&["enqueue", file, "--ids-out", ids, "--run", &run]).exits(1);
    assert_eq!(std::fs::read_to_string(ids).unwrap(), first_ids);
    let (tollgate, mut link) = opened(&cli).await;
    assert_eq!(drain(&tollgate, &mut link).await, 6);
    assert_eq!(cli.run(&["--json", "campaign", "show", "c"]).json()["issued"], 3);
    for id in &list[2..] {
        assert_eq!(cli.run(&["lookup", id, "--json"]).json()["class"], "applied");
    }
    // Another run of the same file is other jobs: that is what --run is for.
    cli.run(&["enqueue", file]).exits(1);
    drain(&tollgate, &mut link).await;
    assert_eq!(cli.run(&["--json", "campaign", "show", "c"]).json()["issued"], 6);
}

#[tokio::test]
async fn operations_are_settled_before_any_later_line_is_sent() {
    let cli = Cli::new();
    cli.run(&["init"]).exits(0);
    // The deposit between the withdrawals counts for the second, which must be refused without it; the worker
    // here settles only at the end, so the deposit must have been settled by enqueue itself.
    let mut file = String::new();
    for account in 0..20 {
        let line =
            |kind: &str, rest: &str| format!("{{\"kind\":\"{kind}\",\"account\":\"a{account}\",{rest}}}\n");
        file += &line("account_open", "\"balance\":10");
        file += &line("withdraw", "\"amount\":10");
        file += &line("deposit", &format!("\"id\":\"d{account}\",\"amount\":7"));
        file += &line("withdraw", "\"amount\":7");
    }
    let ran = cli.run_with(&["--json", "enqueue"], file.as_bytes());
    ran.exits(0);
    assert_eq!(ran.json()["accepted"], 80);
    // In the journal every opening and deposit lies in the order of the file.
    let export = cli.run(&["journal", "export", "--json"]);
    let order: Vec<(String, String)> = export
        .exits(0)
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|line| (line["account"].as_str().unwrap().to_owned(), line["kind"].as_str().unwrap().to_owned()))
        .collect();
    let expected: Vec<(String, String)> = (0..20)
        .flat_map(|n| ["account_open", "deposit"].map(|kind| (format!("a{n}"), kind.to_owned())))
        .collect();
    assert_eq!(order, expected);
    let (tollgate, mut link) = opened(&cli).await;
    drain(&tollgate, &mut link).await;
    let accounts = cli.run(&["account", "ls", "--json"]).json();
    assert!(accounts.as_array().unwrap().iter().all(|account| account["available"] == 0), "{accounts}");
}

#[test]
fn refused_operations_are_counted_and_named() {
    let cli = Cli::new();
    let file = [
        r#"{"kind":"account_open","account":"a","balance":1}"#,
        r#"{"kind":"account_open","account":"a","balance":1}"#,
        r#"{"kind":"account_open","account":"a","balance":2}"#,
        r#"{"kind":"deposit","id":"none","account":"none","amount":2}"#,
        r#"{"kind":"deposit","id":"d","account":"a","amount":2}"#,
        r#"{"kind":"deposit","id":"d","account":"a","amount":3}"#,
    ]
    .join("\n");
    let ran = cli.run_with(&["--json", "enqueue"], file.as_bytes());
    ran.exits(1);
    assert_eq!((&ran.json()["accepted"], &ran.json()["refused"]), (&json!(3), &json!(2)));
    assert_eq!(ran.json()["invalid"], 1, "what does not exist decides nothing");
    for line in [
        "line 3: account:a: account_exists: an account of this id exists, and its balance differs",
        "line 4: account:none: account_not_found: no account of this id: none",
        "line 6: account:a: id_mismatch: this id was used for another request, and its amount differs",
    ] {
        assert!(ran.stderr.contains(line), "{line}: {}", ran.stderr);
    }
}

/// A file of openings, redemptions and withdrawals without ids.
fn long_file(lines: usize) -> String {
    let mut file = String::from("{\"kind\":\"campaign_create\",\"campaign\":\"c\",\"limit\":1000000}\n");
    for n in 0..10 {
        file += &format!("{{\"kind\":\"account_open\",\"account\":\"a{n}\",\"balance\":1000000000}}\n");
    }
    for n in 0..lines {
        file += &match n % 2 {
            0 => format!("{{\"kind\":\"redeem\",\"campaign\":\"c\",\"customer\":\"x{n}\"}}\n"),
            _ => format!("{{\"kind\":\"withdraw\",\"account\":\"a{}\",\"amount\":{n}}}\n", n % 10),
        };
    }
    file
}

#[tokio::test]
async fn killed_anywhere_and_run_again_each_line_has_one_effect() {
    let cli = Cli::new();
    cli.run(&["init"]).exits(0);
    let (tollgate, mut link) = opened(&cli).await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("jobs");
    let lines = 20_000;
    std::fs::write(&path, long_file(lines)).unwrap();
    let path = path.to_str().unwrap();
    let stream = tollgate.keys(tollgate.partitions().get(0).unwrap()).queue(&QueueName::default());

    let mut run: Option<String> = None;
    let mut cut_off = 0;
    // Killed when so many jobs have arrived in all; progress is what is waited for, not time.
    for arrived in [0, 1, 3_000, 9_000, 17_000] {
        let before = length(&mut link, &stream).await;
        let mut args = vec!["enqueue", path];
        if let Some(run) = &run {
            args.extend(["--run", run]);
        }
        let mut child = cli.command(&args).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.starts_with("run ") {
            said.clear();
            assert_ne!(stderr.read_line(&mut said).unwrap(), 0, "it ended before it began");
        }
        run = Some(run_id(&said));
        let begun = Instant::now();
        while length(&mut link, &stream).await < before + arrived && child.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < SOON);
        }
        child.kill().unwrap();
        cut_off += u32::from(child.wait().unwrap().signal().is_some());
    }
    assert!(cut_off >= 4, "only {cut_off} of 5 were killed midway: a longer file is needed");
    let last = cli.run(&["--json", "enqueue", path, "--run", &run.unwrap()]);
    last.exits(0);
    assert_eq!(last.json()["accepted"], lines + 11);

    let sent = drain(&tollgate, &mut link).await;
    assert!(sent > lines as u64, "nothing was sent twice, so nothing was shown");
    assert_eq!(cli.run(&["--json", "campaign", "show", "c"]).json()["issued"], lines / 2);
    let spent: u64 = (0..lines as u64).filter(|n| n % 2 == 1).sum();
    let accounts = cli.run(&["account", "ls", "--json"]).json();
    let left: u64 = accounts.as_array().unwrap().iter().map(|a| a["available"].as_u64().unwrap()).sum();
    assert_eq!(left, 10 * 1_000_000_000 - spent);
}

async fn length(link: &mut Link, stream: &str) -> i64 {
    match redis(link, &["XLEN", stream]).await {
        ::redis::Value::Int(length) => length,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_signal_stops_it_whole_and_tells_how_to_go_on() {
    let cli = Cli::new();
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let args = ["--json", "enqueue", "--run-log", log.to_str().unwrap()];
    let mut child = cli.command(&args).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(long_file(3_000).as_bytes()).unwrap();
    // Its stdin stays open: without the signal it would wait for ever.
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("run ") {
        assert_ne!(stderr.read_line(&mut said).unwrap(), 0);
    }
    let pid = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    let ran = Ran::of(child.wait_with_output().unwrap());
    ran.exits(1);
    assert_eq!(ran.json()["stopped"], "interrupted");
    assert_eq!(ran.json()["unknown"], 0);
    assert!(rest.contains("--run "), "{rest}");
    drop(stdin);
}

#[tokio::test]
async fn a_full_queue_is_waited_for_then_reported() {
    let cli = Cli::new();
    let redeem = |n: usize| format!("{{\"kind\":\"redeem\",\"campaign\":\"c\",\"customer\":\"x{n}\"}}\n");
    let file: String = (0..5).map(redeem).collect();
    // Five in one pipeline would be five in the queue.
    let ran =
        cli.run_with(&["--json", "enqueue", "--queue-max", "3", "--overload-wait", "50ms"], file.as_bytes());
    ran.exits(1);
    assert_eq!((&ran.json()["accepted"], &ran.json()["not_applied"]), (&json!(3), &json!(2)));
    let full =
        cli.run_with(&["--json", "enqueue", "--queue-max", "3", "--overload-wait", "50ms"], file.as_bytes());
    full.exits(1);
    assert_eq!((&full.json()["not_applied"], &full.json()["stopped"]), (&json!(5), &json!("overloaded")));
    assert!(full.stderr.contains("3 jobs wait in the queue, and 3 may"), "{full:?}");
    // Once somebody fetches, it goes on by itself.
    let mut waiting =
        cli.command(&["--json", "enqueue", "--queue-max", "3"]).stdin(Stdio::piped()).spawn().unwrap();
    waiting.stdin.take().unwrap().write_all(file.as_bytes()).unwrap();
    let mut stderr = BufReader::new(waiting.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("waiting, up to") {
        assert_ne!(stderr.read_line(&mut said).unwrap(), 0, "{said}");
    }
    let (tollgate, mut link) = opened(&cli).await;
    let (begun, mut drained) = (Instant::now(), 0);
    while waiting.try_wait().unwrap().is_none() {
        assert!(begun.elapsed() < SOON);
        drained += drain(&tollgate, &mut link).await;
    }
    drained += drain(&tollgate, &mut link).await;
    assert_eq!(drained, 8);
    Ran::of(waiting.wait_with_output().unwrap()).exits(0);
}

#[test]
fn a_redis_that_fills_up_is_overloaded_before_it_is_full() {
    let small = tollgate::embedded::Temporary::start(&["--maxmemory", "4mb"]).unwrap();
    let cli = Cli::on(&small);
    cli.run(&["init"]).exits(0);
    let file = long_file(60_000);
    let ran = cli.run_with(&["--json", "enqueue", "--overload-wait", "10ms"], file.as_bytes());
    ran.exits(1);
    let end = ran.json();
    assert_eq!(end["stopped"], "overloaded");
    assert_eq!(end["unknown"], 0);
    let count = |name: &str| end[name].as_u64().unwrap();
    assert_eq!(count("accepted") + count("not_applied"), 60_011);
    assert!(count("accepted") > 1_000, "{end}");
}

#[test]
fn a_redis_that_goes_away_and_comes_back_gets_the_same_jobs_again() {
    let mut own = tollgate::embedded::Temporary::start(&[]).unwrap();
    let cli = Cli::on(&own);
    cli.run(&["init"]).exits(0);
    let mut child = cli.command(&["--json", "enqueue"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let file = long_file(4_000);
    let (first, rest) = file.split_at(file.len() / 2);
    stdin.write_all(first.as_bytes()).unwrap();
    own.kill();
    let writer = {
        let rest = rest.to_owned();
        std::thread::spawn(move || stdin.write_all(rest.as_bytes()))
    };
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("waiting, up to") {
        assert_ne!(stderr.read_line(&mut said).unwrap(), 0, "{said}");
    }
    own.restart().unwrap();
    writer.join().unwrap().unwrap();
    let ran = Ran::of(child.wait_with_output().unwrap());
    ran.exits(0);
    assert_eq!(ran.json()["accepted"], 4_011);
    drop(own);
    let gone = cli.run_with(&["enqueue", "--overload-wait", "10ms"], b"");
    gone.complains(3);
}

#[test]
fn a_huge_file_takes_flat_memory() {
    let cli = Cli::new();
    cli.run(&["init"]).exits(0);
    let peak_kib = |lines: usize| {
        let mut child = cli.command(&["enqueue"]).stdin(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let line = "{\"kind\":\"redeem\",\"campaign\":\"c\",\"customer\":\"x\"}\n";
        let block = line.repeat(1_000);
        for _ in 0..lines / 1_000 {
            stdin.write_all(block.as_bytes()).unwrap();
        }
        // All but the last few chunks have been through; the process waits for more.
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        drop(stdin);
        Ran::of(child.wait_with_output().unwrap()).exits(0);
        peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    };
    let (short, long) = (peak_kib(20_000), peak_kib(200_000));
    assert!(long < short + 8 * 1024, "{short} KiB for 20,000 lines, {long} KiB for 200,000");
}

#[test]
fn wrong_files_and_flags_are_refused_at_the_door() {
    let cli = Cli::new();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("jobs");
    std::fs::write(&file, "{}").unwrap();
    let file = file.to_str().unwrap();
    let dir = dir.path().to_str().unwrap();
    for (args, said) in [
        (&["enqueue", "/no/such/file"][..], "FILE \"/no/such/file\": must be a readable file"),
        (&["enqueue", dir], "must be a readable file"),
        (&["enqueue", file, "--ids-out", file], "another file than the one that is read"),
        (&["enqueue", file, "--ids-out", "/no/such/dir/ids"], "a file that can be written"),
        (&["enqueue", "--run", "yesterday"], "must be a UUIDv7 in lower case"),
        (&["enqueue", "--run", "0198c2a1-7b3c-7def-8123-456789abcdef"], "given together with --run-log"),
        (&["enqueue", file, "--rejected", file], "another file than the one that is read"),
        (&["enqueue", file, "--run-log", "log"], "left out: a file is recognised by its SHA-256"),
        (&["enqueue", "--run-log", dir], "a file that can be read and written"),
        (&["enqueue", "--queue", "a,b"], "must be 1 to 64 of the characters"),
        (&["enqueue", "--queue-max", "0"], "must be a whole number from 1"),
        (&["enqueue", "--queue-max", "-1"], "must be a whole number from 1"),
        (&["enqueue", "--overload-wait", "30"], "must be a time with its unit"),
    ] {
        let ran = cli.run(args);
        assert!(ran.complains(2).contains(said), "{args:?}: {ran:?}");
    }
    assert_eq!(std::fs::read_to_string(file).unwrap(), "{}");
}

#[tokio::test]
async fn a_plain_xadd_enqueues() {
    let cli = Cli::new();
    cli.run(&["campaign", "create", "summer", "--limit", "1"]).exits(0);
    let socket = cli.url.strip_prefix("unix://").unwrap();
    let job = r#"{"kind":"redeem","id":"by-hand","campaign":"summer","customer":"c42"}"#;
    let stream = format!("{{{}.0}}:queue:default", cli.namespace);
    let added = std::process::Command::new(tollgate_testkit::servers::cli_program())
        .args(["-s", socket, "XADD", &stream, "*", "job", job])
        .output()
        .unwrap();
    assert!(added.status.success() && String::from_utf8_lossy(&added.stdout).contains('-'), "{added:?}");
    let (tollgate, mut link) = opened(&cli).await;
    assert_eq!(drain(&tollgate, &mut link).await, 1);
    let found = cli.run(&["lookup", "by-hand", "--json"]);
    assert_eq!(
        found.json(),
        json!({"id": "by-hand", "partition": 0, "class": "applied", "code": "redeemed", "seq": 2})
    );
    // No line is left unread by the map of what was asked.
    let asked: HashMap<String, Value> = serde_json::from_str(job).unwrap();
    assert_eq!(asked["id"], "by-hand");
}
