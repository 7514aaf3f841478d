//! A run belongs to one input: `enqueue --run` with other bytes is refused, whatever is killed in between.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Instant;

use serde_json::{Value, json};

use crate::fixtures::Files;
use crate::harness::{Cli, Ran, SOON, as_text, drain, opened};

fn run_of(ran: &Ran) -> String {
    ran.stderr.lines().find_map(|line| line.strip_prefix("run ")).unwrap().to_owned()
}

/// Redemptions without ids, the second of which is no JSON.
fn with_a_bad_line() -> String {
    let good = |n: u32| format!("{{\"kind\":\"redeem\",\"campaign\":\"c\",\"customer\":\"x{n}\"}}\n");
    [
        good(1),
        "{\"kind\":\"redeem\",\"campaign\":\"c\",\"customer\":\"x2\",}\n".to_owned(),
        good(3),
        good(4),
        good(5),
    ]
    .concat()
}

async fn issued(cli: &Cli) -> Value {
    let (tollgate, mut link) = opened(cli).await;
    drain(&tollgate, &mut link).await;
    cli.run(&["campaign", "show", "c", "--json"]).json()["issued"].clone()
}

fn with_campaign() -> Cli {
    let cli = Cli::new();
    cli.run(&["campaign", "create", "c", "--limit", "1000000", "--per-customer", "1"]).exits(0);
    cli
}

#[tokio::test]
async fn a_repaired_file_is_another_file_and_its_rejected_lines_are_a_run_of_their_own() {
    let (cli, files) = (with_campaign(), Files::new());
    let file = files.write("jobs", with_a_bad_line());
    let first = cli.run(&["enqueue", &file, "--json"]);
    first.exits(1);
    let rejected = files.text("jobs.rejected");
    assert_eq!((&first.json()["accepted"], &first.json()["rejected"]), (&json!(4), &json!(rejected)));
    let (run, digest) = (run_of(&first), sha256(&file));
    assert_eq!(run.split_once('.').unwrap().1, &digest[..16], "as sha256sum prints it");
    assert_eq!(issued(&cli).await, 4);

    // The finding: line 2 deleted, or repaired in place. Either is refused before anything is sent.
    let whole = with_a_bad_line();
    let deleted: String =
        whole.split_inclusive('\n').enumerate().filter(|(n, _)| *n != 1).map(|(_, l)| l).collect();
    for other in [deleted, whole.replace(",}", "}"), format!("{whole}\n"), String::new()] {
        files.write("jobs", &other);
        let refused = cli.run(&["enqueue", &file, "--run", &run]);
        assert!(refused.complains(2).contains("must be the run of this very file"), "{refused:?}");
    }
    assert_eq!(issued(&cli).await, 4);
    // The same bytes are the same file, whatever they are called.
    let copy = files.write("copy", &whole);
    cli.run(&["enqueue", &copy, "--run", &run]).exits(1);
    assert_eq!(issued(&cli).await, 4);

    let text = fs::read_to_string(&rejected).unwrap();
    assert_eq!(text, whole.split_inclusive('\n').nth(1).unwrap());
    files.write("jobs.rejected", text.replace(",}", "}"));
    cli.run(&["enqueue", &rejected]).exits(0);
    assert_eq!(issued(&cli).await, 5);
    // A repeated run leaves the repaired lines alone.
    files.write("jobs", &whole);
    cli.run(&["enqueue", &file, "--run", &run]).exits(1);
    assert!(!fs::read_to_string(&rejected).unwrap().contains(",}"));
    assert_eq!(fs::read_to_string(files.path("jobs.rejected.2")).unwrap(), text);
    assert_eq!(issued(&cli).await, 5);
}

fn sha256(file: &str) -> String {
    let sum = Command::new("sha256sum").arg(file).output().unwrap();
    String::from_utf8(sum.stdout).unwrap()
}

#[test]
fn runs_of_files_and_of_pipes_are_told_apart() {
    let (cli, files) = (with_campaign(), Files::new());
    let file = files.write("jobs", with_a_bad_line());
    let log = files.text("log");
    let of_file = run_of(&cli.run(&["enqueue", &file]));
    let of_pipe = run_of(&cli.run_with(&["enqueue", "-", "--run-log", &log], with_a_bad_line().as_bytes()));
    for (args, said) in [
        (vec!["enqueue", "-", "--run", &of_pipe], "given together with --run-log"),
        (vec!["enqueue", "-", "--run", &of_file, "--run-log", &log], "this one is of a file"),
        (vec!["enqueue", &file, "--run", &of_pipe], "not one of standard input"),
        (vec!["enqueue", "-", "--run-log", &log], "a new file"),
        (vec!["enqueue", "-", "--run", &of_pipe, "--run-log", "/no/such/log"], "a file that can be read"),
        (vec!["enqueue", "-", "--run", &of_pipe, "--run-log", &file], "the log of the run"),
    ] {
        let ran = cli.run_with(&args, with_a_bad_line().as_bytes());
        assert!(ran.complains(2).contains(said), "{args:?}: {ran:?}");
    }
    // A FIFO can be read only once, whatever it is called.
    let fifo = files.text("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let feed = {
        let fifo = fifo.clone();
        std::thread::spawn(move || fs::write(fifo, with_a_bad_line()))
    };
    let ran = cli.run(&["enqueue", &fifo]);
    feed.join().unwrap().unwrap();
    assert!(ran.complains(1).contains("warning: without --run-log"), "{ran:?}");
    assert!(!run_of(&ran).contains('.'), "{ran:?}");
}

/// Starts `enqueue -` with its stdin open, and waits for its run.
fn feed(cli: &Cli, args: &[&str]) -> (Child, ChildStdin, String, BufReader<std::process::ChildStderr>) {
    let mut child =
        cli.command(&[&["enqueue", "-", "--json"], args].concat()).stdin(Stdio::piped()).spawn().unwrap();
    let stdin = child.stdin.take().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.starts_with("run ") {
        said.clear();
        assert_ne!(stderr.read_line(&mut said).unwrap(), 0, "it ended before it began");
        said = as_text(&said);
    }
    let run = said.trim().strip_prefix("run ").unwrap().to_owned();
    (child, stdin, run, stderr)
}

#[tokio::test]
async fn standard_input_is_recognised_by_its_log_after_a_kill_at_any_byte() {
    let (cli, files) = (with_campaign(), Files::new());
    let lines = 4_000;
    let whole: String = (0..lines)
        .map(|n| format!("{{\"kind\":\"redeem\",\"campaign\":\"c\",\"customer\":\"x{n}\"}}\n"))
        .collect();
    let log = files.text("log");
    let mut run: Option<String> = None;
    // Killed after so many bytes were written, in the middle of lines and of blocks.
    for bytes in [1, 999, 70_001, 150_007, whole.len()] {
        let before = fs::metadata(&log).map_or(0, |log| log.len());
        let mut args = vec!["--run-log", log.as_str()];
        if let Some(run) = &run {
            args.extend(["--run", run]);
        }
        let (mut child, mut stdin, this, _stderr) = feed(&cli, &args);
        assert!(run.is_none_or(|run| run == this));
        run = Some(this);
        stdin.write_all(&whole.as_bytes()[..bytes]).unwrap();
        let begun = Instant::now();
        while fs::metadata(&log).unwrap().len() <= before {
            assert!(begun.elapsed() < SOON);
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let run = run.unwrap();
    let again = ["enqueue", "-", "--run", &run, "--run-log", &log, "--json"];
    // Other bytes where something was read: nothing after them is sent.
    let sent = stream_length(&cli);
    for other in [whole.replacen("x0\"", "y0\"", 1), whole[1..].to_owned(), String::new()] {
        let ran = cli.run_with(&again, other.as_bytes());
        assert_eq!(ran.complains(1).matches("error: the input differs after byte 0").count(), 1, "{ran:?}");
        assert_eq!((&ran.json()["stopped"], &ran.json()["accepted"]), (&json!("input"), &json!(0)));
    }
    assert_eq!(stream_length(&cli), sent);
    let last = cli.run_with(&again, whole.as_bytes());
    last.exits(0);
    assert_eq!(last.json()["accepted"], lines);
    assert_eq!(issued(&cli).await, lines);
}

fn stream_length(cli: &Cli) -> String {
    cli.redis(&["XLEN", &format!("{{{}.0}}:queue:default", cli.namespace)])
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_read_is_sent_up_to_there() {
    let (cli, files) = (with_campaign(), Files::new());
    let line = |n: u32| format!("{{\"kind\":\"redeem\",\"campaign\":\"c\",\"customer\":\"x{n:07}\"}}\n");
    let whole: String = (0..60_000).map(line).collect();
    for (change, why) in
        [("append", "it has grown"), ("cut", "it ends before"), ("edit", "it is not what the run is of")]
    {
        let file = files.write("jobs", &whole);
        // Nobody takes jobs and only so many may wait: it stops in the middle, with the file half read.
        let mut child = cli
            .command(&["enqueue", &file, "--json", "--queue", change, "--queue-max", "1000"])
            .spawn()
            .unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("waiting, up to") {
            assert_ne!(stderr.read_line(&mut said).unwrap(), 0, "{said}");
        }
        let changed = match change {
            "append" => whole.clone() + &line(0),
            "cut" => whole[..whole.len() - 100].to_owned(),
            _ => whole.replace("x0059000", "y0059000"),
        };
        // In place, as an editor or a log would.
        fs::OpenOptions::new()
            .write(true)
            .truncate(change == "cut")
            .open(&file)
            .unwrap()
            .write_all(changed.as_bytes())
            .unwrap();
        cli.redis(&["DEL", &format!("{{{}.0}}:queue:{change}", cli.namespace)]);
        let ran = unblock(&cli, child, stderr, change);
        assert!(ran.complains(1).contains(why), "{change}: {ran:?}");
        assert_eq!(ran.json()["stopped"], "input");
        assert!(ran.json()["accepted"].as_u64().unwrap() <= 60_000);
    }
}

/// Empties the queue until the command has ended.
fn unblock(
    cli: &Cli,
    mut child: Child,
    mut stderr: BufReader<std::process::ChildStderr>,
    queue: &str,
) -> Ran {
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(begun.elapsed() < SOON);
        cli.redis(&["DEL", &format!("{{{}.0}}:queue:{queue}", cli.namespace)]);
    }
    let (mut out, mut err) = (String::new(), String::new());
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    stderr.read_to_string(&mut err).unwrap();
    Ran { code: child.wait().unwrap().code(), stdout: out, stderr: err }
}

#[tokio::test]
async fn ids_of_other_requests_are_told_and_all_can_be_waited_for() {
    let cli = with_campaign();
    let line = |id: &str, customer: &str| {
        format!("{{\"kind\":\"redeem\",\"id\":\"{id}\",\"campaign\":\"c\",\"customer\":\"{customer}\"}}\n")
    };
    cli.run_with(&["enqueue"], line("r1", "x").as_bytes()).exits(0);
    let (tollgate, mut link) = opened(&cli).await;
    drain(&tollgate, &mut link).await;
    let file = [line("r1", "y"), line("r1", "x"), line("r2", "y")].concat();
    let ran = cli.run_with(&["enqueue", "--json"], file.as_bytes());
    assert!(ran.complains(1).contains("line 1: id r1: id_mismatch"), "{ran:?}");
    assert_eq!((&ran.json()["accepted"], &ran.json()["mismatched"]), (&json!(3), &json!(1)));

    let worker = cli.worker(&[]);
    let waited = cli.run_with(&["enqueue", "--json", "--wait-all"], file.as_bytes());
    waited.exits(1);
    assert_eq!(
        waited.json()["outcomes"],
        json!({"applied": 2, "refused": 1, "pending": 0, "dead": 0, "expired": 0, "not_decided": 0})
    );
    let all: String = (0..3_000).map(|n| line(&format!("w{n}"), &format!("w{n}"))).collect();
    let waited = cli.run_with(&["enqueue", "--json", "--wait-all"], all.as_bytes());
    waited.exits(0);
    assert_eq!(waited.json()["outcomes"]["applied"], 3_000);
    drop(worker);
    let waited = cli.run_with(&["enqueue", "--json", "--wait-all=50ms"], line("late", "z").as_bytes());
    waited.exits(4);
    assert_eq!(waited.json()["outcomes"]["not_decided"], 1);
}
