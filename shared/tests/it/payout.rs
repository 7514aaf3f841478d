//! The steps of a payout: what each answers in each state, and what it leaves in the account.

use std::time::Duration;

use tollgate::code::Code;
use tollgate::fingerprint::Fingerprint;
use tollgate::ids::{AccountId, JobId, QueueName};
use tollgate::keys::Keys;
use tollgate::kinds::{AccountOpen, Payout, Withdraw, first_difference};
use tollgate::link::Link;
use tollgate::partition::Partitions;
use tollgate::resource::Resource;
use tollgate::scripts::payout::{Begin, ForReview, Retry, Step, due, for_review, hold, step};
use tollgate::scripts::settle::{Answer, Item, Policy, settle_with};
use tollgate::{RETENTION_DEFAULT, Tollgate};

use crate::harness::{GATEWAY, PAYOUT_KEY, cmd, servers, shared, until};

/// One account with 100 minor units and one job that pays 30 of them out.
struct Bank {
    tollgate: Tollgate,
    link: Link,
    keys: Keys,
    account: AccountId,
    id: JobId,
}

const LEASE: Duration = Duration::from_millis(40);

impl Bank {
    async fn open() -> Self {
        let namespace = servers::namespace();
        let tollgate = Tollgate::init(shared(), namespace, Partitions::ONE, RETENTION_DEFAULT).await.unwrap();
        let account = AccountId::parse("a1").unwrap();
        let mut link = tollgate.server().link().await.unwrap();
        let open = AccountOpen {
            account: account.clone(),
            balance: tollgate::amount::Amount::from_minor(100).unwrap(),
            currency: "USD".parse().unwrap(),
        };
        tollgate.settle_one(&mut link, &JobId::create_account(&account), &open).await.unwrap();
        let keys = tollgate.keys(tollgate.partition_of(Resource::Account(&account))).clone();
        Self { tollgate, link, keys, account, id: JobId::fresh() }
    }

    fn request(&self) -> Payout {
        Payout {
            account: self.account.clone(),
            amount: tollgate::amount::Amount::from_minor(30).unwrap(),
            currency: "USD".parse().unwrap(),
            destination: "iban-1".parse().unwrap(),
        }
    }

    async fn hold(&mut self, hold_ttl: Option<Duration>) -> Answer {
        let request = self.request();
        let item =
            Item { entry: None, id: &self.id, request: &request, fingerprint: Fingerprint::of(&request) };
        let policy = Policy { hold_ttl, ..Policy::default() };
        let queue = QueueName::default();
        let settled = settle_with(&mut self.link, &self.keys, &queue, &[item], policy).await.unwrap();
        settled.answers[0]
    }

    async fn step(&mut self, make: Step<'_>) -> Answer {
        step(&mut self.link, &self.keys, &self.account, &self.id, &make).await.unwrap()
    }

    async fn begin(&mut self, key: &str) -> Answer {
        self.step(begin(key, Retry::SameKey, Duration::from_secs(60))).await
    }

    /// One whose lease does not end while a test looks.
    async fn begin_for_long(&mut self, key: &str) -> Answer {
        let Step::Begin(begun) = begin(key, Retry::SameKey, Duration::from_secs(60)) else { unreachable!() };
        self.step(Step::Begin(Begin { lease: Duration::from_secs(600), ..begun })).await
    }

    /// (available, held)
    async fn balance(&mut self) -> (u64, u64) {
        self.link
            .query(&cmd(&["HMGET", &self.keys.account(&self.account), "available", "held"]))
            .await
            .unwrap()
    }

    async fn fence(&mut self) -> u64 {
        hold(&mut self.link, &self.keys, &self.id).await.unwrap().unwrap().fence
    }

    /// The model comes to the same.
    async fn audited(&mut self) {
        let report = tollgate_audit::audit(&self.tollgate, &[], &|_| {}).await.unwrap();
        assert!(report.violations.is_empty(), "{:#?}", report.violations);
    }

    async fn receipt(&mut self) -> String {
        let key = self.keys.receipts(self.id.bucket());
        self.link.query(&cmd(&["HGET", &key, self.id.as_str()])).await.unwrap()
    }

    /// Waits until the lease of the latest attempt is over, by server time.
    async fn lease_over(&mut self) {
        let until_ms = hold(&mut self.link, &self.keys, &self.id).await.unwrap().unwrap().lease_until_ms;
        until("the lease's end", async || {
            let at_ms = due(&mut self.link, &self.keys, 1).await.unwrap().at_ms;
            (at_ms >= until_ms).then_some(())
        })
        .await;
    }
}

fn begin<'a>(key: &'a str, retry: Retry, key_window: Duration) -> Step<'a> {
    Step::Begin(Begin {
        key,
        lease: LEASE,
        retry,
        key_window,
        backoff: Duration::ZERO,
        gateway: &GATEWAY,
        idempotency_key: &PAYOUT_KEY,
    })
}

fn decided(answer: Answer) -> Code {
    match answer {
        Answer::Decided { code, .. } => code,
        other => panic!("not decided: {other:?}"),
    }
}

fn replayed(answer: Answer) -> Code {
    match answer {
        Answer::Replayed { code, .. } => code,
        other => panic!("not replayed: {other:?}"),
    }
}

#[tokio::test]
async fn held_paid_and_posted_each_step_repeats_as_itself() {
    let mut bank = Bank::open().await;
    assert_eq!(decided(bank.hold(None).await), Code::Held);
    assert_eq!(bank.balance().await, (70, 30));
    assert_eq!(replayed(bank.hold(None).await), Code::Held);
    assert_eq!(
        due(&mut bank.link, &bank.keys, 10).await.unwrap().payouts,
        [(bank.account.clone(), bank.id.clone())]
    );

    assert_eq!(decided(bank.begin_for_long("b1").await), Code::Paying);
    assert_eq!(replayed(bank.begin_for_long("b1").await), Code::Paying);
    assert_eq!(bank.begin("b2").await, Answer::Undecided(Code::LeaseRunning));
    assert_eq!(bank.step(Step::VoidByHand { note: "x" }).await, Answer::Undecided(Code::LeaseRunning));
    assert_eq!(bank.step(Step::PostByHand { note: "x" }).await, Answer::Undecided(Code::LeaseRunning));
    assert_eq!(replayed(bank.hold(None).await), Code::Paying);

    assert_eq!(decided(bank.step(Step::Paid { note: "tx 1" }).await), Code::Paid);
    assert_eq!(replayed(bank.step(Step::Paid { note: "tx 1" }).await), Code::Paid);
    assert_eq!(bank.balance().await, (70, 0));
    assert!(bank.receipt().await.contains(" paid "));
    assert_eq!(hold(&mut bank.link, &bank.keys, &bank.id).await.unwrap(), None);
    assert_eq!(due(&mut bank.link, &bank.keys, 10).await.unwrap().payouts, []);

    for late in [begin("b3", Retry::SameKey, LEASE), Step::VoidByHand { note: "x" }, Step::Expire] {
        assert_eq!(bank.step(late).await, Answer::Undecided(Code::AlreadyPosted));
    }
    assert_eq!(replayed(bank.hold(None).await), Code::Paid);
}

#[tokio::test]
async fn a_refusal_gives_back_only_if_every_attempt_was_refused() {
    let mut bank = Bank::open().await;
    bank.hold(None).await;
    bank.begin("b1").await;
    let fence = bank.fence().await;
    assert_eq!(decided(bank.step(Step::Refused { fence, note: "no" }).await), Code::PayoutRefused);
    assert_eq!(replayed(bank.step(Step::Refused { fence, note: "no" }).await), Code::PayoutRefused);
    assert_eq!(bank.balance().await, (100, 0));

    let mut bank = Bank::open().await;
    bank.hold(None).await;
    bank.begin("b1").await;
    let first = bank.fence().await;
    bank.lease_over().await;
    assert_eq!(decided(bank.begin("b2").await), Code::Paying);
    let second = bank.fence().await;
    assert!(second > first);
    assert_eq!(bank.step(Step::Refused { fence: first, note: "" }).await, Answer::Undecided(Code::Fenced));
    // The first attempt is unknown: it may have paid.
    let refused = Step::Refused { fence: second, note: "no" };
    assert_eq!(decided(bank.step(refused.clone()).await), Code::NeedsReview);
    assert_eq!(replayed(bank.step(refused).await), Code::NeedsReview);
    assert_eq!(bank.balance().await, (70, 30));
    assert_eq!(replayed(bank.begin("b3").await), Code::NeedsReview);
    // Proof of payment counts from any attempt, as long as the hold is open.
    assert_eq!(decided(bank.step(Step::Paid { note: "of the first" }).await), Code::Paid);
    assert_eq!(bank.balance().await, (70, 0));
}

#[tokio::test]
async fn proof_after_a_void_is_an_alarm_and_moves_nothing() {
    let mut bank = Bank::open().await;
    bank.hold(None).await;
    bank.begin("b1").await;
    bank.lease_over().await;
    assert_eq!(decided(bank.step(Step::VoidByHand { note: "ann: bank says no" }).await), Code::PayoutVoided);
    assert_eq!(replayed(bank.step(Step::VoidByHand { note: "again" }).await), Code::PayoutVoided);
    assert_eq!(bank.step(Step::PostByHand { note: "x" }).await, Answer::Undecided(Code::AlreadyVoided));
    assert_eq!(bank.balance().await, (100, 0));
    assert_eq!(decided(bank.step(Step::Paid { note: "late" }).await), Code::PaidAfterVoid);
    assert_eq!(bank.step(Step::Paid { note: "late" }).await, Answer::Undecided(Code::AlreadyPosted));
    assert_eq!(bank.balance().await, (100, 0));
    assert!(bank.receipt().await.contains(" paid_after_void "));
}

#[tokio::test]
async fn a_second_attempt_obeys_the_retry_rule() {
    for (retry, key_window) in [(Retry::Never, Duration::from_secs(60)), (Retry::SameKey, Duration::ZERO)] {
        let mut bank = Bank::open().await;
        bank.hold(None).await;
        assert_eq!(decided(bank.step(begin("b1", retry, key_window)).await), Code::Paying);
        bank.lease_over().await;
        assert_eq!(decided(bank.step(begin("b2", retry, key_window)).await), Code::NeedsReview);
        assert_eq!(bank.balance().await, (70, 30));
        assert_eq!(due(&mut bank.link, &bank.keys, 10).await.unwrap().payouts, []);
        assert_eq!(decided(bank.step(Step::PostByHand { note: "ann: seen" }).await), Code::Paid);
    }
}

#[tokio::test]
async fn a_hold_expires_only_before_any_attempt() {
    let mut bank = Bank::open().await;
    bank.hold(Some(Duration::from_secs(60))).await;
    assert_eq!(bank.step(Step::Expire).await, Answer::Undecided(Code::HoldNotExpired));
    bank.begin("b1").await;
    bank.lease_over().await;
    assert_eq!(bank.step(Step::Expire).await, Answer::Undecided(Code::HoldNotExpired));

    let mut bank = Bank::open().await;
    bank.hold(Some(Duration::ZERO)).await;
    assert_eq!(bank.begin("b1").await, Answer::Undecided(Code::HoldExpired));
    assert_eq!(decided(bank.step(Step::Expire).await), Code::PayoutVoided);
    assert_eq!(bank.balance().await, (100, 0));
    assert_eq!(bank.begin("b1").await, Answer::Undecided(Code::AlreadyVoided));
}

#[tokio::test]
async fn the_same_id_with_another_destination_is_a_mismatch_that_names_it() {
    let mut bank = Bank::open().await;
    bank.hold(None).await;
    let Payout { account, amount, currency, .. } = bank.request();
    let plain = Withdraw { account, amount, currency };
    let answer = bank.tollgate.settle_one(&mut bank.link, &bank.id, &plain).await.unwrap();
    assert_eq!(answer, Answer::Mismatch { seq: 2 });
    assert_eq!(first_difference(&bank.request(), &plain), Some("destination"));
}

#[tokio::test]
async fn an_open_hold_answers_for_its_id_when_its_receipt_is_gone() {
    let mut bank = Bank::open().await;
    bank.hold(None).await;
    let receipts = bank.keys.receipts(bank.id.bucket());
    let _: i64 = bank.link.query(&cmd(&["UNLINK", &receipts])).await.unwrap();
    let _: i64 =
        bank.link.query(&cmd(&["HSET", &bank.keys.head(), "receipts_floor", "9000000"])).await.unwrap();
    assert_eq!(replayed(bank.hold(None).await), Code::Held);
    assert_eq!(decided(bank.begin("b1").await), Code::Paying);
    assert_eq!(decided(bank.step(Step::Paid { note: "" }).await), Code::Paid);
    // The receipt of an id below the floor is kept.
    assert_eq!(replayed(bank.hold(None).await), Code::Paid);
    assert_eq!(bank.balance().await, (70, 0));
}

#[tokio::test]
async fn damage_changes_nothing() {
    for (key, field, value) in
        [("hold", "state", "dancing"), ("hold", "amount", "1e3"), ("account", "held", "29")]
    {
        let mut bank = Bank::open().await;
        bank.hold(None).await;
        let key = if key == "hold" { bank.keys.hold(&bank.id) } else { bank.keys.account(&bank.account) };
        bank.link.run(&cmd(&["HSET", &key, field, value])).await.unwrap();
        let before = bank.link.run(&cmd(&["DUMP", &key])).await.unwrap();
        assert_eq!(bank.begin("b1").await, Answer::Undecided(Code::CorruptState), "{field}");
        assert_eq!(
            bank.step(Step::Paid { note: "" }).await,
            Answer::Undecided(Code::CorruptState),
            "{field}"
        );
        let after = bank.link.run(&cmd(&["DUMP", &key])).await.unwrap();
        assert_eq!(before, after);
    }
}

#[tokio::test]
async fn a_payout_that_nobody_knows_is_not_open() {
    let mut bank = Bank::open().await;
    let not_open = Answer::Undecided(Code::PayoutNotOpen);
    assert_eq!(bank.begin("first").await, not_open);
    assert_eq!(bank.step(Step::Review { fence: 1, note: "odd" }).await, not_open);
    assert_eq!(bank.step(Step::Paid { note: "ok" }).await, not_open);
    assert_eq!(bank.balance().await, (100, 0));
}

fn not_sent(fence: u64) -> Step<'static> {
    Step::NotSent { fence, note: "connection refused", pause: Duration::ZERO }
}

#[tokio::test]
async fn an_attempt_that_sent_nothing_is_as_if_it_had_never_begun() {
    let mut bank = Bank::open().await;
    bank.hold(Some(Duration::from_secs(3600))).await;
    let never = Retry::Never;
    for key in ["b1", "b2", "b3"] {
        // One attempt ever, and no lease to wait for.
        assert_eq!(decided(bank.step(begin(key, never, Duration::ZERO)).await), Code::Paying);
        let fence = bank.fence().await;
        assert_eq!(bank.step(not_sent(fence + 1)).await, Answer::Undecided(Code::Fenced));
        assert_eq!(decided(bank.step(not_sent(fence)).await), Code::Held);
        assert_eq!(replayed(bank.step(not_sent(fence)).await), Code::Held);
        assert_eq!(replayed(bank.hold(None).await), Code::Held);
        // What comes late is of an attempt that is over.
        for late in [
            begin(key, never, Duration::ZERO),
            Step::Refused { fence, note: "no" },
            Step::Review { fence, note: "odd" },
        ] {
            assert_eq!(bank.step(late).await, Answer::Undecided(Code::Fenced));
        }
        let open = hold(&mut bank.link, &bank.keys, &bank.id).await.unwrap().unwrap();
        assert_eq!((open.state, open.attempts, open.lease_until_ms), (Code::Held, 0, 0));
        assert_eq!((open.gateway.as_str(), open.idempotency_key.as_str()), ("", ""));
    }
    assert_eq!(bank.step(Step::Expire).await, Answer::Undecided(Code::HoldNotExpired));
    assert_eq!(decided(bank.begin("b4").await), Code::Paying);
    assert_eq!(decided(bank.step(Step::Paid { note: "" }).await), Code::Paid);
    assert_eq!(bank.step(not_sent(1)).await, Answer::Undecided(Code::AlreadyPosted));
    assert_eq!(bank.balance().await, (70, 0));
    bank.audited().await;
}

#[tokio::test]
async fn an_earlier_unknown_attempt_stays_when_a_later_one_sent_nothing() {
    let mut bank = Bank::open().await;
    bank.hold(None).await;
    bank.begin("b1").await;
    bank.lease_over().await;
    bank.begin("b2").await;
    let fence = bank.fence().await;
    assert_eq!(decided(bank.step(not_sent(fence)).await), Code::Paying);
    assert_eq!(replayed(bank.step(not_sent(fence)).await), Code::Paying);
    let open = hold(&mut bank.link, &bank.keys, &bank.id).await.unwrap().unwrap();
    assert_eq!((open.state, open.attempts), (Code::Paying, 1));
    assert_eq!(open.idempotency_key, PAYOUT_KEY.to_string());
    assert_eq!(bank.step(Step::Expire).await, Answer::Undecided(Code::HoldNotExpired));
    // A refusal of the next attempt proves nothing about the first.
    assert_eq!(decided(bank.begin("b3").await), Code::Paying);
    let fence = bank.fence().await;
    assert_eq!(decided(bank.step(Step::Refused { fence, note: "no" }).await), Code::NeedsReview);
    assert_eq!(bank.step(not_sent(fence)).await, Answer::Undecided(Code::Fenced));
    assert_eq!(bank.balance().await, (70, 30));
    bank.audited().await;
}

#[tokio::test]
async fn another_gateway_gets_no_attempt_while_one_is_unknown() {
    let mut bank = Bank::open().await;
    bank.hold(None).await;
    bank.begin("b1").await;
    bank.lease_over().await;
    let Step::Begin(second) = begin("b2", Retry::SameKey, Duration::from_secs(60)) else { unreachable!() };
    let other = "other".parse().unwrap();
    let begin = Step::Begin(Begin { gateway: &other, ..second });
    assert_eq!(decided(bank.step(begin).await), Code::NeedsReview);
    let open = hold(&mut bank.link, &bank.keys, &bank.id).await.unwrap().unwrap();
    assert_eq!((open.reason.as_str(), open.gateway.as_str()), ("other_gateway", "gateway"));
    bank.audited().await;
}

/// The clock went back by two hours: the lease of an attempt from before it would run for two hours more.
#[tokio::test]
async fn a_lease_that_the_clock_makes_impossible_is_over() {
    let mut bank = Bank::open().await;
    bank.hold(None).await;
    bank.begin("b1").await;
    let row = bank.keys.hold(&bank.id);
    for (ahead_ms, over) in [(600_000, false), (7_200_000, true)] {
        let at_ms = due(&mut bank.link, &bank.keys, 1).await.unwrap().at_ms;
        let until_ms = (at_ms + ahead_ms).to_string();
        let _: u64 = bank.link.query(&cmd(&["HSET", &row, "lease_until_ms", &until_ms])).await.unwrap();
        let answer = bank.begin("b2").await;
        if over {
            assert_eq!(decided(answer), Code::Paying);
        } else {
            assert_eq!(answer, Answer::Undecided(Code::LeaseRunning));
        }
    }
    assert_eq!(hold(&mut bank.link, &bank.keys, &bank.id).await.unwrap().unwrap().attempts, 2);
}

/// The same of when to look again: nobody waits for so long.
#[tokio::test]
async fn a_payout_that_is_due_later_than_any_can_be_is_due_now() {
    let mut bank = Bank::open().await;
    bank.hold(None).await;
    let (payouts, member) = (bank.keys.payouts(), format!("{}\t{}", bank.account, bank.id));
    let at_ms = due(&mut bank.link, &bank.keys, 1).await.unwrap().at_ms;
    for (score, is_due) in
        [(at_ms + 900_000, false), (at_ms + 7_200_000, true), (9_007_199_254_740_991, false)]
    {
        let _: u64 = bank.link.query(&cmd(&["ZADD", &payouts, &score.to_string(), &member])).await.unwrap();
        let listed = due(&mut bank.link, &bank.keys, 10).await.unwrap().payouts;
        assert_eq!(listed.len(), usize::from(is_due), "{score}");
    }
}

#[tokio::test]
async fn what_waits_for_a_person_is_counted_and_listed_apart() {
    let mut bank = Bank::open().await;
    let look = async |bank: &mut Bank| for_review(&mut bank.link, &bank.keys, 10, 2).await.unwrap();
    let none = ForReview { is_complete: true, ..ForReview::default() };
    assert_eq!(look(&mut bank).await, none);
    assert_eq!(decided(bank.hold(None).await), Code::Held);
    assert_eq!(decided(bank.begin("b1").await), Code::Paying);
    assert_eq!(look(&mut bank).await, ForReview { open: 1, ..none.clone() });

    let fence = bank.fence().await;
    assert_eq!(decided(bank.step(Step::Review { fence, note: "odd" }).await), Code::NeedsReview);
    let found = look(&mut bank).await;
    assert_eq!((found.open, found.count), (1, 1));
    assert!(matches!(&found.holds[..], [hold] if hold.id == bank.id && hold.reason == "odd"));

    // Damaged ones are found wherever they wait, and one that was for a person is not counted twice.
    let payouts = bank.keys.payouts();
    let _: u64 = bank.link.query(&cmd(&["ZADD", &payouts, "7", "nonsense"])).await.unwrap();
    let found = look(&mut bank).await;
    assert_eq!((found.open, found.count, found.holds.len(), found.is_complete), (2, 1, 1, true));
    assert!(matches!(&found.damaged[..], [damaged] if damaged.id == "nonsense"), "{found:?}");
    let row = bank.keys.hold(&bank.id);
    let amount: String = bank.link.query(&cmd(&["HGET", &row, "amount"])).await.unwrap();
    let _: u64 = bank.link.query(&cmd(&["HSET", &row, "amount", "1e3"])).await.unwrap();
    let found = look(&mut bank).await;
    assert_eq!((found.open, found.count, found.holds.len(), found.damaged.len()), (2, 0, 0, 2));
    let _: u64 = bank.link.query(&cmd(&["HSET", &row, "amount", &amount])).await.unwrap();
    // Of three that are due, two are searched.
    for member in ["a", "b"] {
        let _: u64 = bank.link.query(&cmd(&["ZADD", &payouts, "8", member])).await.unwrap();
    }
    let found = look(&mut bank).await;
    assert_eq!((found.open, found.damaged.len(), found.is_complete), (4, 2, false));
    for member in ["a", "b", "nonsense"] {
        let _: u64 = bank.link.query(&cmd(&["ZREM", &payouts, member])).await.unwrap();
    }

    bank.lease_over().await;
    assert_eq!(decided(bank.step(Step::VoidByHand { note: "not paid" }).await), Code::PayoutVoided);
    assert_eq!(look(&mut bank).await, none);
    let _: () = bank.link.query(&cmd(&["SET", &bank.keys.payouts(), "x"])).await.unwrap();
    assert!(
        for_review(&mut bank.link, &bank.keys, 10, 2).await.unwrap_err().to_string().contains("sorted set")
    );
}
