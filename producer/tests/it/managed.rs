//! A Redis that somebody else runs: no CONFIG, no ACL, little of INFO, no append-only file, or a command less than we
//! need. What works without, works; what does not, says by name what is missing.

use std::io::Read;
use std::process::Stdio;

use tollgate::connect::Safety;
use tollgate::embedded::Temporary;
use tollgate::ids::{CampaignId, CustomerId, JobId, Namespace};
use tollgate::preflight::Accepted;
use tollgate::quantity::Quantity;

use crate::harness::{Cli, Ran, Running, until_so};

/// What services like to keep for themselves.
const WITHHELD: [&str; 8] =
    ["CONFIG", "ACL", "DEBUG", "BGREWRITEAOF", "BGSAVE", "SAVE", "SHUTDOWN", "REPLICAOF"];

/// A server without these commands.
fn without(commands: &[&str], more: &[&str]) -> Temporary {
    let renamed = commands.iter().flat_map(|name| ["--rename-command", name, ""]);
    Temporary::start(&renamed.chain(more.iter().copied()).collect::<Vec<_>>()).unwrap()
}

/// A namespace of one there, whose operator says this by the environment.
struct Managed {
    _redis: Temporary,
    cli: Cli,
    variables: Vec<(&'static str, &'static str)>,
}

impl Managed {
    fn on(redis: Temporary, variables: &[(&'static str, &'static str)]) -> Self {
        Self { cli: Cli::on(&redis), _redis: redis, variables: variables.to_vec() }
    }

    fn run(&self, args: &[&str]) -> Ran {
        Ran::of(self.cli.command(args).envs(self.variables.iter().copied()).output().unwrap())
    }

    fn worker(&self) -> Running {
        Running::start(self.cli.worker_command(&[]).envs(self.variables.iter().copied()))
    }

    /// A campaign, an account, and a job that a worker settles.
    fn work(&self) {
        self.run(&["init"]).exits(0);
        self.run(&["campaign", "create", "c", "--limit", "100"]).exits(0);
        self.run(&["account", "open", "a", "--balance", "1.00"]).exits(0);
        let _worker = self.worker();
        self.run(&["redeem", "--campaign", "c", "--customer", "somebody", "--wait"]).exits(0);
    }
}

/// Every command that only reads.
const READS: [&[&str]; 19] = [
    &["stats"],
    &["audit"],
    &["lookup", "no-such-id"],
    &["campaign", "ls"],
    &["campaign", "show", "c"],
    &["campaign", "holders", "c"],
    &["account", "ls"],
    &["account", "show", "a"],
    &["account", "statement", "a"],
    &["inventory", "ls"],
    &["case", "ls"],
    &["queue", "ls"],
    &["worker", "ls"],
    &["dead", "ls"],
    &["job", "waiting"],
    &["job", "scheduled"],
    &["job", "history", "no-such-id"],
    &["payout", "ls"],
    &["journal", "export"],
];

#[test]
fn what_a_service_keeps_for_itself_is_not_needed() {
    let managed = Managed::on(without(&WITHHELD, &[]), &[]);
    managed.work();
    for read in READS {
        let ran = managed.run(read);
        assert!(ran.code.is_some_and(|code| [0, 4].contains(&code)), "{read:?}: {ran:#?}");
        assert!(!ran.stderr.contains("unknown command"), "{read:?}: {ran:#?}");
    }
}

#[test]
fn what_cannot_be_asked_is_said_once_and_the_rest_works() {
    let user = ["--user", "default", "on", "nopass", "~*", "&*", "+@all", "-info"];
    let managed = Managed::on(without(&WITHHELD, &user), &[]);
    managed.work();
    for read in READS {
        let ran = managed.run(read);
        assert!(ran.code.is_some_and(|code| [0, 4].contains(&code)), "{read:?}: {ran:#?}");
        assert_eq!(
            ran.stderr.matches("unchecked: this user may not ask for").count(),
            1,
            "{read:?}: {ran:#?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_append_only_file_is_accepted_by_its_name_and_every_audit_shows_it() {
    let no_aof = || without(&WITHHELD, &["--appendonly", "no"]);
    let refused = Managed::on(no_aof(), &[]);
    let said = refused.run(&["init"]).complains(3).to_owned();
    assert!(said.contains("aof_off") && said.contains("no-aof"), "{said}");
    refused.run(&["init", "--accept", "no-aof"]).exits(0);
    let wrong = refused.run(&["init", "--accept", "all"]).complains(2).to_owned();
    assert!(wrong.contains("allowed: no-aof"), "{wrong}");

    let managed = Managed::on(no_aof(), &[("TOLLGATE_ACCEPT", "no-aof")]);
    managed.work();
    let audit = managed.run(&["audit", "--json"]);
    audit.exits(0);
    let accepted = audit.json()["accepted"][0].as_str().unwrap().to_owned();
    assert!(accepted.contains("append-only file is off, which was accepted (no-aof)"), "{accepted}");
    assert!(managed.run(&["audit"]).exits(0).contains(&format!("\naccepted: {accepted}")));

    // A service that decides at once, without a worker.
    let client = tollgate::Builder::default().url(&managed.cli.url);
    let client = client.namespace(Namespace::parse(managed.cli.namespace.as_str()).unwrap());
    assert!(client.clone().connect().await.is_err());
    let client = client.safety(Safety::Accept(Accepted::NoAof)).connect().await.unwrap();
    let campaign = CampaignId::parse("c").unwrap();
    let customer = CustomerId::parse("somebody").unwrap();
    client.redeem(&JobId::fresh(), campaign, customer, Quantity::ONE).await.unwrap();

    // Nothing else was accepted.
    let evicts = without(&["CONFIG"], &["--appendonly", "no", "--maxmemory-policy", "allkeys-lru"]);
    let evicts = Managed::on(evicts, &[("TOLLGATE_ACCEPT", "no-aof")]);
    let said = evicts.run(&["init"]).complains(3).to_owned();
    assert!(said.contains("evicts_keys"), "{said}");
}

#[test]
fn a_command_that_is_missing_is_named() {
    for command in ["MULTI", "EVALSHA", "EVAL", "XREADGROUP", "XADD"] {
        let managed = Managed::on(without(&[command], &[]), &[]);
        let mut worker = Running::start(managed.cli.worker_command(&[]).stderr(Stdio::piped()));
        let mut code = None;
        until_so("the worker to end", || {
            code = worker.try_wait().unwrap();
            code.is_some()
        });
        let mut said = String::new();
        worker.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(code.unwrap().code(), Some(3), "{said}");
        assert!(said.contains("cannot do without") && said.contains(command), "{command}: {said}");
    }
    let managed = Managed::on(without(&["EVAL"], &[]), &[]);
    let said = managed.run(&["init"]).complains(3).to_owned();
    assert!(said.contains("command_missing") && said.contains("EVAL") && said.contains("hint"), "{said}");
}
