//! Which payouts a gateway takes for one: those of one key, and a key is of one payout only.

use tollgate::ids::{AccountId, JobId, Namespace};
use tollgate::payout_key::PayoutKey;
use tollgate::resource::Resource;

use super::*;

/// The keys of the partition in which the account is.
fn keys_of<'a>(space: &'a Space, account: &AccountId) -> &'a tollgate::keys::Keys {
    space.tollgate.keys(space.tollgate.partition_of(Resource::Account(account)))
}

/// Two accounts in two partitions.
fn two_accounts(space: &Space) -> [AccountId; 2] {
    let partition = |account: &AccountId| space.tollgate.partition_of(Resource::Account(account));
    let mut accounts = (0..).map(|number| AccountId::parse(format!("a{number}")).unwrap());
    let first = accounts.next().unwrap();
    let other = accounts.find(|account| partition(account) != partition(&first)).unwrap();
    [first, other]
}

async fn until_paid(space: &Space, account: &AccountId, id: &str) {
    until(&format!("{id} of {account} to be paid"), async || {
        (space.fate_in(keys_of(space, account), id).await == "paid").then_some(())
    })
    .await;
}

#[tokio::test]
async fn one_id_on_two_accounts_and_in_two_namespaces_is_paid_each_time() {
    let redis = redis();
    let bank = Bank::open(&[Answer::Pay]).await;
    let spaces = [Space::with_partitions(&redis, 2).await, Space::with_partitions(&redis, 2).await];
    let args = [&["--payout-url", &bank.url], &QUICK[..]].concat();
    let mut workers = Vec::new();
    let mut expected = Vec::new();
    for space in &spaces {
        for account in two_accounts(space) {
            open_account(space, account.as_str()).await;
            withdraw(space, &["invoice-1"], account.as_str()).await;
            let id = JobId::parse("invoice-1").unwrap();
            expected.push(PayoutKey::of(None, space.tollgate.namespace(), &account, &id).to_string());
        }
        workers.push(space.worker_with(&args, ""));
    }
    for space in &spaces {
        for account in two_accounts(space) {
            until_paid(space, &account, "invoice-1").await;
        }
    }
    assert_eq!(bank.payments(), ["invoice-1"; 4], "each was really paid");
    let mut keys = bank.keys();
    keys.sort();
    expected.sort();
    assert_eq!(keys, expected);
}

#[tokio::test]
async fn an_id_of_any_text_reaches_the_gateway_under_a_printable_key() {
    let redis = redis();
    let bank = Bank::open(&[Answer::PayAndDrop, Answer::Pay]).await;
    let space = Space::on(&redis).await;
    let (account, id) = ("\u{fc}ber: alles", "Rechnung 17/\u{e4}");
    open_account(&space, account).await;
    withdraw(&space, &[id], account).await;
    let args = [&["--payout-url", &bank.url, "--payout-key-prefix", "east"], &QUICK[..]].concat();
    let _worker = space.worker_with(&args, "");
    until_paid(&space, &account.parse().unwrap(), id).await;
    assert_eq!(bank.payments(), [id], "asked about by its key, and not paid again");
    let namespace: &Namespace = space.tollgate.namespace();
    assert_eq!(bank.keys(), [format!("east:{namespace}:~C3~BCber~3A~20alles:Rechnung~2017~2F~C3~A4")]);
}

#[tokio::test]
async fn an_open_payout_keeps_the_key_it_began_with() {
    let redis = redis();
    let payouts = Payouts::open(&redis, &[Answer::PayAndDrop, Answer::Pay]).await;
    payouts.withdraw(&["p1"], "a1").await;
    let first = payouts.worker(&["--payout-backoff", "1h"], "");
    until("the first attempt", async || (payouts.bank.asked() == 1).then_some(())).await;
    drop(first);
    // The pause is over.
    let member = "a1\tp1";
    payouts.space.cmd(&["ZADD", &payouts.space.keys().payouts(), "0", member]).await;
    let _next = payouts.worker(&["--payout-key-prefix", "other"], "");
    payouts.until_fate("p1", "paid").await;
    assert_eq!(payouts.bank.payments(), ["p1"], "the key of the first attempt was asked about");
}

#[tokio::test]
async fn an_answer_that_names_another_payout_proves_nothing() {
    let redis = redis();
    for other in [
        r#"{"id":"p1","amount":100,"account":"a2"}"#,
        r#"{"id":"p1","amount":100,"destination":"another"}"#,
        r#"{"id":"p1","amount":100,"currency":"EUR"}"#,
    ] {
        let payouts = Payouts::open(&redis, &[Answer::Say(200, other)]).await;
        payouts.withdraw(&["p1"], "a1").await;
        let _worker = payouts.worker(&["--payout-retry", "never"], "");
        payouts.until_fate("p1", "needs_review").await;
        assert_eq!(payouts.balance().await, (900, 100), "{other}");
    }
}
