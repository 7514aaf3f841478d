//! A namespace with a little of everything in it, built by the real scripts.

use std::time::Duration;

use crate::space::queued;
use tollgate::Tollgate;
use tollgate::amount::Amount;
use tollgate::code::Code;
use tollgate::codes::Codes;
use tollgate::fetch::{Take, Taken};
use tollgate::fingerprint::Fingerprint;
use tollgate::ids::{AccountId, CampaignId, CustomerId, JobId, Namespace, QueueName};
use tollgate::instant::Instant;
use tollgate::job::Job;
use tollgate::keys::Keys;
use tollgate::kinds::{
    AccountClose, AccountOpen, CampaignCreate, CampaignSetLimit, Deposit, Payout, Redeem, Request, Withdraw,
};
use tollgate::link::Link;
use tollgate::partition::Partitions;
use tollgate::quantity::Limit;
use tollgate::quantity::Quantity;
use tollgate::scripts::park::{Destination, Parked, Parking, park};
use tollgate::scripts::payout::{self, Begin, Retry, Step};
use tollgate::scripts::settle::{Answer, Item, Policy, Source, settle_with};
use tollgate_audit::{Position, Report, Verdict, audit};

use crate::harness::{GATEWAY, PAYOUT_KEY, TestRedis, cmd};

/// SHA-256 of the three codes, each with a line end.
pub(super) const CODES_NAME: &str = "6f38eb25f21a346a7b6c36d60ab55a52f90f7c50663e1cf456b720e92cbeb2b3";

pub(super) fn id(text: &str) -> JobId {
    JobId::parse(text).unwrap()
}

pub(super) fn redeem(campaign: &str, customer: &str, quantity: u64) -> Request {
    Redeem {
        campaign: CampaignId::parse(campaign).unwrap(),
        customer: CustomerId::parse(customer).unwrap(),
        quantity: Quantity::new(quantity).unwrap(),
    }
    .into()
}

pub(super) fn withdraw(account: &str, amount: u64) -> Request {
    Withdraw {
        account: AccountId::parse(account).unwrap(),
        amount: Amount::from_minor(amount).unwrap(),
        currency: "USD".parse().unwrap(),
    }
    .into()
}

pub(super) fn payout(account: &str, amount: u64) -> Request {
    Payout {
        account: AccountId::parse(account).unwrap(),
        amount: Amount::from_minor(amount).unwrap(),
        currency: "USD".parse().unwrap(),
        destination: "iban-1".parse().unwrap(),
    }
    .into()
}

pub(super) fn deposit(account: &str, amount: u64) -> Request {
    Deposit {
        account: AccountId::parse(account).unwrap(),
        amount: Amount::from_minor(amount).unwrap(),
        currency: "USD".parse().unwrap(),
    }
    .into()
}

pub(super) fn open(account: &str, balance: u64) -> Request {
    AccountOpen {
        account: AccountId::parse(account).unwrap(),
        balance: Amount::from_minor(balance).unwrap(),
        currency: "USD".parse().unwrap(),
    }
    .into()
}

pub(super) fn campaign(name: &str, limit: u64, per_customer: Option<u64>) -> Request {
    CampaignCreate {
        campaign: CampaignId::parse(name).unwrap(),
        limit: Limit::new(limit).unwrap(),
        per_customer: per_customer.and_then(Quantity::new),
        opens_at: None,
        closes_at: None,
        codes: None,
    }
    .into()
}

pub(super) fn set_limit(name: &str, limit: u64) -> Request {
    let (campaign, limit) = (CampaignId::parse(name).unwrap(), Limit::new(limit).unwrap());
    CampaignSetLimit { campaign, limit, expected: None }.into()
}

/// Takes up to 20 entries of the default queue as `worker`.
pub(super) async fn fetch(link: &mut Link, keys: &Keys, worker: &str) -> Option<Taken> {
    Take::new(keys, &QueueName::default(), worker, 20).run(link).await.unwrap()
}

/// A namespace of one partition with a little of everything in it.
pub(super) struct Town {
    pub(super) tollgate: Tollgate,
    pub(super) link: Link,
}

impl Town {
    pub(super) async fn empty() -> Self {
        let namespace = Namespace::parse(TestRedis::ns()).unwrap();
        let (server, week) = (TestRedis::shared(), tollgate::RETENTION_DEFAULT);
        let tollgate = Tollgate::init(server, namespace, Partitions::ONE, week).await.unwrap();
        let link = tollgate.server().link().await.unwrap();
        Self { tollgate, link }
    }

    /// 29 lines; `j1` to `j12` are the jobs, `dead-1` and `later-1` are parked.
    pub(super) async fn new() -> Self {
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
            ("j10", AccountClose { account: AccountId::parse("a2").unwrap() }.into()),
            ("j11", withdraw("a1", 10_000)),
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
    pub(super) async fn codes(&mut self) {
        let codes = Codes::read(&b"AAA\nBBB\nCCC\n"[..]).unwrap();
        let keys = self.keys().clone();
        codes.upload(&mut self.link, &keys).await.unwrap();
        let (name, limit) = (CampaignId::parse("coded").unwrap(), Limit::new(3).unwrap());
        let terms = CampaignCreate { codes: Some(codes.name().clone()), ..CampaignCreate::new(name, limit) };
        self.settle("create/campaign/coded", &terms.into()).await;
        self.settle("coded-1", &redeem("coded", "c1", 1)).await;
    }

    /// Payouts of 100 each: `p1` held, `p2` paying, `p3` paid, `p4` refused, `p5` in review, `p6` voided: 15 lines.
    pub(super) async fn payouts(&mut self) {
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
                gateway: &GATEWAY,
                idempotency_key: &PAYOUT_KEY,
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

    pub(super) async fn step(&mut self, job: &str, step: Step<'_>) -> Answer {
        let (keys, account) = (self.keys().clone(), AccountId::parse("a4").unwrap());
        payout::step(&mut self.link, &keys, &account, &id(job), &step).await.unwrap()
    }

    pub(super) async fn fence(&mut self, job: &str) -> u64 {
        let key = self.keys().hold(&id(job));
        self.link.query(&cmd(&["HGET", &key, "fence"])).await.unwrap()
    }

    pub(super) async fn settle(&mut self, job: &str, request: &Request) {
        let id = JobId::stored(job).unwrap();
        self.tollgate.settle_one(&mut self.link, &id, request).await.unwrap();
    }

    /// Five entries: two settled (one of them twice decided), one dead, one scheduled, one waiting.
    pub(super) async fn queue(&mut self) {
        let queue = QueueName::default();
        let later = Instant::from_ms(Instant::now().ms() + 3_600_000).unwrap();
        let job = |name: &str, at, request| Job { id: id(name), at, request: queued(request) };
        let timed = JobId::fresh();
        let jobs = [
            Job { id: timed, at: None, request: queued(withdraw("a1", 10)) },
            job("j6", None, withdraw("a1", 300)),
            job("dead-1", None, redeem("summer", "c9", 1)),
            job("later-1", Some(later), redeem("summer", "c9", 1)),
        ];
        self.tollgate.enqueue(&mut self.link, &queue, &jobs).await.unwrap();
        let keys = self.keys().clone();
        let Taken { row, entries } = fetch(&mut self.link, &keys, "w1").await.unwrap();
        let entries: Vec<&str> = entries.iter().map(|delivered| delivered.entry.as_str()).collect();
        let items: Vec<Item<'_>> = (0..2)
            .map(|i| Item {
                entry: Some(entries[i]),
                id: &jobs[i].id,
                request: &jobs[i].request,
                fingerprint: Fingerprint::of(&jobs[i].request),
            })
            .collect();
        let source = |from: usize| Source { row: &row, left: &entries[from..] };
        let policy = Policy { source: Some(source(2)), ..Policy::default() };
        settle_with(&mut self.link, &keys, &queue, &items, policy).await.unwrap();
        for (i, destination) in
            [(2, Destination::Dead(Code::CorruptState)), (3, Destination::Scheduled(later))]
        {
            let envelope = jobs[i].encode();
            let parking = Parking {
                entry: entries[i],
                id: &jobs[i].id,
                fingerprint: Fingerprint::of(&jobs[i].request),
                attempts: 0,
                envelope: envelope.as_bytes(),
                destination,
            };
            let parked = park(&mut self.link, &keys, &queue, source(i + 1), &[parking]).await.unwrap();
            assert_eq!(parked, [Parked::Moved]);
        }
        let waiting = job("waiting-1", None, redeem("summer", "c9", 1));
        self.tollgate.enqueue(&mut self.link, &queue, &[waiting]).await.unwrap();
    }

    pub(super) fn keys(&self) -> &tollgate::keys::Keys {
        self.tollgate.keys(self.tollgate.partitions().get(0).unwrap())
    }

    /// Runs `words`, separated by blanks, a `$` standing for the partition's tag.
    pub(super) async fn run(&mut self, words: &str) -> redis::Value {
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

    pub(super) async fn audit(&self) -> Report {
        self.expecting(&[]).await
    }

    pub(super) async fn expecting(&self, expect: &[Position]) -> Report {
        audit(&self.tollgate, expect, &|_| {}).await.unwrap()
    }
}

#[track_caller]
pub(super) fn assert_clean(report: &Report) {
    assert_eq!(report.verdict, Verdict::Pass, "{:#?}", report.violations);
}
