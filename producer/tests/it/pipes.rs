//! What is written into `enqueue -` arrives soon, is counted exactly when the command is told to stop, and never passes
//! the bound that was asked for.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Stdio};

use serde_json::json;
use tollgate::embedded::Temporary;

use crate::harness::{Cli, Ran, until_so};

fn redeem(n: usize) -> String {
    format!("{{\"kind\":\"redeem\",\"campaign\":\"c\",\"customer\":\"x{n}\"}}\n")
}

fn waiting(cli: &Cli) -> u64 {
    cli.redis(&["XLEN", &format!("{{{}.0}}:queue:default", cli.namespace)]).trim().parse().unwrap()
}

fn feed(cli: &Cli, args: &[&str]) -> Child {
    cli.command(&[&["--json", "enqueue", "-"], args].concat()).stdin(Stdio::piped()).spawn().unwrap()
}

fn interrupt(child: &Child) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
}

#[test]
fn a_line_is_sent_though_no_other_follows() {
    let cli = Cli::new();
    let mut child = feed(&cli, &[]);
    let mut stdin = child.stdin.take().unwrap();
    for n in 1..=3 {
        stdin.write_all(redeem(n).as_bytes()).unwrap();
        until_so("a line waits for others", || waiting(&cli) == n as u64);
    }
    // The beginning of a line is none yet, and is not lost.
    let line = redeem(4);
    let (begin, end) = line.split_at(20);
    stdin.write_all(begin.as_bytes()).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(250)); // longer than a line waits: the pause is the subject
    assert_eq!(waiting(&cli), 3);
    stdin.write_all(end.as_bytes()).unwrap();
    until_so("the rest of a line", || waiting(&cli) == 4);
    interrupt(&child);
    let ran = Ran::of(child.wait_with_output().unwrap());
    ran.exits(1);
    let end = ran.json();
    assert_eq!(
        (&end["accepted"], &end["invalid"], &end["stopped"]),
        (&json!(4), &json!(0), &json!("interrupted"))
    );
    drop(stdin);
}

#[test]
fn what_was_accepted_and_is_not_waited_for_any_more_is_not_decided() {
    let cli = Cli::new();
    let mut child = feed(&cli, &["--wait-all", "60s"]);
    let mut stdin = child.stdin.take().unwrap();
    for n in 1..=3 {
        stdin.write_all(redeem(n).as_bytes()).unwrap();
    }
    until_so("the jobs", || waiting(&cli) == 3);
    interrupt(&child);
    let ran = Ran::of(child.wait_with_output().unwrap());
    ran.exits(4);
    assert_eq!((&ran.json()["accepted"], &ran.json()["outcomes"]["not_decided"]), (&json!(3), &json!(3)));
    drop(stdin);
}

#[test]
fn what_was_read_is_counted_when_it_is_told_to_stop() {
    let cli = Cli::new();
    // Nobody takes jobs: two arrive, the others are read and wait.
    let mut child = feed(&cli, &["--queue-max", "2", "--overload-wait", "1h"]);
    let mut stdin = child.stdin.take().unwrap();
    let lines: String = (0..7).map(redeem).collect();
    stdin.write_all(format!("{lines}no job\n").as_bytes()).unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !(said.contains("waiting, up to") && said.contains("line 8")) {
        assert_ne!(stderr.read_line(&mut said).unwrap(), 0, "{said}");
    }
    interrupt(&child);
    stderr.read_to_string(&mut said).unwrap();
    let ran = Ran::of(child.wait_with_output().unwrap());
    ran.exits(1);
    let end = ran.json();
    let count = |name: &str| end[name].as_u64().unwrap();
    assert_eq!(
        (count("accepted"), count("not_applied"), count("invalid"), count("unknown")),
        (2, 5, 1, 0),
        "{end}"
    );
    assert_eq!(waiting(&cli), 2);
    drop(stdin);
}

#[test]
fn a_queue_never_passes_its_bound() {
    let cli = Cli::new();
    let file: String = (0..5_000).map(redeem).collect();
    let ran =
        cli.run_with(&["--json", "enqueue", "--queue-max", "10", "--overload-wait", "50ms"], file.as_bytes());
    ran.exits(1);
    assert_eq!(waiting(&cli), 10);
    assert_eq!((&ran.json()["accepted"], &ran.json()["not_applied"]), (&json!(10), &json!(4_990)));
    assert!(ran.stderr.contains("start more workers for this queue"), "{ran:?}");
}

#[test]
fn a_redis_that_comes_later_is_waited_for() {
    // It is killed: with any other setting the initialisation might go with it.
    let mut redis = Temporary::start(&["--appendfsync", "always"]).unwrap();
    let cli = Cli::on(&redis);
    cli.run(&["init"]).exits(0);
    redis.kill();
    let mut child = feed(&cli, &["--overload-wait", "1h"]);
    child.stdin.take().unwrap().write_all(redeem(1).as_bytes()).unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("waiting, up to 1 hour") {
        assert_ne!(stderr.read_line(&mut said).unwrap(), 0, "{said}");
    }
    redis.restart().unwrap();
    stderr.read_to_string(&mut said).unwrap();
    let ran = Ran::of(child.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(0), "{said}");
    assert_eq!(ran.json()["accepted"], 1);
    // What does not pass by waiting is not waited for.
    let gone = Cli { url: cli.url.clone(), namespace: "nobody-made-it".to_owned() };
    let ran = gone.run_with(&["enqueue", "--overload-wait", "1h"], b"");
    assert!(ran.complains(1).contains("init"), "{ran:?}");
}
