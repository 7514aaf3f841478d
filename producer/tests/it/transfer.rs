//! `transfer`: sent, decided by a worker, and told to both accounts.

use serde_json::json;

use crate::fixtures::{fresh, open_account};
use crate::harness::Cli;

fn transfer<'a>(from: &'a str, to: &'a str, amount: &'a str, id: &'a str) -> Vec<&'a str> {
    vec!["transfer", "--from", from, "--to", to, "--amount", amount, "--id", id, "--wait=60s"]
}

fn available(cli: &Cli, account: &str) -> serde_json::Value {
    cli.run(&["account", "show", account, "--json"]).json()["available"].clone()
}

#[tokio::test]
async fn a_transfer_is_on_both_statements() {
    let cli = fresh("1");
    open_account(&cli, "a1", 10_000).await;
    open_account(&cli, "a2", 0).await;
    let _worker = cli.worker(&[]);
    assert!(cli.run(&transfer("a1", "a2", "25.50", "t1")).exits(0).contains("transferred"));
    assert!(cli.run(&transfer("a1", "a2", "25.50", "t1")).exits(0).contains("replayed"));
    assert!(cli.run(&transfer("a1", "a2", "75", "t2")).exits(1).contains("insufficient_funds"));
    assert_eq!([available(&cli, "a1"), available(&cli, "a2")], [json!(7450), json!(2550)]);
    for (account, left) in [("a1", "74.50 USD"), ("a2", "25.50 USD")] {
        let statement = cli.run(&["account", "statement", account]);
        let line = statement.exits(0).lines().find(|line| line.contains("t1")).unwrap_or_default();
        assert!(line.contains(left) && line.contains("from a1, to a2"), "{statement:?}");
    }
    assert!(cli.run(&["job", "history", "t1"]).exits(0).contains("transferred"));
    // The account that is not there is named, and not the other one.
    for (from, to) in [("a1", "a22"), ("a22", "a1")] {
        let ran = cli.run(&transfer(from, to, "1", &format!("{from}-{to}")));
        assert!(
            ran.exits(1).contains("account_not_found: no account of this id: a22; did you mean a2?"),
            "{ran:?}"
        );
    }
    cli.run(&["audit"]).exits(0);
}

#[tokio::test]
async fn each_wrong_field_is_named_and_nothing_is_sent() {
    let cli = fresh("2");
    // See docs/protocol.md: in which partition an account lies follows from its name.
    for (args, said) in [
        (["a1", "a1", "1"], "same_account"),
        (["{", "a2", "1"], "id_malformed"),
        (["a1", "", "1"], "id_malformed"),
        (["a1", "a2", "0"], "amount_zero"),
        (["a1", "a2", "-1"], "amount_negative"),
        (["a1", "a2", "1.001"], "amount_out_of_range"),
    ] {
        let ran = cli.run(&transfer(args[0], args[1], args[2], "x"));
        assert!(ran.complains(2).contains(said), "{args:?}: {ran:?}");
    }
    let partitions = tollgate::partition::Partitions::new(2).unwrap();
    let of = |id: &str| tollgate::partition::Partition::of(id, partitions);
    let there = (0..).map(|n| format!("there{n}")).find(|id| of(id) != of("a1")).unwrap();
    let ran = cli.run(&transfer("a1", &there, "1", "x"));
    assert!(
        ran.complains(2).contains("two_partitions") && ran.stderr.contains("withdraw from one"),
        "{ran:?}"
    );
    let line = format!(r#"{{"kind":"transfer","id":"x","from":"a1","to":"{there}","amount":1}}"#);
    for (line, said) in [
        (line.as_str(), "two_partitions"),
        (r#"{"kind":"transfer","id":"x","from":"a1","to":"a1","amount":1}"#, "same_account"),
        (r#"{"kind":"transfer","id":"x","to":"a1","amount":1}"#, "from: "),
        (r#"{"kind":"transfer","id":"x","from":"a1","amount":1}"#, "to: "),
        (r#"{"kind":"transfer","id":"x","from":"a1","to":"a2"}"#, "amount: "),
        (
            r#"{"kind":"transfer","id":"x","from":"a1","to":"a2","amount":1,"currency":"usd"}"#,
            "currency_unknown",
        ),
        (r#"{"kind":"transfer","id":"x","from":"a1","to":"a2","amount":1,"account":"a1"}"#, "unknown_field"),
    ] {
        let ran = cli.run_with(&["enqueue", "-"], line.as_bytes());
        assert!(ran.complains(1).contains(said), "{line}: {ran:?}");
    }
    assert_eq!(cli.run(&["lookup", "x", "--json"]).json()["class"], "not_decided");
}
