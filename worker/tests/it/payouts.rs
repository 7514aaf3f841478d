//! Payouts from outside: every answer of a gateway, and what the account, the gateway and `lookup` say afterwards.

use std::time::Duration;

use tollgate::amount::Amount;
use tollgate::embedded::Temporary;
use tollgate::ids::{AccountId, JobId};
use tollgate::job::Job;
use tollgate::kinds::{AccountOpen, Payout};
use tollgate::resources::{self, AccountState};
use tollgate::scripts::payout::{self, Step};
use tollgate::scripts::settle::Answer as StepAnswer;

use crate::bank::{Answer, Bank};
use crate::harness::{Space, Worker, private, redemptions, until};
use crate::proxy::Proxy;

mod gateways;
mod keys;
mod locks;
mod waiting;

/// Every test has a server that forces each write to disk, as payouts want it.
fn redis() -> Temporary {
    private(&["--appendfsync", "always"])
}

struct Payouts {
    space: Space,
    bank: Bank,
}

/// A short lease, so that what is unknown is soon tried again.
const QUICK: [&str; 4] = ["--payout-timeout", "300ms", "--payout-backoff", "50ms"];

impl Payouts {
    /// Account `a1` has 1000 minor units.
    async fn open(redis: &Temporary, answers: &[Answer]) -> Self {
        let payouts = Self { space: Space::on(redis).await, bank: Bank::open(answers).await };
        payouts.open_account("a1").await;
        payouts
    }

    async fn open_account(&self, name: &str) {
        open_account(&self.space, name).await;
    }

    async fn withdraw(&self, ids: &[&str], account: &str) {
        withdraw(&self.space, ids, account).await;
    }

    fn worker(&self, args: &[&str], failpoints: &str) -> Worker {
        let args = [&["--payout-url", &self.bank.url], &QUICK[..], args].concat();
        self.space.worker_with(&args, failpoints)
    }

    async fn until_fate(&self, id: &str, fate: &str) {
        until(&format!("{id} to be {fate}"), async || (self.space.fate(id).await == fate).then_some(()))
            .await;
    }

    /// What `a1` has: (available, held).
    async fn balance(&self) -> (u64, u64) {
        let account = [AccountId::parse("a1").unwrap()];
        let mut link = self.space.tollgate.server().link().await.unwrap();
        let read = resources::read::<AccountState>(&mut link, self.space.keys(), &account).await.unwrap();
        let state = read[0].state().unwrap();
        (state.available.minor(), state.held.minor())
    }

    async fn say(&self, id: &str, step: Step<'_>) -> StepAnswer {
        let mut link = self.space.tollgate.server().link().await.unwrap();
        let account = AccountId::parse("a1").unwrap();
        let id = JobId::parse(id).unwrap();
        payout::step(&mut link, self.space.keys(), &account, &id, &step).await.unwrap()
    }
}

/// Opens an account with 1000 minor units.
async fn open_account(space: &Space, name: &str) {
    let account = AccountId::parse(name).unwrap();
    let balance = Amount::from_minor(1_000).unwrap();
    let id = JobId::create_account(&account);
    let request = AccountOpen { account, balance, currency: "USD".parse().unwrap() };
    space.settle(&id, &request).await;
}

/// Sends payouts of 100 minor units each.
async fn withdraw(space: &Space, ids: &[&str], account: &str) {
    let job = |id: &&str| {
        let request = Payout {
            account: account.parse().unwrap(),
            amount: Amount::from_minor(100).unwrap(),
            currency: "USD".parse().unwrap(),
            destination: "iban".parse().unwrap(),
        }
        .into();
        Job { id: JobId::parse(*id).unwrap(), at: None, request }
    };
    space.enqueue(&ids.iter().map(job).collect::<Vec<_>>()).await;
}

#[tokio::test]
async fn paid_once_whatever_is_lost_on_the_way() {
    let redis = redis();
    for lost in [
        &[Answer::Pay][..],
        &[Answer::PayAndDrop, Answer::Pay],
        &[Answer::Drop, Answer::Pay],
        &[Answer::Say(500, "oops"), Answer::Pay],
        &[Answer::Say(202, r#"{"status":"accepted"}"#), Answer::Pay],
        &[Answer::Say(200, "<html>a proxy says hello</html>"), Answer::Pay],
        &[Answer::Say(200, r#"{"id":"p1","amount":100,"status":"failed"}"#), Answer::Pay],
        &[Answer::Say(200, r#"{"id":"p1","amount":100,"error":"closed"}"#), Answer::Pay],
        &[Answer::PayLate(Duration::from_millis(500)), Answer::Pay],
    ] {
        let payouts = Payouts::open(&redis, lost).await;
        payouts.withdraw(&["p1"], "a1").await;
        let mut worker = payouts.worker(&[], "");
        payouts.until_fate("p1", "paid").await;
        assert_eq!(payouts.bank.payments(), ["p1"], "{lost:?}");
        assert_eq!(payouts.balance().await, (900, 0), "{lost:?}");
        assert_eq!(worker.drained().await, Some(0));
    }
}

#[tokio::test]
async fn a_refusal_gives_the_money_back_and_anything_unclear_waits_for_a_person() {
    let redis = redis();
    for (answers, fate, balance) in [
        (&[Answer::Say(402, "")][..], "payout_refused", (1_000, 0)),
        (&[Answer::Say(400, r#"{"error":"destination_unknown"}"#)], "payout_refused", (1_000, 0)),
        (&[Answer::Say(404, r#"{"error":"no such iban","id":"p1"}"#)], "payout_refused", (1_000, 0)),
        (&[Answer::Say(422, r#"{"error":"key_reused"}"#)], "needs_review", (900, 100)),
        // The first attempt may have paid: a refusal of the second proves nothing about it.
        (&[Answer::Drop, Answer::Say(402, "")], "needs_review", (900, 100)),
    ] {
        let payouts = Payouts::open(&redis, answers).await;
        payouts.withdraw(&["p1"], "a1").await;
        let _worker = payouts.worker(&[], "");
        payouts.until_fate("p1", fate).await;
        assert_eq!(payouts.balance().await, balance, "{answers:?}");
        assert_eq!(payouts.bank.payments(), [""; 0]);
    }
}

#[tokio::test]
async fn without_keys_one_attempt_ever_then_a_person_decides() {
    let redis = redis();
    let payouts = Payouts::open(&redis, &[Answer::Drop]).await;
    payouts.withdraw(&["p1"], "a1").await;
    let _worker = payouts.worker(&["--payout-retry", "never"], "");
    payouts.until_fate("p1", "needs_review").await;
    assert_eq!(payouts.bank.asked(), 1);
    assert_eq!(payouts.balance().await, (900, 100));
    payouts.say("p1", Step::VoidByHand { note: "ann: the bank says no" }).await;
    payouts.until_fate("p1", "payout_voided").await;
    assert_eq!(payouts.balance().await, (1_000, 0));
}

#[tokio::test]
async fn wrong_credentials_or_a_wrong_path_pause_the_payer_and_cost_nothing() {
    for answer in [
        Answer::Say(401, r#"{"error":"unauthorized"}"#),
        Answer::Say(404, r#"{"error":"Not Found"}"#),
        Answer::Say(404, r#"{"message":"Not Found","status":404}"#),
        Answer::Say(302, ""),
    ] {
        pauses_and_costs_nothing(answer).await;
    }
}

async fn pauses_and_costs_nothing(answer: Answer) {
    let redis = redis();
    let payouts = Payouts::open(&redis, &[answer]).await;
    payouts.withdraw(&["p1", "p2", "p3"], "a1").await;
    payouts.open_account("a2").await;
    payouts.withdraw(&["p4"], "a2").await;
    let worker = payouts.worker(&["-c", "1"], "");
    worker.says("credentials are wrong").await;
    // One-step jobs go on.
    payouts.space.enqueue(&redemptions("r", 50)).await;
    until("the redemptions", async || (payouts.space.issued().await == 50).then_some(())).await;
    assert_eq!(payouts.bank.asked(), 1, "nothing is asked while payouts are paused");
    assert_eq!(payouts.balance().await, (700, 300));
}

#[tokio::test]
async fn one_payout_of_an_account_at_a_time_many_accounts_at_once() {
    let redis = redis();
    let slow = Answer::PayLate(Duration::from_millis(60));
    let payouts = Payouts::open(&redis, &[slow]).await;
    let ids: Vec<String> = (0..8).map(|n| format!("same-{n}")).collect();
    payouts.withdraw(&ids.iter().map(String::as_str).collect::<Vec<_>>(), "a1").await;
    let workers = [payouts.worker(&[], ""), payouts.worker(&[], "")];
    for id in &ids {
        payouts.until_fate(id, "paid").await;
    }
    assert_eq!(payouts.bank.at_once_max(), 1, "two payouts of one account were on their way at once");
    drop(workers);

    // Each takes so long that the next one begins meanwhile, on whatever machine.
    let payouts = Payouts::open(&redis, &[Answer::PayLate(Duration::from_secs(2))]).await;
    for n in 0..8 {
        payouts.open_account(&format!("b{n}")).await;
        payouts.withdraw(&[format!("many-{n}").as_str()], &format!("b{n}")).await;
    }
    let _worker = payouts.space.worker(&["--payout-url", &payouts.bank.url, "--payout-timeout", "20s"]);
    for n in 0..8 {
        payouts.until_fate(&format!("many-{n}"), "paid").await;
    }
    assert!(payouts.bank.at_once_max() > 1, "payouts of different accounts waited for one another");
}

#[tokio::test]
async fn cut_off_from_redis_it_begins_nothing_and_another_finds_out_what_it_paid() {
    let redis = redis();
    let payouts = Payouts::open(&redis, &[Answer::PayLate(Duration::from_millis(200)), Answer::Pay]).await;
    payouts.withdraw(&["p1", "p2"], "a1").await;
    let proxy = Proxy::start(redis.socket());
    let args = [&["--payout-url", &payouts.bank.url], &QUICK[..]].concat();
    let _cut_off = payouts.space.worker_at(&proxy.url(), &args, "");
    until("the first payment", async || (payouts.bank.asked() == 1).then_some(())).await;
    proxy.cut();
    let _other = payouts.worker(&[], "");
    for id in ["p1", "p2"] {
        payouts.until_fate(id, "paid").await;
    }
    let mut paid = payouts.bank.payments();
    paid.sort();
    assert_eq!(paid, ["p1", "p2"]);
    assert_eq!(payouts.bank.asked(), 2, "one request for each: the first was found out by asking");
    assert_eq!(payouts.balance().await, (800, 0));
}

#[tokio::test]
async fn a_payer_wants_a_redis_that_forces_every_write_to_disk() {
    let redis = private(&["--appendfsync", "everysec"]);
    let payouts = Payouts::open(&redis, &[Answer::Pay]).await;
    let mut worker = payouts.worker(&[], "");
    worker.says("appendfsync").await;
    assert_eq!(worker.ended().await.code(), Some(3));
}

#[tokio::test]
async fn the_token_is_shown_to_the_gateway_and_never_in_the_log() {
    let redis = redis();
    let payouts = Payouts::open(&redis, &[Answer::Pay]).await;
    payouts.withdraw(&["p1"], "a1").await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "s3cret\n").unwrap();
    let worker = payouts.worker(&["--payout-token-file", file.path().to_str().unwrap()], "");
    payouts.until_fate("p1", "paid").await;
    assert_eq!(payouts.bank.token().as_deref(), Some("Bearer s3cret"));
    assert!(!worker.log().contains("s3cret"), "{}", worker.log());
}

/// The rows of docs/payouts.md in which a process dies or is stopped.
#[cfg(feature = "failpoints")]
mod dies {
    use super::*;

    #[tokio::test]
    async fn at_any_step_and_the_next_worker_repairs_it() {
        let redis = redis();
        for point in [
            "before_settle",
            "after_settle",
            "before_begin",
            "after_begin",
            "after_pay",
            "before_record",
            "after_record",
        ] {
            let payouts = Payouts::open(&redis, &[Answer::Pay]).await;
            payouts.withdraw(&["p1"], "a1").await;
            let mut doomed = payouts.worker(&[], &format!("{point}:abort:id=p1"));
            assert_eq!(doomed.ended().await.code(), None, "{point}: killed by a signal");
            let _next = payouts.worker(&[], "");
            payouts.until_fate("p1", "paid").await;
            assert_eq!(payouts.bank.payments(), ["p1"], "{point}");
            assert_eq!(payouts.balance().await, (900, 0), "{point}");
        }
    }

    #[tokio::test]
    async fn stopped_past_its_lease_it_is_harmless() {
        let redis = redis();
        for point in ["after_begin", "after_pay"] {
            let payouts = Payouts::open(&redis, &[Answer::Pay]).await;
            payouts.withdraw(&["p1"], "a1").await;
            let mut late = payouts.worker(&[], &format!("{point}:stop:id=p1"));
            late.stopped().await;
            let _next = payouts.worker(&[], "");
            payouts.until_fate("p1", "paid").await;
            // The late one has its say: no request any more, or a post that is a replay.
            late.signal(rustix::process::Signal::CONT);
            assert_eq!(late.drained().await, Some(0));
            assert_eq!(payouts.bank.payments(), ["p1"], "{point}");
            assert_eq!(payouts.balance().await, (900, 0), "{point}");
        }
    }
}
