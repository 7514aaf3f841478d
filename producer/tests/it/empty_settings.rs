//! What is set but empty: a variable is as one that is not set, an empty value of a flag is an error that names it;
//! in every program alike.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::harness::{Cli, Ran};

/// The programs, beside the one under test.
const PROGRAMS: [&str; 4] = ["tollgate-producer", "tollgate-worker", "tollgate-chaos", "tollgate-bench"];

fn program(name: &str) -> Command {
    let path = Path::new(env!("CARGO_BIN_EXE_tollgate-producer")).with_file_name(name);
    assert!(path.exists(), "{} is missing: run `cargo build --workspace` first", path.display());
    let mut command = tollgate_testkit::servers::bare(path);
    command.stdin(Stdio::null());
    command
}

#[test]
fn an_empty_variable_is_as_one_that_is_not_set() {
    let cli = Cli::new();
    cli.run(&["init"]).exits(0);
    let mut command = cli.command(&["stats", "--json"]);
    for variable in tollgate::env::ALL {
        let is_needed = matches!(variable.name, "REDIS_URL" | "TOLLGATE_NAMESPACE");
        if !is_needed {
            command.env(variable.name, "");
        }
    }
    Ran::of(command.output().unwrap()).exits(0);
    // The namespace falls back to its default, which nobody has initialised here.
    let ran = Ran::of(cli.command(&["stats"]).env("TOLLGATE_NAMESPACE", "").output().unwrap());
    assert!(ran.complains(1).contains("tollgate is not initialised"), "{ran:?}");
}

#[test]
fn without_an_address_producer_and_worker_use_the_same_private_server() {
    for url in [None, Some("")] {
        let dir = tempfile::tempdir().unwrap();
        let run = |name: &str, args: &[&str]| {
            let mut command = program(name);
            command.args(args).current_dir(dir.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
            url.iter().for_each(|url| _ = command.env("REDIS_URL", url));
            command
        };
        let stop = || Ran::of(run("tollgate-producer", &["redis", "stop"]).output().unwrap());
        let init = Ran::of(run("tollgate-producer", &["init"]).output().unwrap());
        let said = init.stderr.contains("started the private redis in ");
        let mut worker = run("tollgate-worker", &[]).spawn().unwrap();
        let begun = std::time::Instant::now();
        let beats = || Ran::of(run("tollgate-producer", &["worker", "ls", "--json"]).output().unwrap());
        let mut seen = String::new();
        while begun.elapsed() < crate::harness::SOON && !seen.contains("\"alive\"") {
            seen = beats().stdout;
        }
        worker.kill().unwrap();
        worker.wait().unwrap();
        stop().exits(0);
        init.exits(0);
        assert!(said, "{init:?}");
        assert!(seen.contains("\"alive\""), "the worker is on another server: {seen}");
    }
}

#[test]
fn an_empty_value_names_its_flag() {
    // Nothing listens there: what was not refused before connecting would be exit code 3.
    let cli = Cli { url: "redis://127.0.0.1:1".to_owned(), namespace: "n".to_owned() };
    for (args, named) in [
        (&["stats", "--redis-url", ""][..], "--redis-url"),
        (&["stats", "--redis-url="], "--redis-url"),
        (&["stats", "--redis-ca", ""], "--redis-ca"),
        (&["stats", "--namespace", ""], "--namespace"),
        (&["enqueue", ""], "FILE"),
        (&["enqueue", "f", "--run", ""], "--run"),
        (&["enqueue", "f", "--ids-out", ""], "--ids-out"),
        (&["enqueue", "f", "--run-log", ""], "--run-log"),
        (&["enqueue", "f", "--rejected", ""], "--rejected"),
        (&["redeem", "--campaign", "", "--customer", "x"], "--campaign"),
        (&["redeem", "--campaign", "c", "--customer", "x", "--wait="], "--wait"),
        (&["withdraw", "--account", "a", "--amount", ""], "--amount"),
        (&["withdraw", "--account", "a", "--amount", "1", "--destination", ""], "--destination"),
        (&["campaign", "create", "c", "--codes-file", ""], "--codes-file"),
        (&["payout", "post", "p", "--reason", ""], "--reason"),
        (&["payout", "post", "p", "--reason", "r", "--by", ""], "--by"),
        (&["dead", "ls", "--reason", ""], "--reason"),
        (&["audit", "--bank-ledger", ""], "--bank-ledger"),
        (&["lookup", ""], "ID"),
    ] {
        let ran = cli.run(args);
        let said = ran.complains(2);
        assert!(said.contains(named), "{args:?}: {said}");
    }
    for (name, args, named) in [
        ("tollgate-worker", &["--redis-url", ""][..], "--redis-url"),
        ("tollgate-worker", &["--payout-url", ""], "--payout-url"),
        ("tollgate-worker", &["--payout-token-file", ""], "--payout-token-file"),
        ("tollgate-worker", &["--lock-redis", ""], "--lock-redis"),
        ("tollgate-worker", &["--queue", ""], "--queue"),
        ("tollgate-worker", &["--listen", ""], "--listen"),
        ("tollgate-chaos", &["bank", "--ledger", ""], "--ledger"),
        ("tollgate-chaos", &["bank", "--ledger", "l", "--token", ""], "--token"),
        ("tollgate-bench", &["--rounds", ""], "--rounds"),
    ] {
        let ran = Ran::of(program(name).args(args).output().unwrap());
        let said = ran.complains(2);
        assert!(said.contains(named), "{name} {args:?}: {said}");
    }
    for name in PROGRAMS {
        Ran::of(program(name).arg("--version").output().unwrap()).exits(0);
    }
}
