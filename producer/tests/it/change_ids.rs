//! Every command that changes something, its answer lost in every way: the id is printed before the send, and
//! what is printed repeats the change without a second effect.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use serde_json::Value;
use tollgate::code::Code;

use crate::fixtures::{fresh, id, payout, redeem, settle_job, withdraw};
use crate::harness::{Cli, Ran, SOON, drain, opened};
use crate::proxy::{Loss, Proxy};

/// How the answer is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lost {
    /// Redis executed it, the reply never comes, and the command is told to stop.
    Signal(&'static str),
    /// The connection breaks each time after Redis has executed it.
    Broken,
    /// One reply of several is lost, then nobody can connect any more.
    ThenAway,
}

const LOSSES: [Lost; 5] =
    [Lost::Signal("-TERM"), Lost::Signal("-INT"), Lost::Signal("-KILL"), Lost::Broken, Lost::ThenAway];

/// A command that changes something.
struct Change {
    args: &'static [&'static str],
    /// Whether it makes a fresh id for itself, so that it warns and its repetition needs `--id`.
    makes_id: bool,
    /// The word in the request by which the proxy knows the call that changes something.
    call: &'static str,
}

const fn change(args: &'static [&'static str], makes_id: bool, call: &'static str) -> Change {
    Change { args, makes_id, call }
}

const CHANGES: [Change; 22] = [
    change(&["init", "--retention", "8d"], false, "initialising"),
    change(&["account", "open", "new", "--balance", "1"], false, "account_open"),
    change(&["account", "deposit", "a", "10.00"], true, "deposit"),
    change(&["account", "close", "empty"], true, "account_close"),
    change(&["campaign", "create", "new", "--limit", "5"], false, "campaign_create"),
    change(&["campaign", "set-limit", "c", "7", "--expect", "5"], true, "campaign_set_limit"),
    change(&["campaign", "close", "c"], true, "campaign_close"),
    change(&["redeem", "--campaign", "c", "--customer", "x"], true, "XADD"),
    change(&["withdraw", "--account", "a", "--amount", "1"], true, "XADD"),
    change(&["redeem", "--campaign", "c", "--customer", "x", "--wait"], true, "XADD"),
    change(&["withdraw", "--account", "a", "--amount", "1", "--wait=5s"], true, "XADD"),
    change(&["payout", "post", "p1", "--reason", "paid by hand"], false, "payout_post"),
    change(&["payout", "void", "p1", "--reason", "never sent"], false, "payout_void"),
    change(&["dead", "retry", "d1"], false, "d1"),
    change(&["dead", "discard", "d1"], false, "d1"),
    change(&["queue", "pause", "default"], false, "paused"),
    change(&["account", "refund", "a", "taken", "0.50"], true, "refund"),
    change(&["campaign", "reverse", "c", "x", "given"], true, "reverse"),
    change(&["case", "open", "l"], false, "case_open"),
    change(&["case", "amend", "m", "--reason", "more"], true, "case_amend"),
    change(&["case", "decide", "m", "--decision", "approve"], true, "decide"),
    change(&["transfer", "--from", "a", "--to", "empty", "--amount", "1"], true, "XADD"),
];

async fn prepared() -> Cli {
    let cli = fresh("1");
    cli.run(&["account", "open", "a", "--balance", "100"]).exits(0);
    cli.run(&["account", "open", "empty", "--balance", "0"]).exits(0);
    cli.run(&["campaign", "create", "c", "--limit", "5"]).exits(0);
    cli.run(&["case", "open", "m"]).exits(0);
    settle_job(&cli, "p1", &payout("a", 100, "USD")).await;
    settle_job(&cli, "taken", &withdraw("a", 100, "USD")).await;
    settle_job(&cli, "given", &redeem("c", "x")).await;
    let redeem = br#"{"v":1,"kind":"redeem","id":"d1","campaign":"c","customer":"y"}"#;
    cli.bury(&id("d1"), redeem, Code::WorkerLost).await;
    // The proxy loses the first answer, which must not be that the server does not know the script yet.
    cli.run(&["dead", "retry", "nobody"]);
    cli.run(&["dead", "discard", "nobody"]);
    cli
}

/// Everything that a second effect would change.
fn state(cli: &Cli) -> Value {
    let stats = cli.run(&["stats", "--json"]).json();
    let counts = ["dead", "discarded"].map(|name| stats[name].clone());
    serde_json::json!([
        cli.run(&["account", "ls", "--json"]).json(),
        cli.run(&["campaign", "ls", "--json"]).json(),
        counts,
    ])
}

/// Runs a command until its answer is lost; answers what it printed.
fn lose(cli: &Cli, change: &Change, how: Lost) -> Ran {
    let loss = match how {
        Lost::Signal(_) => Loss::Hang,
        Lost::Broken => Loss::Break(u32::MAX),
        Lost::ThenAway => Loss::BreakThenRefuse,
    };
    let proxy = Proxy::new(&cli.url, change.call, loss);
    let through = Cli { url: proxy.url(), namespace: cli.namespace.clone() };
    let mut child = through.command(change.args).spawn().unwrap();
    if let Lost::Signal(signal) = how {
        let begun = Instant::now();
        while proxy.lost() == 0 {
            assert!(begun.elapsed() < SOON, "{:?} never sent {}", change.args, change.call);
            std::thread::yield_now();
        }
        kill(&child, signal);
    }
    let ran = finish(&mut child);
    assert!(proxy.lost() > 0, "{:?}: nothing was lost, so nothing was shown", change.args);
    ran
}

fn kill(child: &Child, signal: &str) {
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
}

fn finish(child: &mut Child) -> Ran {
    let (mut stdout, mut stderr) = (String::new(), String::new());
    child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    Ran { code: child.wait().unwrap().code(), stdout, stderr }
}

/// The id that was printed on stderr.
fn printed_id(ran: &Ran) -> Option<String> {
    ran.stderr.lines().find_map(|line| line.strip_prefix("id ")).map(str::to_owned)
}

/// What the command said to run, run by a shell.
fn repeated_as_told(cli: &Cli, ran: &Ran) -> Option<Ran> {
    let mut lines = ran.stderr.lines().skip_while(|line| !line.starts_with("hint: this repeats it"));
    let command = lines.nth(1)?;
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).env("REDIS_URL", &cli.url).env("TOLLGATE_NAMESPACE", &cli.namespace);
    Some(Ran::of(shell.stdin(Stdio::null()).output().unwrap()))
}

async fn plays(change: &Change, how: Lost) {
    let cli = prepared().await;
    let case = format!("{:?} {how:?}", change.args);
    let ran = lose(&cli, change, how);
    let names_a_job = change.makes_id || matches!(change.args[0], "account" | "campaign" | "case" | "payout");
    assert_eq!(printed_id(&ran).is_some(), names_a_job, "{case}: {ran:#?}");
    assert_eq!(ran.stderr.contains("warning: without --id"), change.makes_id, "{case}: {ran:#?}");
    if how == Lost::Signal("-KILL") || (how == Lost::Signal("-TERM") && !names_a_job) {
        assert_eq!(ran.code, None, "{case}: {ran:#?}");
    } else if names_a_job && change.args[0] != "payout" {
        assert_eq!(ran.code, Some(4), "{case}: {ran:#?}");
    }

    let (tollgate, mut link) = opened(&cli).await;
    drain(&tollgate, &mut link).await;
    let after_first = state(&cli);
    let again = match repeated_as_told(&cli, &ran) {
        Some(again) => again,
        // Killed, or its own repetition.
        None => {
            let mut args = change.args.to_vec();
            let id = printed_id(&ran).filter(|_| change.makes_id);
            id.iter().for_each(|id| args.extend(["--id", id]));
            cli.run(&args)
        }
    };
    again.exits(0);
    let answers = change.call != "XADD" || change.args.iter().any(|arg| arg.starts_with("--wait"));
    if names_a_job && answers {
        assert!(again.stdout.contains("replayed"), "{case}: {again:#?}");
    }
    drain(&tollgate, &mut link).await;
    assert_eq!(state(&cli), after_first, "{case}: the repetition had an effect of its own");
    cli.run(&["audit"]).exits(0);
}

macro_rules! lost_answers {
    ($($name:ident $number:literal)+) => {
        $(
            #[tokio::test]
            async fn $name() {
                for how in LOSSES {
                    plays(&CHANGES[$number], how).await;
                }
            }
        )+

        #[test]
        fn every_change_has_its_test() {
            assert_eq!([$($number),+].len(), CHANGES.len());
        }
    };
}

lost_answers! {
    init_is_repeated 0
    an_opening_is_repeated 1
    a_deposit_is_repeated 2
    an_accounts_close_is_repeated 3
    a_creation_is_repeated 4
    a_limit_is_repeated 5
    a_campaigns_close_is_repeated 6
    a_redemption_is_repeated 7
    a_withdrawal_is_repeated 8
    a_redemption_that_waits_is_repeated 9
    a_withdrawal_that_waits_is_repeated 10
    a_post_is_repeated 11
    a_void_is_repeated 12
    a_retry_is_repeated 13
    a_discard_is_repeated 14
    a_pause_is_repeated 15
    a_refund_is_repeated 16
    a_reversal_is_repeated 17
    a_case_is_opened_once 18
    an_amendment_is_repeated 19
    a_decision_is_repeated 20
    a_transfer_is_repeated 21
}

#[tokio::test]
async fn a_loop_around_a_command_that_waits_has_one_effect_with_an_id() {
    let cli = prepared().await;
    // Nobody settles: every pass ends undecided and says what to add.
    let withdraw = ["withdraw", "--account", "a", "--amount", "10", "--wait=1ms"];
    for _ in 0..2 {
        let ran = cli.run(&withdraw);
        assert!(ran.complains(4).contains("without --id the same command again is a new request"), "{ran:?}");
        assert!(ran.stderr.contains(" --id "), "{ran:?}");
    }
    let (tollgate, mut link) = opened(&cli).await;
    drain(&tollgate, &mut link).await;
    let with_id = [&withdraw[..], &["--id", "w1"]].concat();
    for _ in 0..3 {
        let ran = cli.run(&with_id);
        assert!(!ran.complains(4).contains("warning: without --id"), "{ran:?}");
    }
    drain(&tollgate, &mut link).await;
    assert!(cli.run(&with_id).exits(0).contains("replayed"));
    // 100.00 less what is held for p1, what was taken before, two requests without an id, and one with it.
    assert_eq!(cli.run(&["account", "show", "a", "--json"]).json()["available"], 6_800);
}

#[test]
fn the_id_is_there_before_anything_is_sent() {
    let cli = Cli::new();
    cli.run(&["account", "open", "a", "--balance", "0"]).exits(0);
    let proxy = Proxy::new(&cli.url, "deposit", Loss::Hold);
    let through = Cli { url: proxy.url(), namespace: cli.namespace.clone() };
    let mut child = through.command(&["account", "deposit", "a", "1"]).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut first).unwrap();
    assert!(first.starts_with("id "), "{first:?}");
    assert_eq!(cli.run(&["account", "show", "a", "--json"]).json()["available"], 0);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn closing_what_is_closed_is_done() {
    let cli = Cli::new();
    cli.run(&["account", "open", "a", "--balance", "0"]).exits(0);
    cli.run(&["campaign", "create", "c", "--limit", "1"]).exits(0);
    for noun in [["account", "close", "a"], ["campaign", "close", "c"]] {
        cli.run(&noun).exits(0);
        assert!(cli.run(&noun).exits(0).contains("by an earlier request"));
    }
    assert!(cli.run(&["account", "close", "nobody"]).code != Some(0));
}
