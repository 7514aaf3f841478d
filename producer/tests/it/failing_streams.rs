//! A stdout or a stderr that fails: a full disk, a reader that has gone. No command panics, what it changes is
//! changed and counted, and its exit code says that the answer did not arrive.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use tollgate::code::Code;

use crate::fixtures::{fresh, id, payout, settle_job};
use crate::harness::{Cli, Ran, Running, drain, opened, until_so};

/// A stream on which every write fails.
#[derive(Debug, Clone, Copy)]
enum Failing {
    /// ENOSPC.
    Full,
    /// EPIPE.
    Closed,
}

impl Failing {
    fn stdio(self) -> Stdio {
        match self {
            Self::Full => File::options().write(true).open("/dev/full").unwrap().into(),
            Self::Closed => {
                let (reader, writer) = std::io::pipe().unwrap();
                drop(reader);
                writer.into()
            }
        }
    }
}

const BOTH: [Failing; 2] = [Failing::Full, Failing::Closed];

fn no_panic(code: Option<i32>, case: &str) {
    assert!(code.is_some_and(|code| (0..=5).contains(&code)), "{case}: {code:?}");
}

/// Commands that only read: exit 1.
const READS: [&[&str]; 12] = [
    &["stats"],
    &["lookup", "p1"],
    &["account", "ls"],
    &["account", "show", "a"],
    &["campaign", "ls"],
    &["dead", "ls"],
    &["dead", "show", "d1"],
    &["payout", "ls"],
    &["queue", "ls"],
    &["worker", "ls"],
    &["journal", "export"],
    &["audit"],
];

/// Commands that change something: exit 4, as whenever an answer is lost.
const CHANGES: [&[&str]; 12] = [
    &["init"],
    &["account", "open", "b", "--balance", "1"],
    &["account", "deposit", "a", "1.00", "--id", "x1"],
    &["campaign", "create", "d", "--limit", "1"],
    &["campaign", "set-limit", "c", "9", "--id", "x2"],
    &["campaign", "close", "d", "--id", "x3"],
    &["payout", "post", "p1", "--reason", "because"],
    &["dead", "retry", "d1"],
    &["dead", "discard", "--all", "--yes"],
    &["queue", "pause", "default"],
    &["queue", "resume", "default"],
    &["burst", "redeem", "--jobs", "3", "--seed", "1"],
];

async fn prepared() -> Cli {
    let cli = fresh("1");
    cli.run(&["account", "open", "a", "--balance", "100"]).exits(0);
    cli.run(&["campaign", "create", "c", "--limit", "5"]).exits(0);
    settle_job(&cli, "p1", &payout("a", 100, "USD")).await;
    let redeem = br#"{"v":1,"kind":"redeem","id":"d1","campaign":"c","customer":"y"}"#;
    cli.bury(&id("d1"), redeem, Code::WorkerLost).await;
    cli
}

/// A job whose id nobody could read is not sent.
#[tokio::test]
async fn a_send_whose_id_cannot_be_written_sends_nothing_and_says_so() {
    let cli = prepared().await;
    let args = ["withdraw", "--account", "a", "--amount", "1.00", "--id", "w1"];
    let ran = Ran::of(cli.command(&args).stdout(Failing::Full.stdio()).output().unwrap());
    assert!(ran.complains(1).contains("nothing was sent: cannot write to stdout"), "{ran:?}");
    cli.run(&["lookup", "w1"]).exits(4);
}

/// What is wrong with the data matters more than who could read it.
#[tokio::test]
async fn an_audit_keeps_its_verdict_whatever_else_fails() {
    let cli = prepared().await;
    cli.redis(&["HSET", &format!("{{{}.0}}:account:a", cli.namespace), "available", "7"]);
    for failing in BOTH {
        let ran = Ran::of(cli.command(&["audit"]).stdout(failing.stdio()).output().unwrap());
        assert_eq!(ran.code, Some(5), "{failing:?}: {ran:?}");
        assert_eq!(
            ran.stderr.contains("cannot write to stdout"),
            matches!(failing, Failing::Full),
            "{ran:?}"
        );
    }
}

#[tokio::test]
async fn a_stdout_that_fails_is_said_by_the_exit_code() {
    for failing in BOTH {
        let cli = prepared().await;
        for json in [false, true] {
            for (args, code) in READS.map(|args| (args, 1)).into_iter().chain(CHANGES.map(|args| (args, 4))) {
                let mut command = cli.command(args);
                command.args(json.then_some("--json"));
                let ran = Ran::of(command.stdout(failing.stdio()).output().unwrap());
                // An export is read as far as somebody wants, by `head`.
                let is_export = args[0] == "journal" && matches!(failing, Failing::Closed);
                let code = if is_export { 0 } else { code };
                assert_eq!(ran.code, Some(code), "{args:?} {failing:?} {json}: {ran:?}");
                let is_told = ran.stderr.contains("stdout");
                assert_eq!(
                    is_told,
                    code == 4 || matches!(failing, Failing::Full),
                    "{args:?} {failing:?}: {ran:?}"
                );
            }
        }
        // What they did is done, once.
        assert_eq!(cli.run(&["account", "show", "a", "--json"]).json()["available"], 10_000);
        assert_eq!(cli.run(&["campaign", "show", "c", "--json"]).json()["limit"], 9);
        cli.run(&["audit"]).exits(0);
    }
}

#[tokio::test]
async fn a_file_is_sent_whole_whoever_listens() {
    let bad = "no json\n";
    let lines: String = (0..2_500)
        .map(|n| format!("{{\"kind\":\"redeem\",\"campaign\":\"c\",\"customer\":\"x{n}\"}}\n"))
        .collect();
    for failing in BOTH {
        let (cli, dir) = (prepared().await, tempfile::tempdir().unwrap());
        let file = dir.path().join("jobs");
        std::fs::write(&file, format!("{bad}{lines}")).unwrap();
        let enqueue = ["enqueue", file.to_str().unwrap(), "--json"];
        let ran = Ran::of(cli.command(&enqueue).stdout(failing.stdio()).output().unwrap());
        assert!(ran.complains(4).contains("2500 accepted, 1 invalid"), "{ran:?}");
        let ran = Ran::of(cli.command(&enqueue).stderr(failing.stdio()).output().unwrap());
        ran.exits(1);
        assert_eq!(ran.json()["accepted"], 2_500);
        let both = cli.command(&enqueue).stdout(failing.stdio()).stderr(failing.stdio()).status().unwrap();
        assert_eq!(both.code(), Some(4));
        let (tollgate, mut link) = opened(&cli).await;
        assert_eq!(drain(&tollgate, &mut link).await, 3 * 2_500);
    }
}

#[tokio::test]
async fn a_stderr_that_fails_changes_nothing() {
    for failing in BOTH {
        let cli = prepared().await;
        for args in READS.into_iter().chain(CHANGES) {
            let (told, untold) = (prepared().await, &cli);
            let expected = told.run(args).code;
            let ran = untold.command(args).stderr(failing.stdio()).output().unwrap();
            no_panic(ran.status.code(), &format!("{args:?}"));
            if READS.contains(&args) {
                assert_eq!(ran.status.code(), expected, "{args:?}");
            }
        }
        // Told twice, and nobody to tell it to: usage, refusals, an unreachable Redis.
        let away = Cli { url: "redis://127.0.0.1:1".to_owned(), namespace: "n".to_owned() };
        for (cli, args, code) in [
            (&cli, &["dance"][..], 2),
            (&cli, &["account", "deposit", "nobody", "1"], 1),
            (&away, &["stats"], 3),
            (&cli, &["redeem", "--campaign", "c", "--customer", "x"], 0),
            (&cli, &["redeem", "--campaign", "c", "--customer", "x", "--wait=1ms"], 4),
        ] {
            let ran = cli.command(args).stderr(failing.stdio()).output().unwrap();
            assert_eq!(ran.status.code(), Some(code), "{args:?}");
        }
    }
}

#[test]
fn help_that_cannot_be_written_is_no_success() {
    for program in ["tollgate-producer", "tollgate-worker", "tollgate-chaos", "tollgate-bench"] {
        let path = Path::new(env!("CARGO_BIN_EXE_tollgate-producer")).with_file_name(program);
        for failing in BOTH {
            let help = Command::new(&path).arg("--help").stdout(failing.stdio()).output().unwrap();
            assert_eq!(help.status.code(), Some(1), "{program}: {help:?}");
            let wrong = Command::new(&path).arg("--no-such-flag").stderr(failing.stdio()).status().unwrap();
            assert_eq!(wrong.code(), Some(2), "{program}");
        }
    }
}

#[test]
fn the_bank_serves_whoever_listens_to_what_it_says() {
    let path = Path::new(env!("CARGO_BIN_EXE_tollgate-producer")).with_file_name("tollgate-chaos");
    for failing in BOTH {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        let (ledger, address) = (file("ledger"), file("address"));
        let mut bank = Command::new(&path);
        bank.args(["bank", "--ledger", &ledger, "--address-file", &address]);
        let mut bank = Running::start(bank.stdout(failing.stdio()).stderr(failing.stdio()));
        until_so("the bank to open", || {
            assert!(bank.try_wait().unwrap().is_none(), "{failing:?}");
            std::fs::read_to_string(&address).is_ok_and(|text| !text.is_empty())
        });
        let address = std::fs::read_to_string(&address).unwrap();
        let at = address.trim().trim_start_matches("http://");
        std::net::TcpStream::connect(at).unwrap();
        assert!(bank.try_wait().unwrap().is_none(), "{failing:?}");
    }
}
