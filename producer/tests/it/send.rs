//! `redeem` and `withdraw`: the id at once, the outcome if waited for.

use std::io::{BufRead, BufReader};
use std::process::ChildStdout;

use serde_json::{Value, json};
use tollgate::ids::QueueName;

use crate::harness::{Cli, Ran, drain, opened, redis};

const TIMED: &str = "0198c2a1-7b3c-7def-8123-456789abcdef";

fn next(stdout: &mut BufReader<ChildStdout>) -> Value {
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
}

#[tokio::test]
async fn the_id_comes_at_once_and_the_outcome_when_it_is_decided() {
    let cli = Cli::new();
    cli.run(&["campaign", "create", "c", "--limit", "1"]).exits(0);
    let (tollgate, mut link) = opened(&cli).await;
    let args = ["--json", "redeem", "--campaign", "c", "--customer", "x", "--wait", "20s"];
    let mut child = cli.command(&args).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let sent = next(&mut stdout);
    assert_eq!(
        (&sent["partition"], &sent["queue"], &sent["at"]),
        (&json!(0), &json!("default"), &Value::Null)
    );
    while drain(&tollgate, &mut link).await == 0 {}
    let outcome = next(&mut stdout);
    assert_eq!(
        outcome,
        json!({"id": sent["id"], "partition": 0, "class": "applied", "code": "redeemed", "seq": 2, "replayed": false})
    );
    Ran::of(child.wait_with_output().unwrap()).exits(0);
    assert_eq!(cli.run(&["redeem", "--campaign", "c", "--customer", "y"]).exits(0).trim().len(), 36);
}

#[tokio::test]
async fn replayed_refused_mismatched_and_undecided_have_their_words_and_exits() {
    let cli = Cli::new();
    cli.run(&["account", "open", "a", "--balance", "10"]).exits(0);
    let withdraw = |amount: &str, id: &str| {
        let wait = ["--wait", "50ms", "--json"];
        let ran =
            cli.run(&[&["withdraw", "--account", "a", "--amount", amount, "--id", id], &wait[..]].concat());
        let outcome: Value = serde_json::from_str(ran.stdout.lines().last().unwrap()).unwrap();
        (ran.code, outcome)
    };
    let (code, outcome) = withdraw("7.50", "w1");
    assert_eq!((code, &outcome["class"], &outcome["code"]), (Some(4), &json!("not_decided"), &Value::Null));
    let (tollgate, mut link) = opened(&cli).await;
    drain(&tollgate, &mut link).await;
    let (code, outcome) = withdraw("7.50", "w1");
    assert_eq!((code, &outcome["code"], &outcome["replayed"]), (Some(0), &json!("withdrawn"), &json!(true)));
    let (code, outcome) = withdraw("7.51", "w1");
    assert_eq!(
        (code, &outcome["code"], &outcome["field"]),
        (Some(1), &json!("id_mismatch"), &json!("amount"))
    );
    withdraw("7.50", "w2");
    drain(&tollgate, &mut link).await;
    let (code, outcome) = withdraw("7.50", "w2");
    assert_eq!(
        (code, &outcome["class"], &outcome["code"]),
        (Some(1), &json!("refused"), &json!("insufficient_funds"))
    );
    // Three duplicates and the two jobs are five entries, and the money went once.
    assert_eq!(cli.run(&["--json", "account", "show", "a"]).json()["available"], 250);
}

#[test]
fn who_has_waited_enough_is_told_what_is_known() {
    let cli = Cli::new();
    cli.run(&["init"]).exits(0);
    let args = ["--json", "redeem", "--campaign", "c", "--customer", "x", "--wait", "1h"];
    let mut child = cli.command(&args).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let sent = next(&mut stdout);
    // It listens before it sends, so once the job is there it hears.
    let stream = format!("{{{}.0}}:queue:default", cli.namespace);
    let begun = std::time::Instant::now();
    while cli.redis(&["XLEN", &stream]).trim() == "0" {
        assert!(begun.elapsed() < crate::harness::SOON);
    }
    let pid = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let known = next(&mut stdout);
    assert_eq!((&known["id"], &known["class"]), (&sent["id"], &json!("not_decided")));
    Ran::of(child.wait_with_output().unwrap()).exits(4);
}

#[tokio::test]
async fn a_delay_is_counted_by_the_server_and_carried_in_the_envelope() {
    let cli = Cli::new();
    cli.run(&["init"]).exits(0);
    let at = "2099-01-01T00:00:00Z";
    let sent = cli.run(&["--json", "redeem", "--campaign", "c", "--customer", "x", "--id", "r1", "--at", at]);
    assert_eq!(sent.json()["at"], at);
    let (tollgate, mut link) = opened(&cli).await;
    let before = tollgate.now(&mut link, tollgate::partition::Partition::FIRST).await.unwrap();
    let sent = cli.run(&["--json", "redeem", "--campaign", "c", "--customer", "x", "--in", "1h"]);
    let after = tollgate.now(&mut link, tollgate::partition::Partition::FIRST).await.unwrap();
    let at = tollgate::instant::Instant::parse("at", sent.json()["at"].as_str().unwrap()).unwrap();
    assert!((before.ms()..=after.ms()).contains(&(at.ms() - 3_600_000)), "{before} {at} {after}");
    let stream = tollgate.keys(tollgate.partitions().get(0).unwrap()).queue(&QueueName::default());
    let entries = format!("{:?}", redis(&mut link, &["XRANGE", &stream, "-", "+"]).await);
    assert!(entries.contains(&at.to_string()), "{entries}");
}

#[tokio::test]
async fn a_campaign_with_codes_hands_out_each_once() {
    let cli = Cli::new();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("codes");
    std::fs::write(&file, "AAA\r\nBBB\r\nAAA\r\n").unwrap();
    let file = file.to_str().unwrap();
    let create = |args: &[&str]| {
        cli.run(&[&["--json", "campaign", "create", "c", "--codes-file", file], args].concat())
    };
    assert!(
        create(&["--limit", "3"])
            .complains(2)
            .contains("--limit \"3\": must be 2, the number of distinct codes")
    );
    let created = create(&[]);
    created.exits(0);
    assert!(created.stderr.contains("1 repeated codes are left out"), "{created:?}");
    assert_eq!(create(&["--limit", "2"]).json()["replayed"], true);
    std::fs::write(file, "AAA\nCCC\n").unwrap();
    let other = create(&[]);
    assert_eq!((&other.json()["code"], &other.json()["field"]), (&json!("campaign_exists"), &json!("codes")));
    let (tollgate, mut link) = opened(&cli).await;
    let mut coupons = Vec::new();
    for n in ["1", "2", "3"] {
        let args = ["--json", "redeem", "--campaign", "c", "--customer", n, "--id", n, "--wait", "20s"];
        let child = cli.command(&args).spawn().unwrap();
        while drain(&tollgate, &mut link).await == 0 {}
        let ran = Ran::of(child.wait_with_output().unwrap());
        let outcome: Value = serde_json::from_str(ran.stdout.lines().last().unwrap()).unwrap();
        coupons.push((ran.code, outcome["code"].clone(), outcome["coupon"].clone()));
    }
    assert_eq!(
        coupons,
        [
            (Some(0), json!("redeemed"), json!("AAA")),
            (Some(0), json!("redeemed"), json!("BBB")),
            (Some(1), json!("campaign_limit_reached"), Value::Null),
        ]
    );
    for (text, said) in [
        ("", "must be 1 to 10000000 codes"),
        ("A\n\nB\n", "line 2: code \"\""),
        ("A\nB B\n\tC\n", "line 3: code \"\\tC\""),
    ] {
        std::fs::write(file, text).unwrap();
        let ran = create(&[]);
        assert!(ran.complains(2).contains(said), "{ran:?}");
    }
    assert!(
        cli.run(&["campaign", "create", "d", "--codes-file", "/no/file"])
            .complains(2)
            .contains("--codes-file")
    );
}

#[test]
fn a_wrong_value_in_any_flag_is_exit_2_and_says_what_is_allowed() {
    // Nothing listens there: a value that was not checked before connecting would be exit code 3.
    let cli = Cli { url: "redis://127.0.0.1:1".to_owned(), namespace: "n".to_owned() };
    let long = "x".repeat(129);
    let redeem = ["redeem", "--campaign", "c", "--customer", "x"];
    let withdraw = ["withdraw", "--account", "a"];
    let bad = |base: &[&str], args: &[&str], said: &str| {
        let all = [base, args].concat();
        let ran = cli.run(&all);
        assert!(ran.complains(2).contains(said), "{all:?}: {ran:?}");
    };
    for id in ["", "a{b", "b}", "a\nb", &long] {
        bad(&["redeem", "--customer", "x", "--campaign"], &[id], "must be 1 to 128 bytes of UTF-8");
        bad(&["redeem", "--campaign", "c", "--customer"], &[id], "must be 1 to 128 bytes of UTF-8");
        bad(&["account", "open", "--balance", "1"], &["--", id], "must be 1 to 128 bytes of UTF-8");
        bad(&redeem, &["--id", id], "must be 1 to 128 bytes of UTF-8");
    }
    bad(&redeem, &["--id", "create/x"], "does not begin with 'create/'");
    for quantity in ["0", "-1", "1.5", "1e3", "9007199254740992", "", "١"] {
        bad(&redeem, &["--quantity", quantity], "must be a whole number from 1 to 9007199254740991");
    }
    for (amount, said) in [
        ("0", "amount_zero"),
        ("0.00", "amount_zero"),
        ("-5", "amount_negative"),
        ("-0.01", "amount_negative"),
        ("12.345", "up to 2 decimals"),
        ("1e3", "amount_out_of_range"),
        ("NaN", "amount_out_of_range"),
        ("90071992547409.92", "amount_out_of_range"),
        ("٣", "amount_out_of_range"),
        (" 1", "amount_out_of_range"),
        ("1,5", "amount_out_of_range"),
        ("", "amount_out_of_range"),
        ("1.", "amount_out_of_range"),
        (".5", "amount_out_of_range"),
    ] {
        bad(&withdraw, &["--amount", amount], said);
    }
    bad(&withdraw, &["--amount", "1.5", "--currency", "JPY"], "a whole number of JPY");
    bad(&withdraw, &["--amount", "1", "--currency", "usd"], "currency_unknown");
    bad(&["account", "open", "a"], &["--balance", "-1"], "amount_negative");
    for at in ["tomorrow", "2026-01-01", "2026-01-01T00:00:00", "1969-01-01T00:00:00Z"] {
        bad(&redeem, &["--at", at], "must be an RFC 3339 time");
        bad(&["campaign", "create", "c", "--limit", "1", "--opens-at"], &[at], "must be an RFC 3339 time");
    }
    for time in ["5", "-1s", "soon", "1000years"] {
        bad(&redeem, &["--in", time], "must be a time with its unit");
        bad(&redeem, &[&format!("--wait={time}")], "must be a time with its unit");
        bad(&["init", "--retention"], &[time], "must be a time with its unit");
    }
    bad(&redeem, &["--in", "1s", "--at", "2026-01-01T00:00:00Z"], "cannot be used with");
    bad(&redeem, &["--queue", "a:b"], "must be 1 to 64 of the characters");
    for limit in ["-1", "1.5", "x", "9007199254740992"] {
        bad(&["campaign", "create", "c", "--limit"], &[limit], "must be a whole number from 0");
        bad(&["campaign", "set-limit", "c"], &[limit], "must be a whole number from 0");
    }
    let window =
        ["--limit", "1", "--opens-at", "2026-01-02T00:00:00Z", "--closes-at", "2026-01-01T00:00:00Z"];
    bad(&["campaign", "create", "c"], &window, "after opens_at");
    bad(&["campaign", "create", "c"], &[], "--limit");
    for partitions in ["0", "-1", "16385", "x"] {
        bad(&["init", "--partitions"], &[partitions], "must be a whole number from 1 to 16384");
    }
    // What is right goes on to the server, which is not there.
    cli.run(&[&redeem[..], &["--id", TIMED, "--quantity", "9007199254740991"]].concat()).complains(3);
    cli.run(&[&withdraw[..], &["--amount", "90071992547409.91"]].concat()).complains(3);
}
