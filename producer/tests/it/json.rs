//! `docs/cli-json.md` against the commands: the same names, the same types, no field more or less.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use tollgate::code::Code;
use tollgate::codes_name::CodesName;
use tollgate::ids::QueueName;
use tollgate::kinds::Reserve;
use tollgate::lines::Lines;
use tollgate::payout_key::PayoutKey;
use tollgate::quantity::Quantity;
use tollgate::scripts::beat::beat;
use tollgate::scripts::payout::{Begin, Retry, Step, due, hold, step};
use tollgate::span_ms::SpanMs;

use crate::fixtures::{a_worker, create_campaign, fresh, id, open_account, payout, redeem, settle_job};
use crate::harness::{Cli, Ran, drain, opened};

const DOC: &str = include_str!("../../../docs/cli-json.md");

/// One documented field.
#[derive(Debug)]
struct Field {
    types: BTreeSet<String>,
    optional: bool,
}

/// The documented fields of one command, by path: `queues[].queue`.
struct Section {
    name: String,
    fields: BTreeMap<String, Field>,
}

/// The section whose heading lists `command`.
fn section(command: &str) -> Section {
    let listed = |heading: &str| heading.split(", ").any(|name| name == command);
    let body = DOC
        .split("\n### ")
        .skip(1)
        .find(|part| listed(part.lines().next().unwrap()))
        .unwrap_or_else(|| panic!("docs/cli-json.md has no section for {command}"));
    let mut fields = BTreeMap::new();
    for row in body.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let words: BTreeSet<String> = cells[2].split(", ").map(str::to_owned).collect();
        let optional = words.contains("optional");
        let types = words.into_iter().filter(|word| word != "optional").collect();
        fields.insert(cells[1].trim_matches('`').to_owned(), Field { types, optional });
    }
    assert!(!fields.is_empty(), "{command}: no fields");
    Section { name: command.to_owned(), fields }
}

/// Every leaf of a value by its path, with its type.
fn leaves(value: &Value, path: &str, into: &mut BTreeMap<String, BTreeSet<String>>) {
    let kind = match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                leaves(value, &path, into);
            }
            return;
        }
        Value::Array(items) => {
            items.iter().for_each(|item| leaves(item, &format!("{path}[]"), into));
            return;
        }
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::String(_) => "string",
        Value::Number(number) if number.is_u64() => "integer",
        Value::Number(_) => "number",
    };
    into.entry(path.to_owned()).or_default().insert(kind.to_owned());
}

impl Section {
    /// What a command printed: one object a line, or one array of objects.
    #[track_caller]
    fn fits(&self, ran: &Ran) {
        let printed: Vec<Value> =
            serde_json::Deserializer::from_str(&ran.stdout).into_iter().collect::<Result<_, _>>().unwrap();
        let objects: Vec<&Value> = match printed.as_slice() {
            [Value::Array(items)] => items.iter().collect(),
            values => values.iter().collect(),
        };
        assert!(!objects.is_empty(), "{}: nothing printed: {ran:#?}", self.name);
        for object in objects {
            let mut found = BTreeMap::new();
            leaves(object, "", &mut found);
            for (path, types) in &found {
                let field = self.fields.get(path);
                let field = field.unwrap_or_else(|| panic!("{}: {path} is not documented", self.name));
                assert!(types.is_subset(&field.types), "{}: {path} is {types:?}, not {field:?}", self.name);
            }
            for (path, field) in &self.fields {
                // Of an empty list nothing can be seen.
                let list = path.rfind("[]").map(|at| &path[..at + 2]);
                let is_empty = list.is_some_and(|list| !found.keys().any(|path| path.starts_with(list)));
                assert!(
                    field.optional || is_empty || found.contains_key(path),
                    "{}: no {path} in {object}",
                    self.name
                );
            }
        }
    }
}

/// Runs a command with `--json` and compares what it prints.
#[track_caller]
fn check(cli: &Cli, command: &str, args: &[&str], exit: i32) -> Ran {
    let words: Vec<&str> = command.split(' ').chain(args.iter().copied()).chain(["--json"]).collect();
    let ran = cli.run(&words);
    ran.exits(exit);
    section(command).fits(&ran);
    ran
}

#[test]
fn every_command_is_documented_and_nothing_else() {
    let documented: Vec<&str> =
        DOC.split("\n### ").skip(1).flat_map(|part| part.lines().next().unwrap().split(", ")).collect();
    let leaves = [
        "init",
        "campaign create",
        "campaign set-limit",
        "campaign reverse",
        "campaign close",
        "account open",
        "account deposit",
        "account refund",
        "account close",
        "inventory create",
        "inventory load",
        "inventory restock",
        "inventory set-quantity",
        "inventory close",
        "inventory cancel",
        "inventory archive",
        "case open",
        "case amend",
        "case decide",
        "campaign show",
        "campaign ls",
        "inventory show",
        "inventory ls",
        "inventory items",
        "inventory holders",
        "case show",
        "case ls",
        "account show",
        "account ls",
        "enqueue",
        "redeem",
        "withdraw",
        "transfer",
        "purchase",
        "reserve",
        "commit",
        "release",
        "extend",
        "return",
        "exchange",
        "redeem --wait",
        "withdraw --wait",
        "transfer --wait",
        "purchase --wait",
        "reserve --wait",
        "commit --wait",
        "release --wait",
        "extend --wait",
        "return --wait",
        "exchange --wait",
        "burst redeem",
        "burst withdraw",
        "burst purchase",
        "lookup",
        "job history",
        "job waiting",
        "job scheduled",
        "job cancel",
        "campaign holders",
        "stats",
        "journal export",
        "account statement",
        "audit",
        "dead ls",
        "dead show",
        "dead retry",
        "dead discard",
        "dead retry --all",
        "dead discard --all",
        "queue ls",
        "queue pause",
        "queue resume",
        "worker ls",
        "repair",
        "receipts drop",
        "receipts lower",
        "payout ls",
        "payout show",
        "payout post",
        "payout void",
        "redis start",
        "redis stop",
        "redis status",
    ];
    assert_eq!(documented, leaves);
}

#[test]
fn admin_commands() {
    let cli = Cli::empty();
    check(&cli, "init", &["--partitions", "2"], 0);
    let codes = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(codes.path(), "ALPHA\nBRAVO\n").unwrap();
    let list = codes.path().to_str().unwrap();
    check(&cli, "campaign create", &["coded", "--codes-file", list], 0);
    for command in ["campaign create", "inventory create"] {
        let refused = check(&cli, command, &["other", "--codes-file", list], 1);
        assert!(refused.stdout.contains(r#""code":"codes_in_use""#), "{refused:?}");
    }
    let window =
        ["--opens-at", "2020-01-01T00:00:00Z", "--closes-at", "2120-01-01T00:00:00Z", "--per-customer", "2"];
    check(&cli, "campaign create", &[&["summer", "--limit", "5"][..], &window].concat(), 0);
    check(&cli, "campaign create", &["summer", "--limit", "6"], 1);
    check(&cli, "campaign set-limit", &["summer", "7"], 0);
    check(&cli, "campaign show", &["summer"], 0);
    check(&cli, "campaign ls", &[], 0);
    check(&cli, "campaign close", &["summer"], 0);
    check(&cli, "account open", &["a1", "--balance", "10.00"], 0);
    check(&cli, "account deposit", &["a1", "2.50", "--id", "d1"], 0);
    check(&cli, "account refund", &["a1", "nothing", "2.50"], 1);
    check(&cli, "campaign reverse", &["summer", "c1", "nothing"], 1);
    check(&cli, "account show", &["a1"], 0);
    check(&cli, "account ls", &[], 0);
    check(&cli, "account close", &["a1"], 1);
    let items = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(items.path(), "item,quantity\nA-1,1\nA-2,2\n").unwrap();
    check(&cli, "inventory create", &[&["hall"][..], &window].concat(), 0);
    check(&cli, "inventory create", &["hall"], 1);
    check(&cli, "inventory show", &["hall"], 0);
    check(&cli, "inventory load", &["hall", "--items-file", items.path().to_str().unwrap()], 0);
    check(&cli, "inventory restock", &["hall", "A-1", "1"], 0);
    check(&cli, "inventory set-quantity", &["hall", "A-1", "1", "--expect", "9"], 1);
    check(&cli, "inventory items", &["hall"], 0);
    check(&cli, "inventory items", &["hall", "A-2", "A-3"], 1);
    check(&cli, "inventory ls", &[], 0);
    check(&cli, "inventory close", &["hall"], 0);
    check(&cli, "inventory cancel", &["hall"], 0);
    check(&cli, "inventory archive", &["hall"], 0);
    check(&cli, "case open", &["loan-7"], 0);
    check(&cli, "case open", &["loan-7", "--options", "yes,no"], 1);
    check(&cli, "case show", &["loan-7"], 0);
    check(&cli, "case amend", &["loan-7", "--reason", "a payslip came in"], 0);
    let decide = ["loan-7", "--by", "officer-7", "--reason", "income is proved", "--decision"];
    check(&cli, "case decide", &[&decide[..], &["approve", "--expect-version", "1"]].concat(), 1);
    check(&cli, "case decide", &[&decide[..], &["approve", "--expect-version", "2"]].concat(), 0);
    check(&cli, "case decide", &[&decide[..], &["reject"]].concat(), 1);
    check(&cli, "case show", &["loan-7"], 0);
    check(&cli, "case ls", &[], 0);
    cli.redis(&["KEYS", "*"])
        .lines()
        .filter(|key| key.contains(&cli.namespace) && key.ends_with(":account:a1"))
        .for_each(|key| drop(cli.redis(&["HSET", key, "available", "x"])));
    check(&cli, "account ls", &[], 1);
}

#[tokio::test]
async fn sending() {
    let cli = fresh("1");
    check(&cli, "enqueue", &[], 0);
    cli.run(&["campaign", "create", "c", "--limit", "0"]).exits(0);
    cli.run(&["account", "open", "a", "--balance", "0"]).exits(0);
    let redeem = ["--campaign", "c", "--customer", "x", "--id", "r1"];
    let withdraw = ["--account", "a", "--amount", "1", "--id", "w1"];
    check(&cli, "redeem", &redeem, 0);
    check(&cli, "redeem", &[&redeem[..], &["--in", "1s"]].concat(), 0);
    check(&cli, "withdraw", &withdraw, 0);
    let transfer = ["--from", "a", "--to", "b", "--amount", "1", "--id", "t1"];
    check(&cli, "transfer", &transfer, 0);
    let purchase = ["--inventory", "i", "--customer", "x", "--item", "A-1", "--id", "p1"];
    check(&cli, "purchase", &purchase, 0);
    let reserve = ["--inventory", "i", "--customer", "x", "--item", "A-1", "--id", "v1", "--hold-for", "1h"];
    check(&cli, "reserve", &reserve, 0);
    let of = ["--inventory", "i", "--reservation", "v1", "--id"];
    let [commit, release] = ["v2", "v3"].map(|id| [&of[..], &[id]].concat());
    let extend = [&of[..], &["v4", "--hold-for", "1h"]].concat();
    check(&cli, "commit", &commit, 0);
    check(&cli, "release", &release, 0);
    check(&cli, "extend", &extend, 0);
    let of = ["--inventory", "i", "--order", "p1", "--id"];
    let give_back = [&of[..], &["g1"]].concat();
    let exchange = [&of[..], &["g2", "--from", "A-1", "--to", "A-2"]].concat();
    check(&cli, "return", &give_back, 0);
    check(&cli, "exchange", &exchange, 0);
    check(&cli, "burst purchase", &["--jobs", "5", "--items", "7", "--lines", "3"], 0);
    check(&cli, "burst redeem", &["--jobs", "5", "--duplicates", "50%"], 0);
    check(&cli, "burst withdraw", &["--jobs", "5", "--resources", "2", "--seed", "1"], 0);
    // With --wait the object of `redeem` comes first.
    let waited = |command: &str, args: &[&str], exit: i32| {
        let words = [&[command, "--wait", "10ms", "--json"][..], args].concat();
        let mut ran = cli.run(&words);
        ran.exits(exit);
        ran.stdout = ran.stdout.lines().last().unwrap().to_owned();
        section(&format!("{command} --wait")).fits(&ran);
    };
    waited("redeem", &redeem, 4);
    waited("withdraw", &withdraw, 4);
    waited("transfer", &transfer, 4);
    waited("purchase", &purchase, 4);
    waited("reserve", &reserve, 4);
    waited("commit", &commit, 4);
    waited("release", &release, 4);
    waited("extend", &extend, 4);
    waited("return", &give_back, 4);
    waited("exchange", &exchange, 4);
    let (tollgate, mut link) = opened(&cli).await;
    drain(&tollgate, &mut link).await;
    waited("redeem", &redeem, 1);
    waited("redeem", &["--campaign", "c", "--customer", "y", "--id", "r1"], 1);
    waited("withdraw", &withdraw, 1);
}

#[tokio::test]
async fn questions() {
    let cli = fresh("1");
    create_campaign(&cli, "summer", 5, None).await;
    settle_job(&cli, "r1", &redeem("summer", "c1")).await;
    cli.bury(&id("d1"), b"{}", Code::MissingField).await;
    check(&cli, "stats", &[], 0);
    let keys = cli.keys(&cli.tollgate().await);
    cli.redis(&["XADD", &keys.queue(&QueueName::default()), "*", "job", "{}"]);
    check(&cli, "stats", &[], 0);
    check(&cli, "lookup", &["r1", "d1", "never"], 4);
    check(&cli, "journal export", &[], 0);
    check(&cli, "job waiting", &[], 0);
    check(&cli, "job history", &["r1"], 0);
    check(&cli, "job history", &["d1"], 1);
    check(&cli, "campaign holders", &["summer"], 0);
    open_account(&cli, "a1", 5).await;
    check(&cli, "account statement", &["a1"], 0);
    let items = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(items.path(), "item,quantity\nA-1,1\nA-2,2\n").unwrap();
    cli.run(&["inventory", "create", "hall"]).exits(0);
    cli.run(&["inventory", "load", "hall", "--items-file", items.path().to_str().unwrap()]).exits(0);
    let reserve = Reserve {
        inventory: "hall".parse().unwrap(),
        customer: "c1".parse().unwrap(),
        lines: Lines::of("A-1".parse().unwrap(), Quantity::ONE),
        hold_for_ms: SpanMs::new(60_000).unwrap(),
    };
    settle_job(&cli, "cart", &reserve).await;
    check(&cli, "inventory holders", &["hall"], 0);
    check(&cli, "lookup", &["cart"], 0);
    check(&cli, "audit", &[], 0);
}

#[tokio::test]
async fn a_coupon_is_a_field_of_lookup() {
    let cli = fresh("1");
    let codes = CodesName::parse(&"ab".repeat(32)).unwrap();
    cli.redis(&["HSET", &cli.keys(&cli.tollgate().await).codes(&codes), "1", "ALPHA"]);
    create_campaign(&cli, "summer", 1, Some(codes)).await;
    settle_job(&cli, "r1", &redeem("summer", "c1")).await;
    assert_eq!(check(&cli, "lookup", &["r1"], 0).json()["coupon"], "ALPHA");
}

#[tokio::test]
async fn dead_jobs() {
    let cli = fresh("1");
    for (name, bytes) in [("d1", &b"{}"[..]), ("d2", b"\xff"), ("d3", b"{}"), ("d4", b"{}"), ("d5", b"{}")] {
        cli.bury(&id(name), bytes, Code::MalformedJson).await;
    }
    check(&cli, "dead ls", &[], 0);
    check(&cli, "dead show", &["d1"], 0);
    let shown = check(&cli, "dead show", &["d2"], 0).json();
    assert_eq!((&shown["envelope"], &shown["envelope_hex"]), (&Value::Null, &Value::from("ff")));
    check(&cli, "dead retry", &["d1", "absent"], 1);
    check(&cli, "dead discard", &["d3"], 0);
    check(&cli, "dead retry --all", &["--reason", "worker_lost"], 0);
    check(&cli, "dead discard --all", &["--yes"], 0);
}

#[tokio::test]
async fn queues_workers_and_receipts() {
    let cli = fresh("2");
    check(&cli, "queue ls", &[], 0);
    check(&cli, "queue pause", &["default"], 0);
    check(&cli, "queue resume", &["default"], 0);
    check(&cli, "receipts drop", &[], 0);
    check(&cli, "receipts lower", &[], 0);
    let tollgate = cli.tollgate().await;
    let keys = cli.keys(&tollgate);
    cli.redis(&["HSET", &keys.in_flight(&QueueName::default()), "0-0", "0\tw-killed\t1\t1\t1-0\t1\t"]);
    check(&cli, "worker ls", &[], 0);
    let mut link = tollgate.server().link().await.unwrap();
    beat(&mut link, &keys, "w-live", &a_worker().encode()).await.unwrap();
    check(&cli, "worker ls", &[], 0);
}

#[tokio::test]
async fn payouts() {
    let cli = fresh("1");
    open_account(&cli, "a1", 1000).await;
    for job in ["p1", "p2"] {
        settle_job(&cli, job, &payout("a1", 100, "USD")).await;
    }
    check(&cli, "payout ls", &[], 0);
    check(&cli, "payout show", &["p1"], 0);
    // In words of its own where a command shows how far they are.
    let shown = check(&cli, "account show", &["a1"], 0).json();
    assert_eq!((shown["held"].as_u64(), shown["payouts"].as_array().unwrap().len()), (Some(200), 2));
    begin(&cli, "p1").await;
    let found = check(&cli, "lookup", &["p1"], 4).json();
    assert_eq!((&found["code"], &found["attempt"]), (&Value::from("paying"), &Value::from(1)));
    check(&cli, "payout void", &["p1", "--reason", "because"], 1);
    lease_over(&cli, "p1").await;
    check(&cli, "payout void", &["p1", "--reason", "because"], 0);
    check(&cli, "payout post", &["p2", "--reason", "because"], 0);
    check(&cli, "payout post", &["p3", "--reason", "because"], 1);
    check(&cli, "journal export", &[], 0);
    let ledger = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(ledger.path(), "").unwrap();
    let violations = &check(&cli, "audit", &["--bank-ledger", ledger.path().to_str().unwrap()], 5).json();
    assert_eq!(violations["bank"]["sums"][0]["posted"], 100, "{violations}");
}

/// Begins an attempt with a lease of a moment.
async fn begin(cli: &Cli, job: &str) {
    let (tollgate, mut link) = opened(cli).await;
    let account = "a1".parse().unwrap();
    let attempt = Begin {
        key: "k1",
        lease: Duration::from_millis(500),
        retry: Retry::SameKey,
        key_window: Duration::from_secs(60),
        backoff: Duration::ZERO,
        gateway: &"bank".parse().unwrap(),
        idempotency_key: &PayoutKey::of(None, tollgate.namespace(), &account, &id(job)),
    };
    let begun = step(&mut link, &cli.keys(&tollgate), &account, &id(job), &Step::Begin(attempt)).await;
    assert_eq!(begun.unwrap().direct_code(), Code::Paying);
}

/// Waits until an operator may speak.
async fn lease_over(cli: &Cli, job: &str) {
    let (tollgate, mut link) = opened(cli).await;
    let keys = cli.keys(&tollgate);
    let until_ms = hold(&mut link, &keys, &id(job)).await.unwrap().unwrap().lease_until_ms;
    while due(&mut link, &keys, 1).await.unwrap().at_ms < until_ms {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn the_private_server() {
    let dir = tempfile::tempdir().unwrap();
    let cli = Cli { url: String::new(), namespace: "n".to_owned() };
    let run = |verb: &str| {
        let mut command = cli.command(&["redis", verb, "--json"]);
        Ran::of(command.env_remove("REDIS_URL").env("TOLLGATE_DIR", dir.path()).output().unwrap())
    };
    for (verb, exit) in [("start", 0), ("status", 0), ("stop", 0), ("status", 3)] {
        let ran = run(verb);
        ran.exits(exit);
        section(&format!("redis {verb}")).fits(&ran);
    }
}

#[test]
fn what_waits_for_its_time_prints_what_is_documented() {
    let cli = Cli::new();
    cli.run(&["account", "open", "a", "--balance", "10"]).exits(0);
    cli.run(&["withdraw", "--account", "a", "--amount", "4", "--id", "s1", "--in", "1h"]).exits(0);
    let worker = cli.worker(&[]);
    crate::harness::until_so("the job to be scheduled", || {
        cli.run(&["--json", "job", "scheduled"]).json().as_array().unwrap().len() == 1
    });
    drop(worker);
    check(&cli, "job scheduled", &[], 0);
    for id in ["s1", "s1"] {
        assert_eq!(check(&cli, "job cancel", &[id], 0).json()["cancelled"], true);
    }
    assert_eq!(check(&cli, "job cancel", &["s2"], 1).json()["class"], "not_decided");
}
