//! Refunds and reversals by the command line and from files.

use serde_json::json;

use crate::fixtures::{fresh, payout, redeem, settle_job, withdraw};
use crate::harness::Cli;

async fn shop() -> Cli {
    let cli = fresh("1");
    cli.run(&["account", "open", "a1", "--balance", "100"]).exits(0);
    cli.run(&["campaign", "create", "summer", "--limit", "2", "--per-customer", "1"]).exits(0);
    settle_job(&cli, "w1", &withdraw("a1", 6_000, "USD")).await;
    settle_job(&cli, "r1", &redeem("summer", "c1")).await;
    settle_job(&cli, "p1", &payout("a1", 1_000, "USD")).await;
    cli
}

#[tokio::test]
async fn what_was_taken_comes_back_once_and_everybody_sees_it() {
    let cli = shop().await;
    cli.run(&["account", "refund", "a1", "w1", "25.50", "--id", "f1"]).exits(0);
    let again = cli.run(&["account", "refund", "a1", "w1", "25.50", "--id", "f1"]);
    assert!(again.exits(0).contains("replayed"), "{again:?}");
    let more = cli.run(&["account", "refund", "a1", "w1", "34.51", "--id", "f2"]);
    assert!(
        more.exits(1).contains("refund_exceeds") && more.stdout.contains("34.50 USD of it is left"),
        "{more:?}"
    );
    cli.run(&["campaign", "reverse", "summer", "c1", "r1", "--id", "v1"]).exits(0);
    assert!(
        cli.run(&["campaign", "reverse", "summer", "c1", "r1", "--id", "v2"])
            .exits(1)
            .contains("already_reversed")
    );

    let open = cli.run(&["account", "refund", "a1", "p1", "10"]);
    assert!(open.exits(1).contains("payout_not_paid"), "{open:?}");
    cli.run(&["payout", "post", "p1", "--reason", "seen"]).exits(0);
    let paid = cli.run(&["account", "refund", "a1", "p1", "10", "--id", "f3"]);
    assert!(paid.exits(0).contains("its money is with the bank"), "{paid:?}");

    assert!(cli.run(&["lookup", "w1"]).exits(0).contains("withdrawn (25.50 USD refunded)"));
    assert!(cli.run(&["lookup", "r1"]).exits(0).contains("redeemed (reversed)"));
    assert_eq!(cli.run(&["lookup", "w1", "--json"]).json()["given_back"], 2550);
    let campaign = cli.run(&["campaign", "show", "summer", "--json"]).json();
    assert_eq!((&campaign["issued"], &campaign["reversed"]), (&json!(0), &json!(1)));
    let statement = cli.run(&["account", "statement", "a1"]);
    assert!(
        statement.exits(0).contains("refunded") && statement.stdout.contains("of w1, amount "),
        "{statement:?}"
    );
    let refunds: Vec<&str> = statement.stdout.lines().filter(|line| line.contains("of w1")).collect();
    assert!(refunds.iter().all(|line| line.contains(" USD, ")), "{statement:?}");
    let history = cli.run(&["job", "history", "f1"]);
    assert!(history.exits(0).contains("refunded") && history.stdout.contains(" USD, "), "{history:?}");
    let lines: Vec<serde_json::Value> = cli
        .run(&["journal", "export"])
        .exits(0)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let line = |id: &str| lines.iter().find(|line| line["id"] == id).unwrap();
    assert_eq!((&line("f1")["of"], &line("f1")["of_seq"]), (&json!("w1"), &line("w1")["seq"]));
    assert_eq!((&line("f1")["refunded"], &line("f1")["available"]), (&json!(2550), &json!(5550)));
    assert_eq!((&line("v1")["held"], &line("v1")["issued"]), (&json!(0), &json!(0)));
    cli.run(&["audit"]).exits(0);
}

#[tokio::test]
async fn a_file_gives_back_in_its_order_and_each_wrong_field_is_named() {
    let cli = shop().await;
    let file = concat!(
        r#"{"kind":"refund","id":"f1","account":"a1","of":"w1","amount":6000}"#,
        "\n",
        r#"{"kind":"refund","id":"f2","account":"a1","of":"w1","amount":1}"#,
        "\n",
        r#"{"kind":"reverse","id":"v1","campaign":"summer","customer":"c1","quantity":1,"of":"r1"}"#,
        "\n",
        r#"{"kind":"reverse","id":"v2","campaign":"summer","customer":"c1","of":"r1"}"#,
        "\n",
    );
    let ran = cli.run_with(&["enqueue", "-"], file.as_bytes());
    assert!(
        ran.complains(1).contains("refund_exceeds") && ran.stderr.contains("already_reversed"),
        "{ran:?}"
    );
    let lookup = |id: &str| cli.run(&["lookup", id, "--json"]).json()["code"].clone();
    assert_eq!(
        ["f1", "f2", "v1", "v2"].map(lookup),
        ["refunded", "refund_exceeds", "reversed", "already_reversed"]
    );

    for (line, said) in [
        (r#"{"kind":"refund","account":"a1","of":"w1","amount":1}"#, "id: must be given for a refund"),
        (r#"{"kind":"refund","id":"x","of":"w1","amount":1}"#, "account: "),
        (r#"{"kind":"refund","id":"x","account":"a1","amount":1}"#, "of: "),
        (r#"{"kind":"refund","id":"x","account":"a1","of":"{","amount":1}"#, "id_malformed"),
        (r#"{"kind":"refund","id":"x","account":"a1","of":"create/account/a1","amount":1}"#, "id_reserved"),
        (r#"{"kind":"refund","id":"x","account":"a1","of":"w1"}"#, "amount: "),
        (r#"{"kind":"refund","id":"x","account":"a1","of":"w1","amount":0}"#, "amount_zero"),
        (r#"{"kind":"refund","id":"x","account":"a1","of":"w1","amount":-1}"#, "amount_negative"),
        (r#"{"kind":"refund","id":"x","account":"a1","of":"w1","amount":1.5}"#, "amount_out_of_range"),
        (
            r#"{"kind":"refund","id":"x","account":"a1","of":"w1","amount":1,"currency":"USD"}"#,
            "unknown_field",
        ),
        (
            r#"{"kind":"refund","id":"x","account":"a1","of":"w1","amount":1,"at":"2026-01-01T00:00:00Z"}"#,
            "unknown_field",
        ),
        (r#"{"kind":"reverse","id":"x","customer":"c1","of":"r1"}"#, "campaign: "),
        (r#"{"kind":"reverse","id":"x","campaign":"summer","of":"r1"}"#, "customer: "),
        (r#"{"kind":"reverse","id":"x","campaign":"summer","customer":"c1"}"#, "of: "),
        (r#"{"kind":"reverse","id":"x","campaign":"summer","customer":"c1","of":7}"#, "wrong_type"),
        (
            r#"{"kind":"reverse","id":"x","campaign":"summer","customer":"c1","of":"r1","quantity":0}"#,
            "quantity_out_of_range",
        ),
    ] {
        let ran = cli.run_with(&["enqueue", "-"], line.as_bytes());
        assert!(ran.complains(1).contains(said), "{line}: {ran:?}");
    }
    for (args, said) in [
        (&["account", "refund", "a1", "{", "1"][..], "id_malformed"),
        (&["account", "refund", "a1", "w1", "0"], "amount_zero"),
        (&["account", "refund", "a1", "w1", "1.001"], "amount_out_of_range"),
        (&["campaign", "reverse", "summer", "c1", "r1", "--quantity", "0"], "quantity"),
        (&["campaign", "reverse", "summer", "c1", "entry/x"], "id_reserved"),
    ] {
        assert!(cli.run(args).complains(2).contains(said), "{args:?}");
    }
    for (args, said) in [
        (&["account", "refund", "a1", "nothing", "1"][..], "original_not_found"),
        (&["account", "refund", "a1", "r1", "1"], "nothing_to_give_back"),
        (&["account", "refund", "a2", "w1", "1"], "account_not_found"),
        (&["campaign", "reverse", "summer", "c2", "r1"], "original_mismatch"),
        (&["campaign", "reverse", "summer", "c1", "w1"], "nothing_to_give_back"),
    ] {
        assert!(cli.run(args).exits(1).contains(said), "{args:?}");
    }
    assert_eq!(lookup("x"), json!(null));
    cli.run(&["audit"]).exits(0);
}
