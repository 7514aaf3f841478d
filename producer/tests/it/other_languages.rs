//! The examples in Python and TypeScript, as docs/protocol.md promises that they work: under the ACL user that may only
//! send and look up, with a worker that settles what they send.
//!
//! Their packages are installed by `scripts/example-clients.sh`, which `make test` runs. Without them the test says that
//! it was skipped; on CI that is a failure.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tollgate::embedded::Temporary;

use crate::acl::{PASSWORD, guarded};
use crate::harness::{Cli, Ran, Running};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Where the packages are, if they are those that the examples ask for now.
fn installed(language: &str, asked: &str) -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_BIN_EXE_tollgate-producer")).ancestors().nth(2).unwrap();
    let dir = target.join("examples").join(language);
    let asked = std::fs::read(root().join("examples").join(language).join(asked)).unwrap();
    if std::fs::read(dir.join("installed")).is_ok_and(|installed| installed == asked) {
        return Some(dir);
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "no packages for {language}: run sh scripts/example-clients.sh"
    );
    let skipped = format!("skipped: the example in {language}: run sh scripts/example-clients.sh first");
    let _ = writeln!(std::io::stderr(), "{skipped}");
    None
}

/// A namespace of `partitions` with two campaigns of three coupons, and its worker.
fn fleet(partitions: &str) -> (Temporary, Cli, Running) {
    let (redis, cli) = guarded();
    cli.run(&["init", "--partitions", partitions]).exits(0);
    for campaign in ["summer", "кампания"] {
        cli.run(&["campaign", "create", campaign, "--limit", "3", "--per-customer", "1"]).exits(0);
    }
    let worker = cli.worker(&[]);
    (redis, cli, worker)
}

/// What must be true of a program whose `command` redeems for a campaign, a customer and an id.
fn is_decided_once(cli: &Cli, command: impl Fn() -> Command) {
    let redeem = |campaign: &str, customer: &str, id: &str| -> (Option<i32>, Value) {
        let mut command = command();
        command.args([campaign, customer, id]).env("TOLLGATE_NAMESPACE", &cli.namespace);
        let url = cli.url.replace("unix://", &format!("unix://enqueuer:{PASSWORD}@"));
        let ran = Ran::of(command.env("REDIS_URL", url).output().unwrap());
        assert!(!ran.stdout.is_empty(), "{ran:?}");
        (ran.code, ran.json())
    };
    let timed = uuid::Uuid::now_v7().to_string();
    for (campaign, id) in [("summer", "order-17"), ("кампания", timed.as_str())] {
        let (code, first) = redeem(campaign, "c1", id);
        assert_eq!(code, Some(0), "{first}");
        assert_eq!((&first["class"], &first["code"]), (&json!("applied"), &json!("redeemed")), "{first}");
        // The same again is the same job: the first answer, with the line of the journal that it had.
        assert_eq!(redeem(campaign, "c1", id), (Some(0), first));
        // And what the command line says of it.
        let looked_up = cli.run(&["lookup", id, "--json"]);
        looked_up.exits(0);
        assert!(looked_up.stdout.contains("redeemed"), "{looked_up:?}");
    }
    let (code, refused) = redeem("summer", "c1", "order-18");
    assert_eq!((code, &refused["class"]), (Some(1), &json!("refused")), "{refused}");
    assert_eq!(refused["code"], json!("customer_limit_reached"));
    let (code, dead) = redeem("nosuch", "c1", "order-19");
    assert_eq!((code, &dead["class"]), (Some(1), &json!("dead")), "{dead}");
    assert_eq!(dead["code"], json!("campaign_not_found"));

    // A Redis that is not there is no refusal.
    let mut unreachable = command();
    unreachable.args(["summer", "c2", "order-20"]).env("REDIS_URL", "redis://127.0.0.1:1");
    let ran = Ran::of(unreachable.output().unwrap());
    assert!(ran.complains(4).contains("the same command again is safe"), "{ran:?}");

    let issued = cli.run(&["campaign", "show", "summer", "--json"]).json();
    assert_eq!(issued["issued"], json!(1), "{issued}");
    cli.run(&["audit"]).exits(0);
}

#[test]
fn python_sends_waits_and_locks_nothing() {
    let Some(packages) = installed("python", "requirements.txt") else { return };
    // Several partitions: which one, and its tag, the example finds out by itself.
    let (_redis, cli, _worker) = fleet("3");
    is_decided_once(&cli, || {
        let mut command = Command::new("python3");
        command.arg(root().join("examples/python/redeem.py"));
        command.env("PYTHONPATH", &packages).env("PYTHONDONTWRITEBYTECODE", "1");
        command
    });
}

#[test]
fn typescript_sends_waits_and_locks_nothing() {
    let Some(packages) = installed("typescript", "package.json") else { return };
    let source = root().join("examples/typescript");
    for name in ["tollgate.ts", "redeem.ts", "tsconfig.json"] {
        std::fs::copy(source.join(name), packages.join(name)).unwrap();
    }
    let mut compiler = Command::new("node");
    compiler.arg("node_modules/typescript/bin/tsc").current_dir(&packages);
    Ran::of(compiler.output().unwrap()).exits(0);

    let (_redis, cli, _worker) = fleet("4");
    is_decided_once(&cli, || {
        let mut command = Command::new("node");
        command.arg(packages.join("build/redeem.js"));
        command.env("TOLLGATE_LOOKUP", root().join("docs/lookup.lua"));
        command
    });
}
