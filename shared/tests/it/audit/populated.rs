//! A namespace with a little of everything in it, built by the real scripts.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use tollgate::code::Code;
use tollgate::codes::Codes;
use tollgate::ids::{AccountId, JobId};
use tollgate::instant::Instant;
use tollgate::job::Job;
use tollgate::kinds::{CampaignCreate, Request};
use tollgate::scripts::park::{Destination, Parked};
use tollgate::scripts::payout::{self, Begin, Retry, Step};
use tollgate::scripts::settle::Answer;
use tollgate_audit::{Position, Report, Verdict, audit};

use crate::harness::{GATEWAY, PAYOUT_KEY, cmd};
use crate::space::*;

/// SHA-256 of the three codes, each with a line end.
pub(super) const CODES_NAME: &str = "6f38eb25f21a346a7b6c36d60ab55a52f90f7c50663e1cf456b720e92cbeb2b3";

/// A namespace of one partition with a little of everything in it.
pub(super) struct Populated(Space);

impl Deref for Populated {
    type Target = Space;

    fn deref(&self) -> &Space {
        &self.0
    }
}

impl DerefMut for Populated {
    fn deref_mut(&mut self) -> &mut Space {
        &mut self.0
    }
}

impl Populated {
    /// With nothing in it yet.
    pub(super) async fn empty() -> Self {
        Self(Space::new().await)
    }

    /// 29 lines; `j1` to `j12` are the jobs, `dead-1` and `later-1` are parked.
    pub(super) async fn new() -> Self {
        let mut space = Self::empty().await;
        space.settle("create/campaign/summer", &create_for_each("summer", 5, Some(2))).await;
        space.settle("create/account/a1", &open("a1", 1000)).await;
        space.settle("create/account/a2", &open("a2", 500)).await;
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
            ("j10", close("a2")),
            ("j11", withdraw("a1", 10_000)),
            ("j12", set_limit("summer", 6, None)),
        ] {
            space.settle(job, &request).await;
        }
        space.queue().await;
        space.codes().await;
        space.payouts().await;
        space
    }

    /// A campaign that hands out codes, one of them taken: 2 lines.
    pub(super) async fn codes(&mut self) {
        let codes = Codes::read(&b"AAA\nBBB\nCCC\n"[..]).unwrap();
        let keys = self.keys.clone();
        codes.upload(&mut self.link, &keys).await.unwrap();
        let terms = CampaignCreate { codes: Some(codes.name().clone()), ..terms("coded", 3) };
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
        let (keys, account) = (self.keys.clone(), AccountId::parse("a4").unwrap());
        payout::step(&mut self.link, &keys, &account, &id(job), &step).await.unwrap()
    }

    pub(super) async fn fence(&mut self, job: &str) -> u64 {
        let key = self.keys.hold(&id(job));
        self.link.query(&cmd(&["HGET", &key, "fence"])).await.unwrap()
    }

    pub(super) async fn settle(&mut self, job: &str, request: &Request) {
        let id = JobId::stored(job).unwrap();
        self.0.tollgate.settle_one(&mut self.0.link, &id, request).await.unwrap();
    }

    /// Five entries: two settled (one of them twice decided), one dead, one scheduled, one waiting.
    pub(super) async fn queue(&mut self) {
        let later = Instant::from_ms(Instant::now().ms() + 3_600_000).unwrap();
        let job = |name: &str, at, request| Job { id: id(name), at, request: queued(request) };
        let jobs = [
            fresh(withdraw("a1", 10)),
            job("j6", None, withdraw("a1", 300)),
            job("dead-1", None, redeem("summer", "c9", 1)),
            job("later-1", Some(later), redeem("summer", "c9", 1)),
        ];
        let entries = self.deliver("w1", &jobs).await;
        self.settle_entries(&entries[..2]).await;
        for (entry, destination) in
            entries[2..].iter().zip([Destination::Dead(Code::CorruptState), Destination::Scheduled(later)])
        {
            assert_eq!(self.park(entry, destination).await.unwrap(), Parked::Moved);
        }
        self.enqueue(&[job("waiting-1", None, redeem("summer", "c9", 1))]).await;
    }

    /// Runs `words`, separated by blanks, a `$` standing for the partition's tag.
    pub(super) async fn run(&mut self, words: &str) -> redis::Value {
        let tag = self.keys.head().replace("head", "");
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
