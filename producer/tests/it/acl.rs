//! The four ACL users of `docs/operating.md`, exactly as written there: each can do what it must, and no more.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use tollgate::embedded::Temporary;

use crate::harness::{Cli, Ran, until};

const DOC: &str = include_str!("../../../docs/operating.md");
pub(crate) const PASSWORD: &str = "change-me";

/// A server of one's own with the users of the document, for the namespace of `cli`.
pub(crate) fn guarded() -> (Temporary, Cli) {
    let redis = Temporary::start(&["--enable-debug-command", "yes"]).unwrap();
    let cli = Cli::on(&redis);
    let lines: Vec<&str> = DOC.lines().filter(|line| line.starts_with("user ")).collect();
    assert_eq!(lines.len(), 4, "four users in docs/operating.md");
    for line in lines {
        let line = line.replace("tollgate", &cli.namespace);
        let words: Vec<&str> = line.split_whitespace().skip(1).collect();
        assert_eq!(raw(&cli, None, &[&["ACL", "SETUSER"], words.as_slice()].concat()), "OK", "{line}");
    }
    (redis, cli)
}

/// One command by redis-cli: what it answers, errors included.
fn raw(cli: &Cli, user: Option<&str>, words: &[&str]) -> String {
    let socket = cli.url.strip_prefix("unix://").unwrap();
    let mut command = Command::new(tollgate_testkit::servers::cli_program());
    // Bytes that are no text are escaped, so that two of them can be told apart.
    command.args(["--no-raw", "-s", socket]);
    if let Some(user) = user {
        command.args(["--no-auth-warning", "--user", user, "--pass", PASSWORD]);
    }
    let output = command.args(words).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.trim_end().trim_start_matches("(error) ").trim_matches('"').to_owned()
}

/// Our own command as `user`.
fn as_user(cli: &Cli, user: &str, args: &[&str], stdin: &str) -> Ran {
    let mut command = cli.command(args);
    command.env("REDIS_USERNAME", user).env("REDIS_PASSWORD", PASSWORD);
    Ran::fed(command, stdin.as_bytes())
}

/// Every key of the server with its content.
fn everything(cli: &Cli) -> BTreeMap<String, String> {
    let keys = raw(cli, None, &["EVAL", "return table.concat(redis.call('KEYS', '*'), ' ')", "0"]);
    keys.split(' ').map(|key| (key.to_owned(), raw(cli, None, &["DUMP", key]))).collect()
}

#[track_caller]
fn denied(cli: &Cli, user: &str, words: &[&str]) {
    let answer = raw(cli, Some(user), words);
    assert!(answer.starts_with("NOPERM"), "{user} {words:?}: {answer}");
}

/// Admin's work: a campaign with codes, an account with money.
fn furnish(cli: &Cli) {
    let codes = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(codes.path(), "ALPHA\nBRAVO\n").unwrap();
    let codes = codes.path().to_str().unwrap();
    as_user(cli, "operator", &["init"], "").exits(0);
    as_user(cli, "operator", &["campaign", "create", "summer", "--codes-file", codes], "").exits(0);
    as_user(cli, "operator", &["account", "open", "a1", "--balance", "10.00"], "").exits(0);
    let items = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(items.path(), "item,quantity\nA-1,1\n").unwrap();
    as_user(cli, "operator", &["inventory", "create", "hall"], "").exits(0);
    let load = ["inventory", "load", "hall", "--items-file", items.path().to_str().unwrap()];
    as_user(cli, "operator", &load, "").exits(0);
}

#[tokio::test]
async fn the_enqueuer_sends_and_looks_up_and_the_worker_settles() {
    let (_redis, cli) = guarded();
    furnish(&cli);
    let mut worker = cli.worker_command(&[]);
    worker.env("REDIS_USERNAME", "worker").env("REDIS_PASSWORD", PASSWORD);
    let _worker = crate::harness::Running::start(worker.stderr(Stdio::null()));

    let queue = format!("{{{}.0}}:queue:default", cli.namespace);
    for job in [
        r#"{"kind":"redeem","id":"r1","campaign":"summer","customer":"c1"}"#,
        r#"{"kind":"withdraw","id":"w1","account":"a1","amount":250}"#,
    ] {
        assert!(raw(&cli, Some("enqueuer"), &["XADD", &queue, "*", "job", job]).ends_with("-0"));
    }
    until("the worker to settle both", async || {
        (as_user(&cli, "enqueuer", &["lookup", "r1", "w1"], "").code == Some(0)).then_some(())
    })
    .await;
    let found = as_user(&cli, "enqueuer", &["lookup", "r1", "--json"], "");
    assert_eq!(found.json()["coupon"], "ALPHA");

    // The same by our own commands.
    let wait = ["--wait", "20s"];
    let redeem = ["redeem", "--campaign", "summer", "--customer", "c2", "--in", "1ms"];
    as_user(&cli, "enqueuer", &[&redeem[..], &wait].concat(), "").exits(0);
    let withdraw = ["withdraw", "--account", "a1", "--amount", "2.50"];
    as_user(&cli, "enqueuer", &[&withdraw[..], &wait].concat(), "").exits(0);
    let reserve = ["reserve", "--inventory", "hall", "--customer", "c", "--item", "A-1", "--hold-for", "1h"];
    as_user(&cli, "enqueuer", &[&reserve[..], &["--id", "cart"], &wait].concat(), "").exits(0);
    assert_eq!(as_user(&cli, "enqueuer", &["lookup", "cart", "--json"], "").json()["reservation"], "open");
    let job = r#"{"kind":"withdraw","account":"a1","amount":500}"#;
    as_user(&cli, "enqueuer", &["enqueue", "--queue-max", "100"], job).exits(0);
    // An operation is not applied, and nothing after it is sent: it might rest on it.
    let operation = r#"{"kind":"deposit","id":"d1","account":"a1","amount":500}"#;
    let ran = as_user(&cli, "enqueuer", &["--json", "enqueue"], &[job, operation, job].join("\n"));
    ran.exits(1);
    let summary = ran.json();
    assert_eq!((&summary["accepted"], &summary["not_applied"]), (&1.into(), &2.into()), "{ran:?}");
    assert_eq!(summary["stopped"], "no_permission");

    // What waits for its time, its sender cannot cancel.
    let later = ["withdraw", "--account", "a1", "--amount", "1", "--id", "later", "--in", "1h"];
    as_user(&cli, "enqueuer", &later, "").exits(0);
    until("the job to be scheduled", async || {
        as_user(&cli, "enqueuer", &["lookup", "later"], "").stdout.contains("scheduled").then_some(())
    })
    .await;
    for user in ["enqueuer", "auditor"] {
        let ran = as_user(&cli, user, &["job", "cancel", "later"], "");
        assert!(ran.complains(1).contains("no_permission"), "{user}: {ran:?}");
    }
    as_user(&cli, "operator", &["job", "cancel", "later"], "").exits(0);
}

/// A transfer acts on two accounts, and asks for no right that a withdrawal does not: a worker's are enough, and whoever may
/// only send cannot settle it.
#[tokio::test]
async fn a_transfer_needs_a_worker_and_its_rights() {
    let (_redis, cli) = guarded();
    furnish(&cli);
    as_user(&cli, "operator", &["account", "open", "a2", "--balance", "0"], "").exits(0);
    let transfer = ["transfer", "--from", "a1", "--to", "a2", "--amount", "4.00", "--id", "t1"];
    as_user(&cli, "enqueuer", &transfer, "").exits(0);
    let before = everything(&cli);
    let client = tollgate::Tollgate::builder().url(&cli.url).credentials("enqueuer", PASSWORD);
    let client = client.namespace(cli.namespace.parse().unwrap()).connect().await.unwrap();
    let amount = tollgate::amount::Amount::from_minor(400).unwrap();
    let [from, to] = ["a1", "a2"].map(|account| account.parse().unwrap());
    let request = tollgate::kinds::Transfer { from, to, amount, currency: "USD".parse().unwrap() };
    let refused = client.decide(&"t2".parse().unwrap(), &request).await.unwrap_err();
    assert!(!refused.may_have_happened() && refused.to_string().contains("no_permission"), "{refused}");
    assert_eq!(everything(&cli), before);

    let mut worker = cli.worker_command(&[]);
    worker.env("REDIS_USERNAME", "worker").env("REDIS_PASSWORD", PASSWORD);
    let _worker = crate::harness::Running::start(worker.stderr(Stdio::null()));
    until("the worker to settle it", async || {
        as_user(&cli, "enqueuer", &["lookup", "t1"], "").stdout.contains("transferred").then_some(())
    })
    .await;
    let shown = as_user(&cli, "operator", &["account", "show", "a2", "--json"], "");
    assert_eq!(shown.json()["available"], 400, "{shown:?}");
    as_user(&cli, "auditor", &["audit"], "").exits(0);
}

#[tokio::test]
async fn the_enqueuer_can_neither_print_money_nor_write_history() {
    let (_redis, cli) = guarded();
    furnish(&cli);
    raw(&cli, None, &["SET", "other:meta", "x"]);
    let before = everything(&cli);

    // Our own admin commands, and an admin line in a file.
    for args in [
        &["account", "deposit", "a1", "5.00", "--id", "d1"][..],
        &["account", "refund", "a1", "w1", "5.00", "--id", "d2"],
        &["campaign", "reverse", "summer", "c1", "r1", "--id", "d3"],
        &["case", "open", "mine"],
        &["case", "decide", "loan-7", "--decision", "approve", "--id", "d4"],
        &["case", "amend", "loan-7", "--reason", "mine"],
        &["account", "open", "mine", "--balance", "5.00"],
        &["account", "close", "a1"],
        &["campaign", "create", "mine", "--limit", "5"],
        &["campaign", "set-limit", "summer", "1"],
        &["campaign", "close", "summer"],
        &["inventory", "restock", "hall", "A-1", "1"],
        &["inventory", "cancel", "hall"],
        &["init", "--retention", "1h"],
        &["queue", "pause", "default"],
        &["receipts", "drop"],
        &["dead", "discard", "r1"],
    ] {
        let ran = as_user(&cli, "enqueuer", args, "");
        assert!(ran.complains(1).contains("no_permission"), "{args:?}: {ran:?}");
        assert_eq!(everything(&cli), before, "{args:?}");
    }
    // By hand.
    let key = |name: &str| format!("{{{}.0}}:{name}", cli.namespace);
    let (journal, account, head, queue) =
        (key("journal"), key("account:a1"), key("head"), key("queue:default"));
    let settle = raw(&cli, None, &["SCRIPT", "LOAD", "#!lua\nreturn redis.call('SET', KEYS[1], '1')"]);
    for words in [
        &["XADD", &journal, "99999-0", "lines", "x"][..],
        &["XADD", &head, "*", "job", "x"],
        &["XADD", "other:queue", "*", "job", "x"],
        &["XADD", "{other.0}:queue:default", "*", "job", "x"],
        &["HSET", &account, "available", "99999"],
        &["HGET", &account, "available"],
        &["SET", &queue, "x"],
        &["DEL", &queue],
        &["XTRIM", &queue, "MAXLEN", "0"],
        &["XDEL", &queue, "1-1"],
        &["XACK", &queue, "workers", "1-1"],
        &["XREADGROUP", "GROUP", "cursor", "me", "STREAMS", &queue, ">"],
        &["XGROUP", "DESTROY", &queue, "cursor"],
        &["EVAL", "return 1", "0"],
        &["EVALSHA", &settle, "1", &queue],
        &["FUNCTION", "FLUSH"],
        &["SCRIPT", "FLUSH"],
        &["GET", "other:meta"],
        &["KEYS", "*"],
        &["SCAN", "0"],
        &["CONFIG", "GET", "*"],
        &["ACL", "LIST"],
        &["FLUSHALL"],
        &["SHUTDOWN"],
    ] {
        denied(&cli, "enqueuer", words);
    }
    // A script that writes is no reading script, whoever loaded it.
    let answer = raw(&cli, Some("enqueuer"), &["EVALSHA_RO", &settle, "1", &queue]);
    assert!(answer.starts_with("ERR Can not execute a script with write flag"), "{answer}");
    assert_eq!(everything(&cli), before);
    as_user(&cli, "operator", &["audit"], "").exits(0);

    // Even one who was given scripts and writes by mistake stops before the first write, at the keys.
    assert_eq!(raw(&cli, None, &["ACL", "SETUSER", "enqueuer", "+evalsha", "+@write"]), "OK");
    as_user(&cli, "enqueuer", &["account", "deposit", "a1", "5.00", "--id", "d1"], "").complains(1);
    assert_eq!(everything(&cli), before);
}

#[tokio::test]
async fn the_auditor_reads_everything_and_changes_nothing() {
    let (_redis, cli) = guarded();
    furnish(&cli);
    let before = everything(&cli);
    for args in [
        &["audit"][..],
        &["stats"],
        &["journal", "export"],
        &["lookup", "create/account/a1"],
        &["dead", "ls"],
        &["queue", "ls"],
        &["worker", "ls"],
        &["account", "show", "a1"],
        &["account", "ls"],
        &["campaign", "ls"],
    ] {
        as_user(&cli, "auditor", args, "").exits(0);
    }
    for args in [
        &["account", "deposit", "a1", "5.00", "--id", "d1"][..],
        &["queue", "pause", "default"],
        &["receipts", "drop"],
        &["dead", "retry", "r1"],
    ] {
        let ran = as_user(&cli, "auditor", args, "");
        assert!(ran.complains(1).contains("no_permission"), "{args:?}: {ran:?}");
    }
    let key = |name: &str| format!("{{{}.0}}:{name}", cli.namespace);
    let queue = key("queue:default");
    for words in [
        &["XADD", &queue, "*", "job", "x"][..],
        &["XREADGROUP", "GROUP", "cursor", "me", "STREAMS", &queue, ">"],
        &["HSET", &key("account:a1"), "available", "1"],
        &["EVAL", "return 1", "0"],
        &["HGETALL", "{other.0}:head"],
        &["KEYS", "*"],
        &["CONFIG", "GET", "*"],
        &["FLUSHALL"],
    ] {
        denied(&cli, "auditor", words);
    }
    assert_eq!(everything(&cli), before);
}

#[tokio::test]
async fn operator_and_worker_have_the_namespace_and_nothing_beside_it() {
    let (_redis, cli) = guarded();
    furnish(&cli);
    as_user(&cli, "operator", &["account", "deposit", "a1", "5.00", "--id", "d1"], "").exits(0);
    as_user(&cli, "operator", &["queue", "pause", "default"], "").exits(0);
    as_user(&cli, "operator", &["receipts", "drop"], "").exits(0);
    as_user(&cli, "operator", &["dead", "retry", "--all"], "").exits(0);
    as_user(&cli, "operator", &["audit"], "").exits(0);
    for user in ["operator", "worker"] {
        let lock = format!("{}:lock:payouts", cli.namespace);
        assert_eq!(raw(&cli, Some(user), &["SET", &lock, "token", "PX", "1"]), "OK");
        for words in [
            &["SET", "other", "x"][..],
            &["HGETALL", "{other.0}:head"],
            &["XADD", "{other.0}:queue:default", "*", "job", "x"],
            &["KEYS", "*"],
            &["CONFIG", "SET", "maxmemory", "1"],
            &["FUNCTION", "FLUSH"],
            &["SCRIPT", "FLUSH"],
            &["FLUSHALL"],
            &["ACL", "SETUSER", "me", "on"],
            &["DEBUG", "SLEEP", "0"],
            &["SHUTDOWN"],
        ] {
            denied(&cli, user, words);
        }
    }
}
