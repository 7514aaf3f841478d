//! Campaigns and accounts: made once, replayed, refused with the field that differs, listed.

use serde_json::json;

use crate::harness::Cli;

#[test]
fn the_same_again_is_a_replay_and_other_terms_are_refused_by_name() {
    let cli = Cli::new();
    let create = ["--json", "campaign", "create", "summer", "--limit", "100", "--per-customer", "1"];
    let first = cli.run(&create);
    first.exits(0);
    assert_eq!(
        first.stdout,
        "{\"id\":\"create/campaign/summer\",\"partition\":0,\"class\":\"applied\",\"code\":\"campaign_created\",\"seq\":1,\"replayed\":false}\n"
    );
    let again = cli.run(&create);
    again.exits(0);
    assert_eq!(again.json()["replayed"], true);
    assert_eq!(again.json()["seq"], 1);
    for (args, field) in [
        (&["--limit", "101", "--per-customer", "1"][..], "limit"),
        (&["--limit", "100"][..], "per_customer"),
        (&["--limit", "100", "--per-customer", "1", "--opens-at", "2026-01-01T00:00:00Z"][..], "opens_at"),
    ] {
        let other = cli.run(&[&["--json", "campaign", "create", "summer"], args].concat());
        other.exits(1);
        assert_eq!(
            (&other.json()["code"], &other.json()["field"]),
            (&json!("campaign_exists"), &json!(field))
        );
    }

    let open = |balance: &str, currency: &str| {
        cli.run(&["--json", "account", "open", "a1", "--balance", balance, "--currency", currency])
    };
    open("100.00", "USD").exits(0);
    assert_eq!(open("100", "USD").json()["replayed"], true);
    for (balance, currency, field) in [("100.01", "USD", "balance"), ("100", "EUR", "currency")] {
        let other = open(balance, currency);
        other.exits(1);
        assert_eq!(
            (&other.json()["code"], &other.json()["field"]),
            (&json!("account_exists"), &json!(field))
        );
    }
}

#[test]
fn what_exists_under_another_id_is_compared_too() {
    let cli = Cli::new();
    let lines = r#"{"kind":"campaign_create","id":"c-1","campaign":"c","limit":5}
{"kind":"account_open","id":"a-1","account":"a","balance":5}"#;
    cli.run_with(&["enqueue"], lines.as_bytes()).exits(0);
    let code_and_field = |args: &[&str]| {
        let ran = cli.run(&[&["--json"], args].concat());
        ran.exits(1);
        (ran.json()["code"].clone(), ran.json()["field"].clone())
    };
    let campaign = ["campaign", "create", "c", "--limit"];
    assert_eq!(code_and_field(&[&campaign[..], &["6"]].concat()), (json!("campaign_exists"), json!("limit")));
    let account = ["account", "open", "a", "--balance", "0.05"];
    assert_eq!(code_and_field(&account), (json!("account_exists"), json!("id")));
}

#[test]
fn states_are_shown_by_contract() {
    let cli = Cli::new();
    cli.run(&["campaign", "create", "c1", "--limit", "3", "--closes-at", "2099-01-01T00:00:00Z"]).exits(0);
    cli.run(&["account", "open", "a1", "--balance", "90071992547409.91"]).exits(0);
    cli.run(&["account", "open", "yen", "--balance", "7", "--currency", "JPY"]).exits(0);
    assert_eq!(
        cli.run(&["--json", "campaign", "show", "c1"]).exits(0),
        "{\"campaign\":\"c1\",\"limit\":3,\"issued\":0,\"reversed\":0,\"per_customer\":null,\"opens_at\":null,\
         \"closes_at\":\"2099-01-01T00:00:00Z\",\"codes\":null,\"status\":\"open\"}\n"
    );
    assert_eq!(
        cli.run(&["--json", "account", "show", "a1"]).exits(0),
        "{\"account\":\"a1\",\"available\":9007199254740991,\"held\":0,\"currency\":\"USD\",\"status\":\"open\",\
         \"payouts\":[]}\n"
    );
    assert_eq!(cli.run(&["account", "show", "yen"]).exits(0), "yen  open  7 JPY available, 0 JPY held\n");
    let list = cli.run(&["account", "ls", "--json"]);
    assert_eq!(list.json().as_array().unwrap().len(), 2);
    assert_eq!(cli.run(&["campaign", "ls"]).exits(0).lines().count(), 1);
    for (noun, code) in [("account", "account_not_found"), ("campaign", "campaign_not_found")] {
        assert!(cli.run(&[noun, "show", "none"]).complains(1).contains(code));
        let refused = cli.run(&[noun, "close", "none", "--json"]);
        refused.exits(1);
        assert_eq!(refused.json()["code"], code);
    }
}

#[test]
fn deposits_repeat_by_their_key() {
    let cli = Cli::new();
    cli.run(&["account", "open", "a", "--balance", "0"]).exits(0);
    let deposit = |amount: &str| cli.run(&["--json", "account", "deposit", "a", amount, "--id", "pay-1"]);
    assert_eq!(deposit("12.50").json()["code"], "deposited");
    assert_eq!(deposit("12.5").json()["replayed"], true);
    let other = deposit("12.51");
    other.exits(1);
    assert_eq!((&other.json()["code"], &other.json()["field"]), (&json!("id_mismatch"), &json!("amount")));
    assert_eq!(cli.run(&["--json", "account", "show", "a"]).json()["available"], 1250);
    cli.run(&["account", "deposit", "a", "0.01"]).exits(0);
    assert_eq!(cli.run(&["--json", "account", "close", "a"]).json()["code"], "account_not_empty");
}

#[test]
fn limits_move_between_what_is_issued_and_what_is_expected() {
    let cli = Cli::new();
    cli.run(&["campaign", "create", "c", "--limit", "5"]).exits(0);
    let set = |args: &[&str]| {
        let ran = cli.run(&[&["--json", "campaign", "set-limit", "c"], args].concat());
        (ran.code, ran.json()["code"].clone())
    };
    assert_eq!(set(&["7", "--expect", "6"]), (Some(1), json!("limit_not_as_expected")));
    assert_eq!(set(&["7", "--expect", "5"]), (Some(0), json!("limit_set")));
    assert_eq!(cli.run(&["--json", "campaign", "show", "c"]).json()["limit"], 7);
    assert_eq!(cli.run(&["--json", "campaign", "close", "c"]).json()["code"], "closed");
    assert_eq!(cli.run(&["--json", "campaign", "close", "c"]).json()["code"], "ended");
}

#[test]
fn a_list_longer_than_a_page_over_several_partitions_is_complete() {
    let cli = Cli::empty();
    cli.run(&["init", "--partitions", "3"]).exits(0);
    let lines: String = (0..1800)
        .map(|n| format!("{{\"kind\":\"account_open\",\"account\":\"a{n}\",\"balance\":{n}}}\n"))
        .collect();
    cli.run_with(&["enqueue"], lines.as_bytes()).exits(0);
    let list = cli.run(&["account", "ls", "--json"]).json();
    let mut balances: Vec<u64> =
        list.as_array().unwrap().iter().map(|account| account["available"].as_u64().unwrap()).collect();
    balances.sort_unstable();
    assert!(balances.iter().copied().eq(0..1800));
    assert_eq!(cli.run(&["campaign", "ls", "--json"]).exits(0), "[]\n");
}

#[tokio::test]
async fn damage_is_shown_for_its_resource_alone() {
    let cli = Cli::new();
    for account in ["a", "b", "c"] {
        cli.run(&["account", "open", account, "--balance", "1"]).exits(0);
    }
    let tollgate = cli.tollgate().await;
    let mut link = tollgate.server().link().await.unwrap();
    let keys = tollgate.keys(tollgate.partitions().get(0).unwrap());
    let key = |id: &str| keys.account(&id.parse().unwrap());
    crate::harness::redis(&mut link, &["SET", &key("a"), "x"]).await;
    crate::harness::redis(&mut link, &["HSET", &key("b"), "available", "1e3"]).await;
    let list = cli.run(&["account", "ls", "--json"]);
    list.exits(1);
    let statuses: Vec<_> = list.json().as_array().unwrap().iter().map(|a| a["status"].clone()).collect();
    assert_eq!(statuses, ["corrupt_state", "corrupt_state", "open"]);
    assert!(list.stderr.contains("its available is \"1e3\""), "{list:?}");
    assert_eq!(
        cli.run(&["account", "show", "a", "--json"]).exits(1),
        "{\"account\":\"a\",\"available\":null,\"held\":null,\"currency\":null,\"status\":\"corrupt_state\",\
         \"payouts\":[]}\n"
    );
    let deposit = cli.run(&["account", "deposit", "b", "1", "--json"]);
    deposit.exits(1);
    assert_eq!(deposit.json()["code"], "corrupt_state");
    crate::harness::redis(&mut link, &["DEL", &key("a")]).await;
    assert!(cli.run(&["account", "show", "a"]).complains(1).contains("its key is gone"));
}

#[test]
fn init_changes_the_retention_but_never_the_partitions() {
    let cli = Cli::empty();
    let init = |args: &[&str]| cli.run(&[&["--json", "init"], args].concat());
    let ready = |partitions: u16, retention_ms: u64| json!({"namespace": cli.namespace, "partitions": partitions, "retention_ms": retention_ms});
    assert_eq!(init(&["--partitions", "4", "--retention", "1d"]).json(), ready(4, 86_400_000));
    assert_eq!(init(&["--retention", "2h"]).json(), ready(4, 7_200_000));
    assert_eq!(init(&[]).json(), ready(4, 7_200_000));
    assert!(init(&["--partitions", "5"]).complains(1).contains("is 4, which cannot be changed to 5"));
}

#[test]
fn only_init_initialises() {
    let cli = Cli::empty();
    for args in [
        &["account", "ls"][..],
        &["campaign", "show", "c"],
        &["campaign", "create", "c", "--limit", "1"],
        &["account", "open", "a", "--balance", "1"],
        &["redeem", "--campaign", "c", "--customer", "u"],
        &["burst", "redeem", "--jobs", "1"],
    ] {
        assert!(
            cli.run(args).complains(1).contains("not initialised\nhint: run `tollgate-producer init`"),
            "{args:?}"
        );
    }
}
