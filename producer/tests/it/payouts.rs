//! `payout ls|show|post|void` and `account show`: money as people write it, damage by its name, and one id of several
//! accounts.

use std::time::Duration;

use tollgate::embedded::Temporary;
use tollgate::ids::{AccountId, LockName};
use tollgate::instant::Instant;
use tollgate::lock::{LockNodes, LockOptions, Locks};
use tollgate::resource::Resource;

use crate::fixtures::{fresh, payout, settle_job};
use crate::harness::{Cli, Ran};

#[tokio::test]
async fn people_read_decimals_with_the_currency_and_programs_minor_units() {
    for (currency, balance, held, left) in [
        ("USD", "100.00", "12.50 USD", "87.50 USD"),
        ("JPY", "10000", "1250 JPY", "8750 JPY"),
        ("KWD", "10.000", "1.250 KWD", "8.750 KWD"),
    ] {
        let cli = Cli::new();
        cli.run(&["account", "open", "a1", "--balance", balance, "--currency", currency]).exits(0);
        settle_job(&cli, "p1", &payout("a1", 1_250, currency)).await;
        let expected = format!("{left} available, {held} held");
        for args in [&["account", "show", "a1"][..], &["account", "ls"]] {
            let ran = cli.run(args);
            assert!(ran.exits(0).contains(&expected), "{ran:?}");
        }
        for args in [&["account", "show", "a1"][..], &["payout", "ls"], &["payout", "show", "p1"]] {
            let ran = cli.run(args);
            assert!(ran.exits(0).contains(&format!("  {held}  held ")), "{ran:?}");
        }
        let json = cli.run(&["payout", "ls", "--json"]).json();
        assert_eq!((&json[0]["amount"], &json[0]["currency"]), (&1_250.into(), &currency.into()));
        let ran = cli.run(&["payout", "void", "p1", "--reason", "no"]);
        assert!(ran.exits(0).contains(&format!("({held} from a1 to iban-1)")), "{ran:?}");
    }
}

#[tokio::test]
async fn a_payout_shows_who_has_the_lock_of_its_account_since_when_and_until_when() {
    let cli = Cli::new();
    cli.run(&["account", "open", "a1", "--balance", "100.00"]).exits(0);
    settle_job(&cli, "p1", &payout("a1", 100, "USD")).await;
    let free = cli.run(&["payout", "show", "p1", "--json"]).json();
    assert_eq!((&free["lock"]["owner"], &free["lock"]["answering"]), (&serde_json::Value::Null, &1.into()));
    let server = cli.tollgate().await.server().clone();
    let locks = Locks::new(LockNodes::with_data(server), cli.namespace.parse().unwrap()).owned_by("w-7");
    let options = LockOptions::of_ttl(Duration::from_secs(600));
    let (before, name) = (Instant::now().ms(), LockName::payouts(&"a1".parse().unwrap()));
    let lock = locks.acquire(&name, &options).await.unwrap();
    let after = Instant::now().ms();
    let shown = cli.run(&["payout", "show", "p1", "--json"]).json()["lock"].clone();
    assert_eq!(
        (&shown["owner"], &shown["answering"], &shown["servers"]),
        (&"w-7".into(), &1.into(), &1.into())
    );
    assert!((before..=after).contains(&shown["since_ms"].as_u64().unwrap()), "{shown}");
    assert!(shown["until_ms"].as_u64().unwrap() > after + 300_000, "{shown}");
    let ran = cli.run(&["payout", "show", "p1"]);
    for words in ["on the data Redis", "held by w-7 since 20", "for at most ", "1 of 1 nodes answer"] {
        assert!(ran.exits(0).contains(words), "{words}: {ran:?}");
    }
    lock.release().await.unwrap();
    // A key that never ends is none of ours, and says so.
    let key = tollgate::keys::Keys::lock(&cli.namespace.parse().unwrap(), &name);
    cli.redis(&["SET", &key, "by hand"]);
    let ran = cli.run(&["payout", "show", "p1"]);
    assert!(ran.exits(0).contains("is no lock of ours: `by hand`"), "{ran:?}");
    // Servers of their own, of which one does not answer.
    let show = |args: &[&str], urls: &str| {
        Ran::of(cli.command(args).env("TOLLGATE_LOCK_URLS", urls).output().unwrap())
    };
    let nodes: Vec<_> = (0..2).map(|_| Temporary::start(&[]).unwrap()).collect();
    let urls = format!("{},{},unix:///nowhere/at/all", nodes[0].url(), nodes[1].url());
    let shown = show(&["payout", "show", "p1", "--json"], &urls).json();
    let lock = &shown["lock"];
    assert_eq!(
        (&lock["owner"], &lock["answering"], &lock["servers"]),
        (&serde_json::Value::Null, &2.into(), &3.into())
    );
    assert!(lock["detail"].as_str().unwrap().contains("/nowhere/at/all: "), "{lock}");
    let ran = show(&["payout", "show", "p1"], "redis://a,redis://b");
    assert!(ran.complains(1).contains("TOLLGATE_LOCK_URLS: 2 lock servers"), "{ran:?}");
}

#[tokio::test]
async fn a_damaged_payout_is_listed_by_its_name_beside_the_others() {
    let cli = Cli::new();
    cli.run(&["account", "open", "a1", "--balance", "100.00"]).exits(0);
    for id in ["p1", "p2", "p3", "p4"] {
        settle_job(&cli, id, &payout("a1", 100, "USD")).await;
    }
    let keys = cli.keys(&cli.tollgate().await);
    let hold = |id: &str| keys.hold(&id.parse().unwrap());
    cli.redis(&["HSET", &hold("p1"), "amount", "1e3"]);
    cli.redis(&["DEL", &hold("p2")]);
    cli.redis(&["DEL", &hold("p3")]);
    cli.redis(&["SET", &hold("p3"), "text"]);
    cli.redis(&["ZADD", &keys.payouts(), "0", "nonsense"]);
    let ran = cli.run(&["payout", "ls"]);
    let said = ran.exits(0);
    for words in [
        format!("{}: amount cannot be read", hold("p1")),
        format!("{} is gone", hold("p2")),
        format!("{} is no hash", hold("p3")),
        "nonsense".to_owned(),
        "1.00 USD  held".to_owned(),
    ] {
        assert!(said.contains(&words), "{words}: {said}");
    }
    assert_eq!(said.matches(" damaged ").count(), 4, "{said}");
    assert!(ran.stderr.contains("hint: nobody goes on with a damaged payout"), "{ran:?}");
    let json = cli.run(&["payout", "ls", "--json"]).json();
    let damaged = json.as_array().unwrap().iter().filter(|payout| payout["state"] == "damaged").count();
    assert_eq!(damaged, 4, "{json}");
    assert_eq!(cli.run(&["payout", "show", "p1", "--json"]).json()["state"], "damaged");
    cli.run(&["payout", "show", "p1"]).exits(1);
    assert!(cli.run(&["account", "show", "a1"]).exits(0).contains(" damaged "));
    cli.run(&["payout", "show", "p4"]).exits(0);
}

#[tokio::test]
async fn a_word_about_an_id_of_two_accounts_names_the_account() {
    let cli = fresh("2");
    let tollgate = cli.tollgate().await;
    let partition = |name: &str| tollgate.partition_of(Resource::Account(&AccountId::parse(name).unwrap()));
    let other = (1..).map(|n| format!("b{n}")).find(|name| partition(name) != partition("a1")).unwrap();
    for account in ["a1", &other] {
        cli.run(&["account", "open", account, "--balance", "10.00"]).exits(0);
        settle_job(&cli, "invoice-1", &payout(account, 100, "USD")).await;
    }
    let post = ["payout", "post", "invoice-1", "--reason", "seen"];
    let of = |account: &str| [&post[..], &["--account", account]].concat().join(" ");
    for args in [&post[..], &["payout", "show", "invoice-1"]] {
        let ran = cli.run(args);
        ran.exits(2);
        assert!(ran.stderr.contains("--account") && ran.stderr.contains(&other), "{ran:?}");
    }
    let run = |words: String| cli.run(&words.split(' ').collect::<Vec<_>>());
    assert!(run(of(&other)).exits(0).contains(&format!("from {other} to iban-1")));
    // Said again, it is the same one, and the other account's is not touched, named or not.
    assert!(run(of(&other)).exits(0).contains("replayed"));
    cli.run(&post).exits(2);
    assert_eq!(cli.run(&["account", "show", "a1", "--json"]).json()["held"], 100);
    assert!(run(of("a1")).exits(0).contains("from a1 to iban-1"));
    run(of("nobody")).exits(1);
}
