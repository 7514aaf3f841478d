//! `lookup`: what became of ids, in the order in which they were asked for.

use serde_json::{Value, json};
use tollgate::amount::Amount;
use tollgate::code::Code;
use tollgate::codes_name::CodesName;
use tollgate::kinds::Withdraw;

use crate::fixtures::{create_campaign, fresh, lines, open_account, redeem, settle_job};

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
async fn an_id_that_cannot_have_been_stored_is_refused_and_one_that_nobody_sent_is_said_so() {
    let cli = fresh("1");
    for command in [&["lookup"][..], &["job", "history"], &["job", "cancel"], &["dead", "show"]] {
        let ran = cli.run(&[command, &["a".repeat(70_000).as_str()]].concat());
        assert!(ran.complains(2).contains("id_malformed"), "{command:?}: {:?}", ran.code);
    }
    let history = cli.run(&["job", "history", "never-sent"]);
    assert!(history.exits(4).contains("it was never sent, did not arrive"), "{history:?}");
    assert!(!history.stdout.contains("it is in flight"), "{history:?}");
}

/// What cannot be read is named with the ids, and no command takes it for what never was.
#[tokio::test]
async fn without_the_head_or_the_journal_nothing_is_made_up() {
    let cli = fresh("1");
    open_account(&cli, "a1", 1000).await;
    create_campaign(&cli, "c", 5, None).await;
    settle_job(&cli, "r1", &redeem("c", "u")).await;
    let key = |name: &str| format!("{{{}.0}}:{name}", cli.namespace);
    let head = cli.redis(&["HGETALL", &key("head")]);
    cli.redis(&["DEL", &key("journal")]);
    for args in [&["job", "history", "r1"][..], &["account", "statement", "a1"]] {
        assert!(cli.run(args).complains(5).contains("there is nothing"), "{args:?}");
    }
    let repaired = cli.run(&["repair", "account", "a1"]);
    assert!(repaired.complains(1).contains("the journal ends at 0"), "{repaired:?}");
    assert!(!repaired.stdout.contains("to be repaired"), "{repaired:?}");

    assert!(!head.is_empty());
    cli.redis(&["DEL", &key("head")]);
    let ran = cli.run(&["lookup", "r1", "r2"]);
    assert!(ran.complains(1).contains("no partition that could be read knows r1, r2"), "{ran:?}");
    for args in
        [&["job", "history", "r1"][..], &["payout", "void", "r1", "--reason", "x"], &["dead", "retry", "r1"]]
    {
        let ran = cli.run(args);
        assert!(matches!(ran.code, Some(1 | 4 | 5)) && !ran.stderr.contains("panicked"), "{args:?}: {ran:?}");
    }
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
