//! The audit: clean where all is well, red with the right name for every fault that is planted, and never red for
//! what is only in motion.

use std::time::Duration;

use tollgate::Tollgate;
use tollgate::amount::Amount;
use tollgate::audit::{Check, Position, Report, Verdict, audit};
use tollgate::code::Code;
use tollgate::codes::Codes;
use tollgate::fingerprint::Fingerprint;
use tollgate::ids::{AccountId, CampaignId, CustomerId, JobId, Namespace, QueueName};
use tollgate::instant::Instant;
use tollgate::job::{CampaignTerms, Job, Limit, Quantity, Request, Window};
use tollgate::link::Link;
use tollgate::partition::Partitions;
use tollgate::scripts::park::{Destination, Parked, Parking, park};
use tollgate::scripts::payout::{self, Begin, Retry, Step};
use tollgate::scripts::settle::{Answer, Item, settle};

use crate::harness::{TestRedis, cmd};

fn id(text: &str) -> JobId {
    JobId::parse(text).unwrap()
}

fn redeem(campaign: &str, customer: &str, quantity: u64) -> Request {
    Request::Redeem {
        campaign: CampaignId::parse(campaign).unwrap(),
        customer: CustomerId::parse(customer).unwrap(),
        quantity: Quantity::new(quantity).unwrap(),
    }
}

fn withdraw(account: &str, amount: u64) -> Request {
    Request::Withdraw {
        account: AccountId::parse(account).unwrap(),
        amount: Amount::from_minor(amount).unwrap(),
        currency: "USD".parse().unwrap(),
    }
}

fn payout(account: &str, amount: u64) -> Request {
    Request::Payout {
        account: AccountId::parse(account).unwrap(),
        amount: Amount::from_minor(amount).unwrap(),
        currency: "USD".parse().unwrap(),
        destination: "iban-1".parse().unwrap(),
    }
}

fn deposit(account: &str, amount: u64) -> Request {
    Request::Deposit {
        account: AccountId::parse(account).unwrap(),
        amount: Amount::from_minor(amount).unwrap(),
        currency: "USD".parse().unwrap(),
    }
}

fn open(account: &str, balance: u64) -> Request {
    Request::AccountOpen {
        account: AccountId::parse(account).unwrap(),
        balance: Amount::from_minor(balance).unwrap(),
        currency: "USD".parse().unwrap(),
    }
}

fn campaign(name: &str, limit: u64, per_customer: Option<u64>) -> Request {
    Request::CampaignCreate(CampaignTerms {
        campaign: CampaignId::parse(name).unwrap(),
        limit: Limit::new(limit).unwrap(),
        per_customer: per_customer.and_then(Quantity::new),
        window: Window::default(),
        codes: None,
    })
}

fn set_limit(name: &str, limit: u64) -> Request {
    let (campaign, limit) = (CampaignId::parse(name).unwrap(), Limit::new(limit).unwrap());
    Request::CampaignSetLimit { campaign, limit, expected: None }
}

/// A namespace of one partition with a little of everything in it.
struct Town {
    tollgate: Tollgate,
    link: Link,
}

impl Town {
    async fn empty() -> Self {
        let namespace = Namespace::parse(TestRedis::ns()).unwrap();
        let (server, week) = (TestRedis::shared(), tollgate::RETENTION_DEFAULT);
        let tollgate = Tollgate::init(server, namespace, Partitions::ONE, week).await.unwrap();
        let link = tollgate.server().link().await.unwrap();
        Self { tollgate, link }
    }

    /// 29 lines; `j1` to `j12` are the jobs, `dead-1` and `later-1` are parked.
    async fn new() -> Self {
        let mut town = Self::empty().await;
        town.settle("create/campaign/summer", &campaign("summer", 5, Some(2))).await;
        town.settle("create/account/a1", &open("a1", 1000)).await;
        town.settle("create/account/a2", &open("a2", 500)).await;
        for (job, request) in [
            ("j1", redeem("summer", "c1", 1)),
            ("j2", redeem("summer", "c1", 1)),
            ("j3", redeem("summer", "c1", 1)),
            ("j4", redeem("summer", "c2", 2)),
            ("j5", redeem("summer", "c3", 2)),
            ("j6", withdraw("a1", 300)),
            ("j7", withdraw("a1", 701)),
            ("j8", deposit("a1", 50)),
            ("j9", withdraw("a2", 500)),
            ("j10", Request::AccountClose { account: AccountId::parse("a2").unwrap() }),
            ("j11", withdraw("nobody", 1)),
            ("j12", set_limit("summer", 6)),
        ] {
            town.settle(job, &request).await;
        }
        town.queue().await;
        town.codes().await;
        town.payouts().await;
        town
    }

    /// A campaign that hands out codes, one of them taken: 2 lines.
    async fn codes(&mut self) {
        let codes = Codes::read(&b"AAA\nBBB\nCCC\n"[..]).unwrap();
        let keys = self.keys().clone();
        codes.upload(&mut self.link, &keys).await.unwrap();
        let Request::CampaignCreate(terms) = campaign("coded", 3, None) else { unreachable!() };
        let terms = CampaignTerms { codes: Some(codes.name().clone()), ..terms };
        self.settle("create/campaign/coded", &Request::CampaignCreate(terms)).await;
        self.settle("coded-1", &redeem("coded", "c1", 1)).await;
    }

    /// Payouts of 100 each: `p1` held, `p2` paying, `p3` paid, `p4` refused, `p5` in review, `p6` voided: 15 lines.
    async fn payouts(&mut self) {
        self.settle("create/account/a4", &open("a4", 1000)).await;
        for name in ["p1", "p2", "p3", "p4", "p5", "p6"] {
            self.settle(name, &payout("a4", 100)).await;
        }
        let begin = |key| {
            Step::Begin(Begin {
                key,
                lease: Duration::from_secs(3600),
                retry: Retry::SameKey,
                key_window: Duration::from_secs(3600),
                backoff: Duration::ZERO,
            })
        };
        for name in ["p2", "p3", "p4", "p5"] {
            assert!(matches!(self.step(name, begin(name)).await, Answer::Decided { code: Code::Paying, .. }));
        }
        let (p4, p5) = (self.fence("p4").await, self.fence("p5").await);
        for (name, step, code) in [
            ("p3", Step::Paid { note: "ok" }, Code::Paid),
            ("p4", Step::Refused { fence: p4, note: "no" }, Code::PayoutRefused),
            ("p5", Step::Review { fence: p5, note: "odd" }, Code::NeedsReview),
            ("p6", Step::VoidByHand { note: "wrong" }, Code::PayoutVoided),
        ] {
            let answer = self.step(name, step).await;
            assert!(matches!(answer, Answer::Decided { code: decided, .. } if decided == code), "{answer:?}");
        }
    }

    async fn step(&mut self, job: &str, step: Step<'_>) -> Answer {
        let (keys, account) = (self.keys().clone(), AccountId::parse("a4").unwrap());
        payout::step(&mut self.link, &keys, &account, &id(job), &step).await.unwrap()
    }

    async fn fence(&mut self, job: &str) -> u64 {
        let key = self.keys().hold(&id(job));
        self.link.query(&cmd(&["HGET", &key, "fence"])).await.unwrap()
    }

    async fn settle(&mut self, job: &str, request: &Request) {
        let id = JobId::stored(job).unwrap();
        self.tollgate.settle_one(&mut self.link, &id, request).await.unwrap();
    }

    /// Five entries: two settled (one of them twice decided), one dead, one scheduled, one waiting.
    async fn queue(&mut self) {
        let queue = QueueName::default();
        let later = Instant::from_ms(Instant::now().ms() + 3_600_000).unwrap();
        let job = |name: &str, at, request| Job { id: id(name), at, request };
        let timed = JobId::fresh();
        let jobs = [
            Job { id: timed, at: None, request: withdraw("a1", 10) },
            job("j6", None, withdraw("a1", 300)),
            job("dead-1", None, redeem("summer", "c9", 1)),
            job("later-1", Some(later), redeem("summer", "c9", 1)),
        ];
        self.tollgate.enqueue(&mut self.link, &queue, &jobs).await.unwrap();
        let keys = self.keys().clone();
        let read =
            ["XREADGROUP", "GROUP", "workers", "w1", "COUNT", "4", "STREAMS", &keys.queue(&queue), ">"];
        let reply: Vec<(String, Vec<(String, Vec<(String, String)>)>)> =
            self.link.query(&cmd(&read)).await.unwrap();
        let entries: Vec<&str> = reply[0].1.iter().map(|(entry, _)| entry.as_str()).collect();
        let items: Vec<Item<'_>> = (0..2)
            .map(|i| Item {
                entry: Some(entries[i]),
                id: &jobs[i].id,
                request: &jobs[i].request,
                fingerprint: Fingerprint::of(&jobs[i].request),
            })
            .collect();
        settle(&mut self.link, &keys, &queue, &items).await.unwrap();
        for (i, destination) in
            [(2, Destination::Dead(Code::CorruptState)), (3, Destination::Scheduled(later))]
        {
            let envelope = jobs[i].encode();
            let parking = Parking {
                queue: &queue,
                entry: entries[i],
                consumer: "w1",
                id: &jobs[i].id,
                fingerprint: Fingerprint::of(&jobs[i].request),
                attempts: 0,
                envelope: envelope.as_bytes(),
                destination,
            };
            assert_eq!(park(&mut self.link, &keys, parking).await.unwrap(), Parked::Moved);
        }
        let waiting = job("waiting-1", None, redeem("summer", "c9", 1));
        self.tollgate.enqueue(&mut self.link, &queue, &[waiting]).await.unwrap();
    }

    fn keys(&self) -> &tollgate::keys::Keys {
        self.tollgate.keys(self.tollgate.partitions().get(0).unwrap())
    }

    /// Runs `words`, separated by blanks, a `$` standing for the partition's tag.
    async fn run(&mut self, words: &str) -> redis::Value {
        let tag = self.keys().head().replace("head", "");
        let words = words.replace('@', CODES_NAME);
        let words: Vec<String> = words
            .split(' ')
            .map(|word| match word.strip_prefix('$') {
                Some(name) => format!("{tag}{name}"),
                None => word.replace('~', " ").replace("\\n", "\n").replace("\\t", "\t"),
            })
            .collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.link.run(&cmd(&words)).await.unwrap()
    }

    async fn audit(&self) -> Report {
        self.expecting(&[]).await
    }

    async fn expecting(&self, expect: &[Position]) -> Report {
        audit(&self.tollgate, expect, &|_| {}).await.unwrap()
    }
}

#[track_caller]
fn assert_clean(report: &Report) {
    assert_eq!(report.verdict, Verdict::Pass, "{:#?}", report.violations);
}

#[tokio::test]
async fn a_sound_namespace_passes_and_says_what_was_looked_at() {
    let town = Town::new().await;
    let report = town.audit().await;
    assert_clean(&report);
    let checked = report.checked;
    assert_eq!((checked.partitions, checked.lines, checked.receipts), (1, 33, 25));
    assert_eq!((checked.campaigns, checked.accounts, checked.holds), (2, 3, 3));
    assert_eq!((checked.holders, checked.codes, checked.parked, checked.in_progress), (3, 3, 2, 0));
    assert_eq!((report.head.len(), report.head[0].seq, report.head[0].hash.len()), (1, 33, 40));
    assert_clean(&town.expecting(&report.head).await);
}

#[tokio::test]
async fn an_empty_namespace_passes() {
    let report = Town::empty().await.audit().await;
    assert_clean(&report);
    assert_eq!(report.head[0].to_string(), "0:0:");
}

/// SHA-256 of the three codes, each with a line end.
const CODES_NAME: &str = "6f38eb25f21a346a7b6c36d60ab55a52f90f7c50663e1cf456b720e92cbeb2b3";

/// What is planted, and what the audit must name: the guarantee and the resource.
const FAULTS: &[(&str, Check, &str)] = &[
    // Balances.
    ("HSET $account:a1 available 741", Check::G2, "account:a1"),
    ("HSET $account:a1 available 0740", Check::G2, "account:a1"),
    ("HSET $account:a1 available -1", Check::G2, "account:a1"),
    ("HDEL $account:a1 available", Check::G2, "account:a1"),
    ("HSET $account:a1 held 1", Check::G2, "account:a1"),
    ("HSET $account:a1 currency EUR", Check::G9, "account:a1"),
    ("HSET $account:a2 status open", Check::G9, "account:a2"),
    ("HSET $account:a1 seq 3", Check::G9, "account:a1"),
    ("HSET $account:a1 seq 15", Check::G9, "account:a1"),
    ("HSET $account:a1 seq 34", Check::G9, "account:a1"),
    ("HSET $account:a1 seq 9007199254740991", Check::G9, "account:a1"),
    ("HSET $account:a1 seq x", Check::G9, "account:a1"),
    ("DEL $account:a1", Check::G2, "account:a1"),
    ("SET $account:a1 740", Check::G2, "account:a1"),
    ("HSET $account:a3 available 5 held 0 currency USD status open seq 9", Check::G9, "account:a3"),
    // Campaigns.
    ("HSET $campaign:summer issued 3", Check::G1, "campaign:summer"),
    ("HSET $campaign:summer issued 5", Check::G1, "campaign:summer"),
    ("HDEL $campaign:summer issued", Check::G1, "campaign:summer"),
    ("HSET $campaign:summer limit 100", Check::G1, "campaign:summer"),
    ("HSET $campaign:summer per_customer 3", Check::G1, "campaign:summer"),
    ("HSET $campaign:summer opens_at_ms 1", Check::G9, "campaign:summer"),
    ("HSET $campaign:summer closes_at_ms 1", Check::G9, "campaign:summer"),
    ("HSET $campaign:summer status closed", Check::G9, "campaign:summer"),
    ("HSET $campaign:summer codes_count 1", Check::G9, "campaign:summer"),
    ("HDEL $campaign:summer seq", Check::G9, "campaign:summer"),
    ("DEL $campaign:summer", Check::G1, "campaign:summer"),
    ("LPUSH $campaign:winter x", Check::G9, "campaign:winter"),
    // Holders.
    ("HSET $holders:summer c1 1", Check::G1, "campaign:summer"),
    ("HSET $holders:summer c1 x", Check::G1, "campaign:summer"),
    ("HDEL $holders:summer c2", Check::G1, "campaign:summer"),
    ("HSET $holders:summer c7 1", Check::G1, "campaign:summer"),
    ("HSET $holders:summer c1 3", Check::G1, "campaign:summer"),
    ("HSET $holders:summer c1 1 c2 3", Check::G1, "campaign:summer"),
    ("DEL $holders:summer", Check::G1, "campaign:summer"),
    ("HSET $holders:winter c1 1", Check::G1, "campaign:winter"),
    // Receipts.
    ("HSET $receipts:kept j6 0123456789abcdef~withdrawn~9", Check::G5, "receipt:j6"),
    ("HSET $receipts:kept j11 junk", Check::G4, "receipt:j11"),
    ("HDEL $receipts:kept j3", Check::G4, "receipt:j3"),
    ("HSET $receipts:kept j99 0123456789abcdef~redeemed~4", Check::G4, "receipt:j99"),
    ("HSET $receipts:9999999 j99 0123456789abcdef~redeemed~4", Check::G4, "receipt:j99"),
    ("HSET $receipts:9999999 j99 0123456789abcdef~redeemed~99", Check::G4, "receipt:j99"),
    ("DEL $receipts:kept", Check::G4, "receipt:j1"),
    ("HSET $receipts:kept p3 0123456789abcdef~paid~30", Check::G5, "receipt:p3"),
    ("HDEL $receipts:kept p3", Check::G4, "receipt:p3"),
    ("HDEL $receipts:kept p1", Check::G4, "receipt:p1"),
    // Payouts.
    ("HSET $hold:p1 amount 99", Check::G14, "hold:p1"),
    ("HSET $hold:p2 attempts 2", Check::G14, "hold:p2"),
    ("HSET $hold:p5 state paying", Check::G14, "hold:p5"),
    ("DEL $hold:p1", Check::G14, "hold:p1"),
    ("SET $hold:p1 x", Check::G14, "hold:p1"),
    ("HSET $hold:p9 account a4 amount 1 seq 30", Check::G14, "hold:p9"),
    ("ZREM $payouts a4\\tp1", Check::G14, "hold:p1"),
    ("ZADD $payouts 1 a4\\tp3", Check::G14, "hold:p3"),
    ("HSET $account:a4 held 200", Check::G2, "account:a4"),
    // Codes (the name is the SHA-256 of the list).
    ("HSET $codes:@ 2 BBX", Check::G9, "codes:@"),
    ("HDEL $codes:@ 3", Check::G9, "codes:@"),
    ("HSET $codes:@ 4 DDD", Check::G9, "codes:@"),
    ("DEL $codes:@", Check::G9, "codes:@"),
    // The index.
    ("ZADD $resources 0 campaign:winter", Check::G9, "campaign:winter"),
    ("ZADD $resources 0 junk", Check::G9, "junk"),
    ("ZREM $resources account:a1", Check::G9, "account:a1"),
    ("DEL $resources", Check::G9, "campaign:summer"),
    // The head.
    ("HSET $head seq 32", Check::G9, "head"),
    ("HSET $head seq 34", Check::G9, "head"),
    ("HSET $head hash 0123456789012345678901234567890123456789", Check::G9, "head"),
    ("HDEL $head hash", Check::G9, "head"),
    ("HINCRBY $head acked 1", Check::G10, "head"),
    ("HINCRBY $head acked -1", Check::G10, "head"),
    ("HSET $head to_dead 0", Check::G10, "head"),
    ("HINCRBY $head to_scheduled 1", Check::G10, "head"),
    ("HINCRBY $head requeued 1", Check::G10, "head"),
    ("HINCRBY $head discarded 1", Check::G10, "head"),
    ("HDEL $head replayed", Check::G10, "head"),
    ("HSET $head mismatched x", Check::G10, "head"),
    ("HSET $head partition 1", Check::G9, "head"),
    ("HSET $head format 2", Check::G9, "head"),
    ("HSET $head receipts_floor 9999999", Check::G4, "head"),
    ("DEL $head", Check::G9, "head"),
    // The journal.
    ("XDEL $journal 1-0", Check::G9, "journal"),
    ("XDEL $journal 7-0", Check::G9, "journal"),
    ("XDEL $journal 33-0", Check::G9, "head"),
    ("XADD $journal 33-1 a b", Check::G9, "journal"),
    ("XADD $journal * a b", Check::G9, "journal"),
    (
        "XADD $journal 34-0 at_ms 1 lines j20\\twithdraw\\twithdrawn\\ta1\\t40\\tUSD\\t700 hash x",
        Check::G9,
        "journal",
    ),
    ("DEL $journal", Check::G9, "head"),
    // Parked jobs.
    ("HDEL $parked dead-1", Check::G10, "parked:dead-1"),
    ("HDEL $parked later-1", Check::G10, "parked:later-1"),
    ("HSET $parked dead-1 junk", Check::G10, "parked:dead-1"),
    (
        "HSET $parked dead-2 dead\\t0123456789abcdef\\t0\\tdefault\\tx\\t17\\tjunk",
        Check::G10,
        "parked:dead-2",
    ),
    ("ZADD $scheduled 5 later-1", Check::G10, "parked:later-1"),
    ("ZADD $dead 5 later-1", Check::G10, "parked:later-1"),
    ("ZREM $dead dead-1", Check::G10, "parked:dead-1"),
    ("ZADD $dead 5 dead-3", Check::G10, "parked:dead-3"),
];

#[tokio::test]
async fn every_planted_fault_is_found_and_named() {
    let mut missed = Vec::new();
    for (fault, check, resource) in FAULTS {
        let mut town = Town::new().await;
        town.run(fault).await;
        let report = town.audit().await;
        let is_named = report
            .violations
            .iter()
            .any(|found| found.check == *check && found.resource == resource.replace('@', CODES_NAME));
        if report.verdict != Verdict::Fail || !is_named {
            missed.push(format!("{fault}: {:#?}", report.violations));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

/// Writes the journal again with other entries: `change` gets each entry's id and fields and says what becomes of it.
async fn rewrite(town: &mut Town, change: impl Fn(&str, &mut Vec<String>) -> bool) {
    let key = town.keys().journal();
    let rows: Vec<(String, Vec<String>)> = town.link.query(&cmd(&["XRANGE", &key, "-", "+"])).await.unwrap();
    town.link.run(&cmd(&["DEL", &key])).await.unwrap();
    for (entry, mut fields) in rows {
        if change(&entry, &mut fields) {
            let mut words = vec!["XADD", &key, &entry];
            words.extend(fields.iter().map(String::as_str));
            town.link.run(&cmd(&words)).await.unwrap();
        }
    }
}

fn has(report: &Report, check: Check, resource: &str, position: u64) -> bool {
    let is_it = |found: &tollgate::audit::Violation| {
        found.check == check && found.resource == resource && found.positions.contains(&position)
    };
    report.violations.iter().any(is_it)
}

#[tokio::test]
async fn a_changed_journal_line_is_found_at_its_place() {
    // Line 9 is j6: 300 withdrawn from a1, 700 left.
    for (from, to) in [
        ("300", "301"),
        ("700", "701"),
        ("withdrawn", "insufficient_funds"),
        ("j6", "j66"),
        ("USD", "EUR"),
        ("a1", "a2"),
        ("withdrawn", "stolen"),
        ("withdraw\t", "deposit\t"),
    ] {
        let mut town = Town::new().await;
        rewrite(&mut town, |entry, fields| {
            if entry == "9-0" {
                fields[3] = fields[3].replacen(from, to, 1);
            }
            true
        })
        .await;
        let report = town.audit().await;
        assert!(has(&report, Check::G9, "journal", 9), "{from} -> {to}: {:#?}", report.violations);
    }
}

#[tokio::test]
async fn a_line_whose_hash_was_made_to_fit_is_found_by_the_model_and_the_receipts() {
    let mut town = Town::new().await;
    // 300 more than the account had left when j7 asked for 701 of 700.
    rewrite(&mut town, |entry, fields| {
        if entry == "10-0" {
            fields[3] = fields[3].replace("insufficient_funds", "withdrawn");
        }
        true
    })
    .await;
    let report = town.audit().await;
    assert!(has(&report, Check::G2, "account:a1", 10), "{:#?}", report.violations);
    assert!(has(&report, Check::G4, "receipt:j7", 10), "{:#?}", report.violations);
}

#[tokio::test]
async fn an_id_that_was_decided_twice_is_named_with_both_places() {
    let mut town = Town::new().await;
    town.run("HDEL $receipts:kept j6").await;
    town.settle("j6", &withdraw("a1", 300)).await;
    let report = town.audit().await;
    assert!(has(&report, Check::G3, "receipt:j6", 9), "{:#?}", report.violations);
    assert!(has(&report, Check::G3, "receipt:j6", 34), "{:#?}", report.violations);
}

#[tokio::test]
async fn a_position_that_the_history_does_not_go_through_is_found() {
    let mut town = Town::new().await;
    let before = town.audit().await.head;
    town.settle("more-1", &redeem("summer", "c5", 1)).await;
    assert_clean(&town.expecting(&before).await);
    let after = town.audit().await.head;
    for (change, what) in [
        (Position { seq: 39, ..after[0].clone() }, "5 lines are lost"),
        (Position { hash: "0".repeat(40), ..before[0].clone() }, "another one"),
        (Position { partition: 7, ..before[0].clone() }, "no such partition"),
    ] {
        let report = town.expecting(&[change]).await;
        assert_eq!(report.verdict, Verdict::Fail);
        let found = &report.violations[0];
        assert!(found.check == Check::G13 && found.what.contains("timeline_regressed"), "{found}");
        assert!(found.what.contains(what), "{found}");
    }
}

#[tokio::test]
async fn whatever_lies_under_a_key_is_a_violation_and_never_a_failure() {
    let names = [
        "head",
        "queues",
        "queue:default",
        "scheduled",
        "dead",
        "parked",
        "receipts:kept",
        "journal",
        "campaign:summer",
        "holders:summer",
        "account:a1",
        "hold:p1",
        "payouts",
        "resources",
        concat_codes(),
    ];
    let kinds = [
        "SET $@ junk",
        "RPUSH $@ junk",
        "HSET $@ junk \u{1}",
        "ZADD $@ 1 junk",
        "XADD $@ 1-1 a b",
        "SADD $@ x",
    ];
    for name in names {
        for kind in kinds {
            let mut town = Town::new().await;
            town.run(&format!("DEL ${name}")).await;
            town.run(&kind.replace('@', name)).await;
            let report = town.audit().await;
            assert_eq!(report.verdict, Verdict::Fail, "{kind} at {name}");
        }
    }
}

fn concat_codes() -> &'static str {
    static NAME: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    NAME.get_or_init(|| format!("codes:{CODES_NAME}"))
}
