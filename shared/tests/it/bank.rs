//! `audit --bank-ledger`: the payouts of a namespace against what the gateway says that it did.

use std::fmt::Write;
use std::time::Duration;

use serde_json::json;
use tollgate::amount::Amount;
use tollgate::code::Code;
use tollgate::fingerprint::Fingerprint;
use tollgate::ids::{AccountId, Actor, JobId, QueueName};
use tollgate::kinds::{AccountOpen, Fields, Payout};
use tollgate::link::Link;
use tollgate::partition::Partitions;
use tollgate::payout_key::PayoutKey;
use tollgate::resource::Resource;
use tollgate::scripts::payout::{Begin, Retry, Step, hold, step_by};
use tollgate::scripts::settle::{Answer, Item, settle};
use tollgate::{RETENTION_DEFAULT, Tollgate};
use tollgate_audit::{Report, Verdict, audit, reconcile};

use crate::harness::{GATEWAY, servers, shared};

/// A namespace with accounts in several currencies, and what the bank wrote down.
struct Books {
    tollgate: Tollgate,
    link: Link,
    ledger: String,
    prefix: Option<&'static str>,
}

impl Books {
    async fn open() -> Self {
        let namespace = servers::namespace();
        let partitions = Partitions::new(2).unwrap();
        let tollgate = Tollgate::init(shared(), namespace, partitions, RETENTION_DEFAULT).await.unwrap();
        let link = tollgate.server().link().await.unwrap();
        let mut books = Self { tollgate, link, ledger: String::new(), prefix: None };
        for (account, currency) in [("a1", "USD"), ("a2", "USD"), ("yen", "JPY"), ("kwd", "KWD")] {
            let account = AccountId::parse(account).unwrap();
            let open = AccountOpen {
                account: account.clone(),
                balance: Amount::from_minor(100_000).unwrap(),
                currency: currency.parse().unwrap(),
            };
            let id = JobId::create_account(&account);
            books.tollgate.settle_one(&mut books.link, &id, &open).await.unwrap();
        }
        books
    }

    /// Holds 12.50, 1250 or 1.250, whatever the currency makes of it.
    async fn hold(&mut self, account: &str, currency: &str, id: &str) {
        let request = Payout {
            account: account.parse().unwrap(),
            amount: Amount::from_minor(1_250).unwrap(),
            currency: currency.parse().unwrap(),
            destination: "iban".parse().unwrap(),
        };
        let (fingerprint, id) = (Fingerprint::of(&request), JobId::parse(id).unwrap());
        let item = Item { entry: None, id: &id, request: &request, fingerprint };
        let partition = self.tollgate.partition_of(request.resource());
        let keys = self.tollgate.keys(partition).clone();
        let settled = settle(&mut self.link, &keys, &QueueName::default(), &[item]).await.unwrap();
        assert_eq!(settled.answers[0].code(), Some(Code::Held));
    }

    async fn step(&mut self, account: &str, id: &str, made: Step<'_>) -> Answer {
        let (account, id) = (AccountId::parse(account).unwrap(), JobId::parse(id).unwrap());
        let keys = self.tollgate.keys(self.tollgate.partition_of(Resource::Account(&account))).clone();
        let by_hand = matches!(made, Step::PostByHand { .. } | Step::VoidByHand { .. });
        let by = by_hand.then(|| Actor::parse("ann").unwrap());
        step_by(&mut self.link, &keys, &account, &id, &made, by.as_ref()).await.unwrap()
    }

    fn key(&self, account: &str, id: &str) -> PayoutKey {
        let prefix = self.prefix.map(|prefix| prefix.parse().unwrap());
        let (account, id) = (account.parse().unwrap(), id.parse().unwrap());
        PayoutKey::of(prefix.as_ref(), self.tollgate.namespace(), &account, &id)
    }

    async fn begin(&mut self, account: &str, id: &str) {
        let key = self.key(account, id);
        let begin = Begin {
            key: "attempt",
            lease: Duration::ZERO,
            retry: Retry::SameKey,
            key_window: Duration::from_secs(60),
            backoff: Duration::ZERO,
            gateway: &GATEWAY,
            idempotency_key: &key,
        };
        let answer = self.step(account, id, Step::Begin(begin)).await;
        assert_eq!(answer.code(), Some(Code::Paying));
    }

    /// A payout that has begun.
    async fn begun(&mut self, account: &str, currency: &str, id: &str) {
        self.hold(account, currency, id).await;
        self.begin(account, id).await;
    }

    /// A payout that is paid on both sides.
    async fn paid(&mut self, account: &str, currency: &str, id: &str) {
        self.begun(account, currency, id).await;
        self.step(account, id, Step::Paid { note: "201" }).await;
        self.line("paid", account, currency, id, 1_250, "iban");
    }

    /// A line of the bank, as its own file has it.
    fn line(
        &mut self,
        outcome: &str,
        account: &str,
        currency: &str,
        id: &str,
        amount: u64,
        destination: &str,
    ) {
        let key = self.key(account, id).to_string();
        self.line_under(&key, outcome, account, currency, id, amount, destination);
    }

    #[allow(clippy::too_many_arguments, reason = "the fields of a line")]
    fn line_under(
        &mut self,
        key: &str,
        outcome: &str,
        account: &str,
        currency: &str,
        id: &str,
        amount: u64,
        destination: &str,
    ) {
        let line = json!({
            "key": key, "outcome": outcome, "id": id, "account": account, "amount": amount,
            "currency": currency, "destination": destination,
        });
        writeln!(self.ledger, "{line}").unwrap();
    }

    async fn audit(&mut self) -> Report {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &self.ledger).unwrap();
        let mut report = audit(&self.tollgate, &[], &|_| {}).await.unwrap();
        assert!(report.violations.is_empty(), "{:#?}", report.violations);
        reconcile(&self.tollgate, file.path(), &mut report).await.unwrap();
        report
    }

    /// The violations, each as `resource: what; expected …, found …`.
    async fn violations(&mut self) -> Vec<String> {
        let report = self.audit().await;
        assert_eq!(report.verdict == Verdict::Pass, report.violations.is_empty());
        let text = |found: &tollgate_audit::Violation| {
            format!("{}: {}; expected {}, found {}", found.resource, found.what, found.expected, found.found)
        };
        report.violations.iter().map(text).collect()
    }
}

#[tokio::test]
async fn two_books_that_agree_pass() {
    let mut books = Books::open().await;
    books.paid("a1", "USD", "same").await;
    books.paid("a2", "USD", "same").await;
    books.paid("yen", "JPY", "y").await;
    books.paid("kwd", "KWD", "k").await;
    // Refused on both sides, held, begun, and paid by the bank while we do not know it yet.
    books.begun("a1", "USD", "refused").await;
    let fence = {
        let keys =
            books.tollgate.keys(books.tollgate.partition_of(Resource::Account(&"a1".parse().unwrap())));
        hold(&mut books.link, keys, &"refused".parse().unwrap()).await.unwrap().unwrap().fence
    };
    books.step("a1", "refused", Step::Refused { fence, note: "402" }).await;
    books.line("refused", "a1", "USD", "refused", 1_250, "iban");
    books.hold("a1", "USD", "held").await;
    books.begun("a1", "USD", "begun").await;
    books.begun("a1", "USD", "open").await;
    books.line("paid", "a1", "USD", "open", 1_250, "iban");
    // Of others who use the same gateway.
    books.line_under("another:a1:same", "paid", "a1", "USD", "same", 9, "x");
    let east = format!("east:{}:a1:same", books.tollgate.namespace());
    books.line_under(&east, "paid", "a1", "USD", "same", 9, "x");
    assert_eq!(books.violations().await, [""; 0]);
    let bank = books.audit().await.bank.unwrap();
    assert_eq!((bank.paid_by_bank, bank.open, bank.paid_again, bank.others), (5, 1, 0, 2));
    let sums: Vec<_> =
        bank.sums.iter().map(|s| (s.currency.as_str(), s.paid_by_bank, s.posted, s.open)).collect();
    assert_eq!(sums, [("JPY", 1250, 1250, 0), ("KWD", 1250, 1250, 0), ("USD", 3750, 2500, 1250)]);
}

#[tokio::test]
async fn posted_without_a_payment_is_named_with_both_sums_and_who_posted() {
    for (account, currency, sum, zero) in [
        ("a1", "USD", "12.50 USD", "0.00 USD"),
        ("yen", "JPY", "1250 JPY", "0 JPY"),
        ("kwd", "KWD", "1.250 KWD", "0.000 KWD"),
    ] {
        for (refused, bank_says) in [(false, "the bank does not list it"), (true, "the bank refused it")] {
            for (by_hand, poster) in
                [(true, "operator ann: seen in the list"), (false, "the gateway's word (201)")]
            {
                let mut books = Books::open().await;
                books.paid(account, currency, "other").await;
                books.begun(account, currency, "pay-8").await;
                if refused {
                    books.line("refused", account, currency, "pay-8", 1_250, "iban");
                }
                let post = match by_hand {
                    true => Step::PostByHand { note: "seen in the list" },
                    false => Step::Paid { note: "201" },
                };
                assert_eq!(books.step(account, "pay-8", post).await.code(), Some(Code::Paid));
                let violations = books.violations().await;
                assert_eq!(
                    violations[0],
                    format!(
                        "payout:pay-8: posted, but the bank never paid it (account {account}); expected \
                         {sum} paid by the bank, found {zero} paid by the bank ({bank_says}), \
                         {sum} posted by {poster}"
                    )
                );
                assert!(
                    violations[1].starts_with(&format!("payouts:{currency}: the two books differ in sum"))
                );
                assert_eq!(violations.len(), 2);
            }
        }
    }
}

#[tokio::test]
async fn each_payment_that_our_book_does_not_explain_is_named() {
    async fn case(
        make: impl AsyncFnOnce(&mut Books),
        resource: &str,
        what: &str,
        differs: impl Into<Option<&str>>,
    ) {
        let mut books = Books::open().await;
        books.paid("a2", "USD", "sound").await;
        make(&mut books).await;
        let violations = books.violations().await;
        assert!(violations.iter().any(|v| v.starts_with(&format!("{resource}: {what}"))), "{violations:#?}");
        let sums = violations.iter().find(|v| v.contains("differ in sum"));
        match differs.into() {
            Some(differs) => assert!(sums.unwrap().ends_with(differs), "{violations:#?}"),
            None => assert_eq!(sums, None),
        }
    }
    case(
        async |books| books.line("paid", "a1", "USD", "p", 100, "x"),
        "payout:p",
        "the bank paid what nobody",
        "13.50 USD paid by the bank",
    )
    .await;
    case(
        async |books| {
            books.paid("a1", "USD", "p").await;
            books.line("paid", "a1", "USD", "p", 1_250, "iban");
        },
        "payout:p",
        "the bank paid it more than once",
        "37.50 USD paid by the bank",
    )
    .await;
    for (amount, currency, destination, sums) in [
        (1_251, "USD", "iban", Some("25.01 USD paid by the bank")),
        (1_250, "EUR", "iban", Some("12.50 EUR paid by the bank")),
        (1_250, "USD", "another", None),
    ] {
        case(
            async |books| {
                books.begun("a1", "USD", "p").await;
                books.step("a1", "p", Step::Paid { note: "201" }).await;
                books.line("paid", "a1", currency, "p", amount, destination);
            },
            "payout:p",
            "the bank paid something else",
            sums,
        )
        .await;
    }
    case(
        async |books| {
            books.hold("a1", "USD", "p").await;
            books.line("paid", "a1", "USD", "p", 1_250, "iban");
        },
        "payout:p",
        "the bank paid before an attempt",
        "25.00 USD paid by the bank",
    )
    .await;
    case(
        async |books| {
            books.begun("a1", "USD", "p").await;
            books.step("a1", "p", Step::VoidByHand { note: "no" }).await;
            books.line("paid", "a1", "USD", "p", 1_250, "iban");
        },
        "payout:p",
        "given back although the bank paid",
        "25.00 USD paid by the bank",
    )
    .await;
    case(
        async |books| {
            books.begun("a1", "USD", "p").await;
            books.step("a1", "p", Step::Paid { note: "201" }).await;
            books.line_under("p", "paid", "a1", "USD", "p", 1_250, "iban");
        },
        "payout:p",
        "the bank paid it under another key",
        None,
    )
    .await;
}

#[tokio::test]
async fn a_prefix_of_ours_makes_a_line_ours() {
    let mut books = Books::open().await;
    books.prefix = Some("east");
    books.paid("a1", "USD", "p").await;
    books.line("paid", "a1", "USD", "nobody", 1_250, "iban");
    let violations = books.violations().await;
    assert!(
        violations[0].starts_with("payout:nobody: the bank paid what nobody asked for"),
        "{violations:#?}"
    );
}
