//! What an operator does and reads: lookup, stats, dead, queue, worker ls, journal export, receipts drop.

use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::process::Stdio;

use serde_json::{Value, json};
use tollgate::Tollgate;
use tollgate::amount::Amount;
use tollgate::code::Code;
use tollgate::codes_name::CodesName;
use tollgate::envelope::Envelope;
use tollgate::fetch::Take;
use tollgate::fingerprint::Fingerprint;
use tollgate::ids::{JobId, QueueName};
use tollgate::job::Job;
use tollgate::keys::Keys;
use tollgate::kinds::{AccountOpen, CampaignCreate, JobRequest, Payout, Redeem, Request, Settle, Withdraw};
use tollgate::quantity::Limit;
use tollgate::scripts::beat::beat;
use tollgate::scripts::park::{Destination, Parked, Parking, park};
use tollgate::scripts::queue::{Apply, repair};
use tollgate::scripts::settle::{self, Item, Source};
use tollgate::workers::Description;

use crate::harness::{Cli, Ran};

impl Cli {
    /// A command of redis-cli on the shared server; its output without the last line end.
    pub(crate) fn redis(&self, args: &[&str]) -> String {
        self.redis_bytes(&args.iter().map(OsStr::new).collect::<Vec<_>>())
    }

    fn redis_bytes(&self, args: &[&OsStr]) -> String {
        let socket = self.url.strip_prefix("unix://").unwrap();
        let output =
            std::process::Command::new("redis-cli").args(["-s", socket]).args(args).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    pub(crate) fn keys(&self, tollgate: &Tollgate) -> Keys {
        tollgate.keys(tollgate.partitions().get(0).unwrap()).clone()
    }

    /// Enqueues `envelope` and moves it to dead as `id` for `reason`, as a worker named `w1` does.
    pub(crate) async fn bury(&self, id: &JobId, envelope: &[u8], reason: Code) {
        let tollgate = self.tollgate().await;
        let keys = self.keys(&tollgate);
        let mut link = tollgate.server().link().await.unwrap();
        let queue = QueueName::default();
        let stream = keys.queue(&queue);
        let [add, any, field] = ["XADD", "*", "job"].map(OsStr::new);
        let entry = self.redis_bytes(&[add, OsStr::new(&stream), any, field, OsStr::from_bytes(envelope)]);
        let taken = Take::new(&keys, &queue, "w1", 1).run(&mut link).await.unwrap().unwrap();
        let parking = Parking {
            entry: &entry,
            id,
            fingerprint: Envelope::decode_job(envelope)
                .map_or_else(|_| Fingerprint::of_poison(envelope), |job| Fingerprint::of(&job.request)),
            attempts: 2,
            envelope,
            destination: Destination::Dead(reason),
        };
        let source = Source { row: &taken.row, left: &[] };
        let parked = park(&mut link, &keys, &queue, source, &[parking]).await.unwrap();
        assert_eq!(parked, [Parked::Moved]);
    }
}

pub(crate) fn id(text: &str) -> JobId {
    JobId::parse(text).unwrap()
}

pub(crate) fn redeem(campaign: &str, customer: &str) -> JobRequest {
    Redeem {
        campaign: campaign.parse().unwrap(),
        customer: customer.parse().unwrap(),
        quantity: tollgate::quantity::Quantity::ONE,
    }
    .into()
}

/// A namespace with `partitions` and nothing in it.
pub(crate) fn fresh(partitions: &str) -> Cli {
    let cli = Cli::empty();
    cli.run(&["init", "--partitions", partitions]).exits(0);
    cli
}

fn open(account: &str, balance: u64) -> Request {
    AccountOpen {
        account: account.parse().unwrap(),
        balance: Amount::from_minor(balance).unwrap(),
        currency: "USD".parse().unwrap(),
    }
    .into()
}

pub(crate) async fn settle_job(cli: &Cli, job: &str, request: &dyn Settle) -> Code {
    decide(cli, &id(job), request).await
}

pub(crate) async fn decide(cli: &Cli, job: &JobId, request: &dyn Settle) -> Code {
    let tollgate = cli.tollgate().await;
    let mut link = tollgate.server().link().await.unwrap();
    tollgate.settle_one(&mut link, job, request).await.unwrap().direct_code()
}

pub(crate) async fn open_account(cli: &Cli, account: &str, balance: u64) {
    let account = account.parse().unwrap();
    let job = JobId::create_account(&account);
    let balance = Amount::from_minor(balance).unwrap();
    let request = AccountOpen { account, balance, currency: "USD".parse().unwrap() };
    assert_eq!(decide(cli, &job, &request).await, Code::AccountOpened);
}

pub(crate) async fn create_campaign(cli: &Cli, campaign: &str, limit: u64, codes: Option<CodesName>) {
    let campaign = campaign.parse().unwrap();
    let job = JobId::create_campaign(&campaign);
    let limit = Limit::new(limit).unwrap();
    let terms =
        CampaignCreate { campaign, limit, per_customer: None, opens_at: None, closes_at: None, codes };
    assert_eq!(decide(cli, &job, &terms).await, Code::CampaignCreated);
}

/// A worker as its beats describe it.
pub(crate) fn a_worker() -> Description {
    Description {
        host: "box".to_owned(),
        pid: 42,
        boot: "b".to_owned(),
        queues: vec!["default".to_owned()],
        every_queue: false,
        concurrency: 2,
        started_at_ms: 1,
        version: "0.1.0".to_owned(),
        fetching: true,
    }
}

pub(crate) fn payout(account: &str, minor: u64, currency: &str) -> Request {
    Payout {
        account: account.parse().unwrap(),
        amount: Amount::from_minor(minor).unwrap(),
        currency: currency.parse().unwrap(),
        destination: "iban-1".parse().unwrap(),
    }
    .into()
}

fn lines(ran: &str) -> Vec<Value> {
    ran.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn lookup_answers_in_the_order_asked_and_the_worst_decides_the_exit() {
    let cli = fresh("3");
    open_account(&cli, "a1", 1000).await;
    let withdraw = |amount| Withdraw {
        account: "a1".parse().unwrap(),
        amount: Amount::from_minor(amount).unwrap(),
        currency: "USD".parse().unwrap(),
    };
    assert_eq!(settle_job(&cli, "w-1", &withdraw(400)).await, Code::Withdrawn);
    assert_eq!(settle_job(&cli, "w-2", &withdraw(700)).await, Code::InsufficientFunds);
    assert_eq!(settle_job(&cli, "r-1", &withdraw(800)).await, Code::InsufficientFunds);

    let asked = cli.run(&["lookup", "w-2", "never", "r-1", "w-1", "create/account/a1", "--json"]);
    let found = lines(asked.exits(4));
    let told: Vec<_> =
        found.iter().map(|line| (line["id"].as_str().unwrap(), line["code"].as_str())).collect();
    assert_eq!(
        told,
        [
            ("w-2", Some("insufficient_funds")),
            ("never", None),
            ("r-1", Some("insufficient_funds")),
            ("w-1", Some("withdrawn")),
            ("create/account/a1", Some("account_opened")),
        ]
    );
    assert_eq!(
        found[1],
        json!({"id": "never", "partition": null, "class": "not_decided", "code": null, "seq": null})
    );
    assert_eq!(found[3]["class"], "applied");
    assert!(found.iter().all(|line| line.get("coupon").is_none()));

    let partition = found[3]["partition"].as_u64().unwrap();
    assert_eq!(found[0]["partition"], partition, "one account, one partition");
    cli.run(&["lookup", "w-1"]).exits(0);
    let table = cli.run(&["lookup", "w-1", "w-2"]);
    assert!(
        table.exits(1).starts_with("id   partition  class    code                seq  coupon\n"),
        "{table:?}"
    );
    cli.run(&["lookup", "a\tb"]).complains(2);
    cli.run(&["lookup"]).complains(2);
}

#[tokio::test]
async fn lookup_tells_the_coupon_that_a_redemption_owns() {
    let cli = fresh("1");
    let tollgate = cli.tollgate().await;
    let codes = CodesName::parse(&"ab".repeat(32)).unwrap();
    cli.redis(&["HSET", &cli.keys(&tollgate).codes(&codes), "1", "ALPHA", "2", "BRAVO"]);
    create_campaign(&cli, "summer", 2, Some(codes)).await;
    for customer in ["c1", "c2", "c3"] {
        settle_job(&cli, &format!("r-{customer}"), &redeem("summer", customer)).await;
    }
    let asked = cli.run(&["lookup", "r-c2", "r-c1", "r-c3", "create/campaign/summer", "--json"]);
    let found = lines(asked.exits(1));
    let coupons: Vec<_> = found.iter().map(|line| line.get("coupon").and_then(Value::as_str)).collect();
    assert_eq!(coupons, [Some("BRAVO"), Some("ALPHA"), None, None]);
}

#[tokio::test]
async fn stats_add_up_over_queues_and_partitions() {
    let cli = fresh("2");
    let tollgate = cli.tollgate().await;
    let mut link = tollgate.server().link().await.unwrap();
    let jobs: Vec<Job> = (0..40)
        .map(|n| Job { id: id(&format!("j{n}")), at: None, request: redeem(&format!("camp-{n}"), "c1") })
        .collect();
    for result in tollgate.enqueue(&mut link, &QueueName::default(), &jobs).await.unwrap() {
        result.unwrap();
    }
    assert_eq!(settle_job(&cli, "x1", &open("a1", 1)).await, Code::AccountOpened);
    assert_eq!(settle_job(&cli, "x1", &open("a1", 2)).await, Code::IdMismatch);
    cli.bury(&id("poisoned"), b"{\"v\":9}", Code::UnsupportedVersion).await;

    let stats = cli.run(&["stats", "--json"]);
    stats.exits(0);
    let stats = stats.json();
    let number = |value: &Value, name: &str| value[name].as_u64().unwrap();
    let in_hand = number(&stats, "in_flight");
    assert_eq!(number(&stats, "waiting") + in_hand, 40);
    assert_eq!(
        ["scheduled", "dead", "decided", "replayed", "mismatched", "expired"]
            .map(|name| number(&stats, name)),
        [0, 1, 1, 0, 1, 0]
    );
    assert_eq!(stats["conservation"], json!({"accepted": 41, "settled": 0, "holds": true}));
    let oldest = number(&stats, "oldest_age_ms");
    assert!(oldest < 60_000, "{oldest}");
    for part in ["queues", "partitions"] {
        let parts = stats[part].as_array().unwrap();
        let sum: u64 = parts.iter().map(|part| number(part, "waiting")).sum();
        assert_eq!(sum, number(&stats, "waiting"), "{part}");
        let most = parts.iter().filter_map(|part| part["oldest_age_ms"].as_u64()).max();
        assert_eq!(most, Some(oldest), "{part}");
    }
    assert_eq!(stats["partitions"].as_array().unwrap().len(), 2);

    let human = cli.run(&["stats"]);
    assert!(human.exits(0).contains("41 accepted = 0 settled"), "{human:?}");
    assert!(human.stdout.contains(": holds\n"), "{human:?}");

    // The law is computed, not printed.
    let keys = cli.keys(&tollgate);
    cli.redis(&["HINCRBY", &keys.head(), "acked", "1"]);
    assert_eq!(cli.run(&["stats", "--json"]).json()["conservation"]["holds"], false);
}

#[tokio::test]
async fn a_damaged_or_missing_namespace_is_told_not_counted() {
    let cli = Cli::empty();
    assert!(cli.run(&["stats"]).complains(1).contains("is not initialised"));
    cli.run(&["init"]).exits(0);
    let tollgate = cli.tollgate().await;
    cli.redis(&["HSET", &cli.keys(&tollgate).head(), "seq", "many"]);
    assert!(cli.run(&["stats", "--json"]).complains(1).contains("the partition is damaged: head: seq"));
}

#[tokio::test]
async fn dead_jobs_are_listed_shown_retried_and_discarded() {
    let cli = fresh("2");
    cli.bury(&id("first"), b"{\"v\":1}", Code::MissingField).await;
    cli.bury(&id("second"), b"not json\t\x1b[31m", Code::MalformedJson).await;
    cli.bury(&id("third"), b"{}", Code::MissingField).await;

    let listed = cli.run(&["dead", "ls", "--json"]);
    listed.exits(0);
    let listed = listed.json();
    let ids = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&listed), ["first", "second", "third"]);
    assert_eq!(listed[1]["reason"], "malformed_json");
    assert_eq!((&listed[1]["attempts"], &listed[1]["queue"]), (&json!(2), &json!("default")));
    let some = cli.run(&["dead", "ls", "--limit", "2", "--json"]);
    assert_eq!(ids(&some.json()), ["first", "second"]);
    assert!(some.stderr.contains("2 shown; there are more"), "{some:?}");
    let reason = cli.run(&["dead", "ls", "--reason", "missing_field", "--limit", "5", "--json"]);
    assert_eq!(ids(&reason.json()), ["first", "third"]);
    assert!(cli.run(&["dead", "ls", "--reason", "tired"]).complains(2).contains("a code of docs/codes.md"));

    let shown = cli.run(&["dead", "show", "second", "--json"]).json();
    assert_eq!((&shown["envelope"], &shown["envelope_hex"]), (&json!("not json\t\x1b[31m"), &Value::Null));
    let human = cli.run(&["dead", "show", "second"]);
    assert!(human.exits(0).contains("envelope   not json\\t\\x1b[31m"), "{human:?}");
    assert!(cli.run(&["dead", "show", "nobody"]).complains(1).contains("is neither dead nor scheduled"));
    let looked_up = cli.run(&["lookup", "first", "--json"]);
    assert_eq!(lines(looked_up.exits(1))[0]["class"], "dead");

    let retried = cli.run(&["dead", "retry", "nobody", "second", "--json"]);
    assert_eq!(
        lines(retried.exits(1)),
        [json!({"id": "nobody", "result": "absent"}), json!({"id": "second", "result": "requeued"})]
    );
    assert_eq!(cli.run(&["dead", "show", "second", "--json"]).json()["state"], "queued");
    // Known and not dead any more: what was asked for is so.
    let again = cli.run(&["dead", "retry", "second", "--json"]);
    assert_eq!(lines(again.exits(0)), [json!({"id": "second", "result": "replayed"})]);
    assert_eq!(again.stderr, "");

    cli.run(&["dead", "discard", "--all"]).complains(2);
    cli.run(&["dead", "discard"]).complains(2);
    cli.run(&["dead", "retry", "first", "--all"]).complains(2);
    assert_eq!(
        cli.run(&["dead", "discard", "third", "--json"]).json(),
        json!({"id": "third", "result": "discarded"})
    );
    let all = cli.run(&["dead", "discard", "--all", "--yes", "--reason", "worker_lost", "--json"]);
    assert_eq!(all.json(), json!({"discarded": 0, "corrupt_state": 0}));
    let all = cli.run(&["dead", "retry", "--all", "--json"]);
    assert_eq!(all.json(), json!({"requeued": 1, "corrupt_state": 0}));

    let stats = cli.run(&["stats", "--json"]).json();
    let counts = ["dead", "discarded", "waiting"].map(|name| stats[name].as_u64().unwrap());
    assert_eq!(counts, [0, 1, 2]);
    assert_eq!(stats["conservation"], json!({"accepted": 3, "settled": 0, "holds": true}));
}

#[tokio::test]
async fn retrying_all_leaves_alone_what_is_damaged_and_reads_past_it() {
    let cli = fresh("1");
    for n in 0..5 {
        cli.bury(&id(&format!("d{n}")), b"{}", Code::MissingField).await;
    }
    let tollgate = cli.tollgate().await;
    let keys = cli.keys(&tollgate);
    cli.redis(&["HSET", &keys.parked(), "d1", "rubbish"]);
    let all = cli.run(&["dead", "retry", "--all", "--json"]);
    all.exits(1);
    assert_eq!(all.json(), json!({"requeued": 4, "corrupt_state": 1}));
    let left = cli.run(&["dead", "ls", "--json"]).json();
    assert_eq!(
        (&left[0]["id"], &left[0]["reason"], left.as_array().unwrap().len()),
        (&json!("d1"), &Value::Null, 1)
    );
    assert!(cli.run(&["dead", "show", "d1"]).complains(5).contains("rubbish"));
}

#[tokio::test]
async fn queues_are_listed_paused_and_resumed() {
    let cli = fresh("2");
    assert_eq!(
        cli.run(&["queue", "pause", "default", "--json"]).json(),
        json!({"queue": "default", "status": "paused", "in_flight": 0})
    );
    let listed = cli.run(&["queue", "ls", "--json"]).json();
    assert_eq!(
        listed,
        json!([{"queue": "default", "status": "paused", "problem": null, "waiting": 0, "in_flight": 0, "oldest_age_ms": null, "consumers": 0}])
    );
    cli.run(&["queue", "resume", "default"]).exits(0);
    assert_eq!(cli.run(&["queue", "ls", "--json"]).json()[0]["status"], "active");

    // One partition only: someone's pause was cut off.
    let tollgate = cli.tollgate().await;
    cli.redis(&["HSET", &cli.keys(&tollgate).queues(), "default", "paused"]);
    assert_eq!(cli.run(&["queue", "ls", "--json"]).json()[0]["status"], "mixed");

    assert!(
        cli.run(&["queue", "pause", "defualt"])
            .complains(1)
            .contains("did you mean default; there are: default")
    );
    cli.redis(&["XADD", &cli.keys(&tollgate).queue(&"bulk".parse().unwrap()), "*", "job", "{}"]);
    cli.run(&["queue", "pause", "bulk"]).exits(0);
    assert_eq!(cli.run(&["stats", "--json"]).json()["waiting"], 1);
    cli.run(&["queue", "pause", "a,b"]).complains(2);
}

#[test]
fn from_the_answer_of_a_pause_on_nothing_is_taken() {
    let cli = Cli::new();
    cli.run(&["campaign", "create", "c", "--limit", "100000"]).exits(0);
    let _workers = [cli.worker(&["-c", "2"]), cli.worker(&["-c", "2"])];
    let stats = || cli.run(&["--json", "stats"]).json();
    let job = |n: u32, round: u32| {
        format!("{{\"kind\":\"redeem\",\"id\":\"r{round}-{n}\",\"campaign\":\"c\",\"customer\":\"u\"}}\n")
    };
    for round in 0..5 {
        let jobs: String = (0..2_000).map(|n| job(n, round)).collect();
        cli.run_with(&["enqueue"], jobs.as_bytes()).exits(0);
        let paused = cli.run(&["--json", "queue", "pause", "default"]);
        paused.exits(0);
        assert_eq!(paused.json()["in_flight"], 0);
        // Whatever the workers know of the pause by now: each asks for more, and gets nothing.
        let before = stats();
        let more: String = (2_000..2_100).map(|n| job(n, round)).collect();
        cli.run_with(&["enqueue"], more.as_bytes()).exits(0);
        std::thread::sleep(std::time::Duration::from_millis(300));
        let after = stats();
        assert_eq!(after["in_flight"], 0);
        assert_eq!(after["decided"], before["decided"], "round {round}");
        assert_eq!(after["waiting"].as_u64(), before["waiting"].as_u64().map(|waiting| waiting + 100));
        cli.run(&["queue", "resume", "default"]).exits(0);
        crate::harness::until_so("all to be settled", || stats()["waiting"] == 0);
    }
}

#[tokio::test]
async fn a_pause_says_what_is_in_flight_still() {
    let cli = fresh("1");
    let tollgate = cli.tollgate().await;
    let keys = cli.keys(&tollgate);
    cli.redis(&["XADD", &keys.queue(&QueueName::default()), "*", "job", "{}"]);
    let mut link = tollgate.server().link().await.unwrap();
    Take::new(&keys, &QueueName::default(), "w-killed", 9).run(&mut link).await.unwrap().unwrap();
    let waited = cli.run(&["queue", "pause", "default", "--wait", "300ms"]);
    assert_eq!(
        (waited.code, waited.stdout.as_str()),
        (Some(4), "default: paused; 1 job is still in flight\n")
    );
    assert!(waited.stderr.contains("waiting up to 300 ms for 1 job in flight"), "{waited:?}");
    let at_once = cli.run(&["--json", "queue", "pause", "default", "--no-wait"]);
    at_once.exits(0);
    assert_eq!(at_once.json(), json!({"queue": "default", "status": "paused", "in_flight": 1}));
    cli.run(&["queue", "pause", "default", "--no-wait", "--wait", "1s"]).complains(2);
}

#[tokio::test]
async fn a_queue_that_was_deleted_is_named_and_hides_no_history() {
    let cli = fresh("1");
    settle_job(&cli, "r1", &open("a1", 1)).await;
    let (tollgate, queue) = (cli.tollgate().await, QueueName::default());
    let keys = cli.keys(&tollgate);
    cli.redis(&["DEL", &keys.queue(&queue)]);
    assert_eq!(lines(cli.run(&["journal", "export"]).exits(0)).len(), 1);
    // To make it again in silence would hide the loss.
    let resumed = cli.run(&["queue", "resume", "default"]);
    let told = resumed.complains(1);
    assert!(told.contains("its stream is gone") && told.contains("repair queue default"), "{told}");
    cli.run(&["queue", "pause", "default"]).exits(0);
    cli.run(&["stats"]).exits(0);
    assert!(cli.run(&["audit"]).exits(5).contains("its stream is gone"));
    let mut link = tollgate.server().link().await.unwrap();
    repair(&mut link, &keys, &queue, Apply::Yes).await.unwrap();
    cli.run(&["queue", "resume", "default"]).exits(0);
    cli.run(&["audit"]).exits(0);
}

#[tokio::test]
async fn workers_are_told_by_their_beats_and_what_they_hold() {
    let cli = fresh("1");
    let tollgate = cli.tollgate().await;
    let keys = cli.keys(&tollgate);
    let mut link = tollgate.server().link().await.unwrap();
    let description = a_worker();
    beat(&mut link, &keys, "w-live", &description.encode()).await.unwrap();
    let quiet = Description { fetching: false, ..description.clone() };
    beat(&mut link, &keys, "w-quiet", &quiet.encode()).await.unwrap();
    cli.redis(&["HSET", &keys.workers(), "w-old", &format!("1000\t{}", description.encode())]);
    let stream = keys.queue(&QueueName::default());
    cli.redis(&["XADD", &stream, "*", "job", "{}"]);
    Take::new(&keys, &QueueName::default(), "w-killed", 9).run(&mut link).await.unwrap().unwrap();

    let listed = cli.run(&["worker", "ls", "--json"]).json();
    let told: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            (
                row["worker"].as_str().unwrap(),
                row["state"].as_str().unwrap(),
                row["in_flight"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [("w-killed", "silent", 1), ("w-live", "alive", 0), ("w-old", "silent", 0), ("w-quiet", "quiet", 0)]
    );
    assert_eq!((&listed[1]["host"], &listed[1]["pid"]), (&json!("box"), &json!(42)));
    assert_eq!(listed[0]["beat_age_ms"], Value::Null);
    cli.run(&["worker", "ls"]).exits(0);
}

#[tokio::test]
async fn the_journal_is_exported_in_order_and_damage_is_named() {
    let cli = fresh("2");
    open_account(&cli, "a1", 1000).await;
    create_campaign(&cli, "summer", 1, None).await;
    for n in 0..30 {
        settle_job(&cli, &format!("r{n}"), &open(&format!("camp-{n}"), 1)).await;
    }
    settle_job(&cli, "last", &redeem("summer", "c9")).await;

    let exported = cli.run(&["journal", "export"]);
    let all = lines(exported.exits(0));
    assert_eq!(all.len(), 33);
    let places: Vec<_> = all.iter().map(|line| (line["partition"].as_u64(), line["seq"].as_u64())).collect();
    assert!(places.is_sorted(), "{places:?}");
    let last = all.iter().find(|line| line["id"] == "last").unwrap();
    let at_ms = last["at_ms"].as_u64().unwrap();
    let (partition, seq) = (last["partition"].as_u64().unwrap(), last["seq"].as_u64().unwrap());
    assert_eq!(
        *last,
        json!({"partition": partition, "seq": seq, "at_ms": at_ms, "id": "last", "kind": "redeem", "class": "applied",
            "code": "redeemed", "campaign": "summer", "customer": "c9", "quantity": 1, "issued": 1})
    );
    let opened = all.iter().find(|line| line["account"] == "a1").unwrap();
    assert_eq!((&opened["available"], &opened["currency"]), (&json!(1000), &json!("USD")));

    let part = partition.to_string();
    let some = cli.run(&["journal", "export", "--partition", &part, "--from", &seq.to_string()]);
    assert_eq!(lines(some.exits(0)), std::slice::from_ref(last));
    assert!(cli.run(&["journal", "export", "--partition", "2"]).complains(2).contains("from 0 to 1"));

    let tollgate = cli.tollgate().await;
    let keys = cli.keys(&tollgate);
    cli.redis(&["XDEL", &keys.journal(), "3-0"]);
    let damaged = cli.run(&["journal", "export"]);
    assert!(
        damaged.complains(5).contains("partition 0: journal entry 4-0: begins at line 4, after line 2"),
        "{damaged:?}"
    );
    assert_eq!(lines(&damaged.stdout).len(), 2);
}

#[tokio::test]
async fn a_reader_that_goes_away_ends_an_export_quietly() {
    let cli = fresh("1");
    let tollgate = cli.tollgate().await;
    let mut link = tollgate.server().link().await.unwrap();
    // More than a pipe holds.
    let request = open(&"y".repeat(128), 1);
    let ids: Vec<JobId> = (0..1000).map(|n| id(&format!("{n}-{}", "x".repeat(120)))).collect();
    let item = |id| Item { entry: None, id, request: &request, fingerprint: Fingerprint::of(&request) };
    let items: Vec<Item<'_>> = ids.iter().map(item).collect();
    settle::settle(&mut link, &cli.keys(&tollgate), &QueueName::default(), &items).await.unwrap();

    let mut child = cli.command(&["journal", "export"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 10];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let ran = Ran::of(child.wait_with_output().unwrap());
    assert_eq!(ran.complains(0), "");
}

#[tokio::test]
async fn receipts_are_dropped_by_the_rule_and_only_by_it() {
    let cli = fresh("2");
    let nothing = cli.run(&["receipts", "drop", "--yes", "--json"]).json();
    assert_eq!(nothing.as_array().unwrap().len(), 2);
    assert_eq!((&nothing[0]["partition"], &nothing[0]["buckets"]), (&json!(0), &json!(0)));

    // An id of three hours ago, decided; then the retention is one hour.
    let tollgate = cli.tollgate().await;
    let old = tollgate::instant::Instant::now().ms() - 3 * tollgate::ids::HOUR_MS;
    let old = format!("{:08x}-{:04x}-7000-8000-000000000000", old >> 16, old & 0xffff);
    assert_eq!(settle_job(&cli, &old, &open("a1", 1)).await, Code::AccountOpened);
    cli.run(&["init", "--retention", "1h"]).exits(0);

    // A job of before holds the floor: waiting alone never expires a job.
    let found = cli.run(&["lookup", &old, "--json"]);
    let partition = lines(found.exits(0))[0]["partition"].as_u64().unwrap();
    let keys = tollgate.keys(tollgate.partitions().get(partition as u16).unwrap()).clone();
    let stream = keys.queue(&QueueName::default());
    let long_ago = tollgate::instant::Instant::now().ms() - 6 * tollgate::ids::HOUR_MS;
    cli.redis(&["XADD", &stream, &format!("{long_ago}-0"), "job", "{}"]);
    let held = cli.run(&["receipts", "drop", "--yes", "--json"]).json();
    assert_eq!(held[partition as usize]["buckets"], 0);
    cli.run(&["lookup", &old]).exits(0);

    let mut link = tollgate.server().link().await.unwrap();
    let (keys, queue) =
        (tollgate.keys(tollgate.partitions().get(partition as u16).unwrap()), QueueName::default());
    let taken = Take::new(keys, &queue, "w", 9).run(&mut link).await.unwrap().unwrap();
    let (entry, poison) = (&taken.entries[0].entry, JobId::poison(&queue, &taken.entries[0].entry));
    let parking = Parking {
        entry,
        id: &poison,
        fingerprint: Fingerprint::of_poison(b"{}"),
        attempts: 0,
        envelope: b"{}",
        destination: Destination::Dead(Code::MissingField),
    };
    let source = Source { row: &taken.row, left: &[] };
    park(&mut link, keys, &queue, source, &[parking]).await.unwrap();
    let dropped = cli.run(&["receipts", "drop", "--yes", "--json"]).json();
    let row = &dropped[partition as usize];
    assert_eq!(row["buckets"], 1);
    assert!(row["floor_at_ms"].as_u64() > row["floor_before_at_ms"].as_u64());
    let gone = cli.run(&["lookup", &old, "--json"]);
    assert_eq!(lines(gone.exits(1))[0]["class"], "expired");
    assert_eq!(settle_job(&cli, &old, &redeem("none", "c1")).await, Code::IdExpired);
}

#[test]
fn watch_refuses_to_draw_where_nobody_looks() {
    let cli = fresh("1");
    for args in [&["watch"][..], &["watch", "--json"]] {
        assert!(cli.run(args).complains(2).contains("hint: `stats --json`"));
    }
    cli.run(&["watch", "--interval", "soon"]).complains(2);
}
