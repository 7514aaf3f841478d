//! `audit` as a user meets it: what it prints, and how it exits.

use crate::fixtures::{payout, settle_job};
use crate::harness::Cli;

#[test]
fn a_sound_namespace_passes_and_a_changed_balance_is_exit_5() {
    let cli = Cli::new();
    cli.run(&["account", "open", "a1", "--balance", "10.00"]).exits(0);
    let ran = cli.run(&["audit", "--json"]);
    ran.exits(0);
    let head = &ran.json()["head"][0];
    let position = format!("0:{}:{}", head["seq"], head["hash"].as_str().unwrap());
    assert!(cli.run(&["audit", "--expect", &position]).exits(0).starts_with("audit: pass\n"));

    cli.redis(&["HSET", &format!("{{{}.0}}:account:a1", cli.namespace), "available", "1001"]);
    let ran = cli.run(&["audit", "--json"]);
    ran.exits(5);
    let violation = &ran.json()["violations"][0];
    assert_eq!(violation["resource"], "account:a1");
    assert_eq!(
        (&violation["expected"], &violation["found"]),
        (&"\"1000\" (10.00 USD)".into(), &"\"1001\" (10.01 USD)".into())
    );
    let words = cli.run(&["audit"]);
    assert!(words.exits(5).contains("\nG2 account:a1 (partition 0, seq 1): available"), "{words:?}");
}

#[test]
fn damaged_money_is_told_in_the_currency_of_its_account() {
    for (currency, decimals, damaged) in [
        ("USD", "12.50 USD", "12.51 USD"),
        ("JPY", "1250 JPY", "1251 JPY"),
        ("KWD", "1.250 KWD", "1.251 KWD"),
    ] {
        let cli = Cli::new();
        let (balance, _) = decimals.split_once(' ').unwrap();
        cli.run(&["account", "open", "a1", "--balance", balance, "--currency", currency]).exits(0);
        let key = format!("{{{}.0}}:account:a1", cli.namespace);
        cli.redis(&["HSET", &key, "available", "1251", "held", "x"]);
        let ran = cli.run(&["audit"]);
        let said = ran.exits(5);
        let available = format!("expected \"1250\" ({decimals}), found \"1251\" ({damaged})");
        let zero = match currency {
            "USD" => "0.00 USD",
            "JPY" => "0 JPY",
            _ => "0.000 KWD",
        };
        for words in [available, format!("expected \"0\" ({zero}), found \"x\"")] {
            assert!(said.contains(&words), "{words}: {said}");
        }
    }
}

#[tokio::test]
async fn what_was_posted_and_never_paid_is_exit_5() {
    let cli = Cli::new();
    cli.run(&["account", "open", "a1", "--balance", "100.00"]).exits(0);
    settle_job(&cli, "pay-8", &payout("a1", 2_000, "USD")).await;
    cli.run(&["payout", "post", "pay-8", "--by", "ann", "--reason", "seen"]).exits(0);
    let ledger = tempfile::NamedTempFile::new().unwrap();
    let path = ledger.path().to_str().unwrap();
    let ran = cli.run(&["audit", "--bank-ledger", path]);
    let said = ran.exits(5);
    for words in [
        "payout:pay-8",
        "posted, but the bank never paid it",
        "expected 20.00 USD paid by the bank",
        "found 0.00 USD paid by the bank",
        "20.00 USD posted by operator ann: seen",
        "0.00 USD paid by the bank, 20.00 USD posted, 0.00 USD still open with us",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
}

/// Before the audit, which may be long: nothing is on stdout.
#[test]
fn a_wrong_bank_ledger_is_exit_2_and_told_once() {
    let cli = Cli::new();
    let ledger = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(ledger.path(), "{\"key\":\n").unwrap();
    for (path, reason) in
        [("/nonexist", "No such file or directory"), (ledger.path().to_str().unwrap(), "line 1: EOF")]
    {
        let ran = cli.run(&["audit", "--bank-ledger", path]);
        let said = ran.complains(2);
        assert!(said.contains("--bank-ledger") && said.contains(path), "{said}");
        assert_eq!((said.matches(reason).count(), ran.stdout.as_str()), (1, ""), "{said}");
    }
}

#[test]
fn a_history_that_went_back_is_exit_5_and_a_wrong_position_exit_2() {
    let cli = Cli::new();
    cli.run(&["init"]).exits(0);
    let lost = format!("0:12:{}", "0123456789abcdef0123456789abcdef01234567");
    let ran = cli.run(&["audit", "--expect", &lost]);
    assert!(ran.exits(5).contains("timeline_regressed: 12 lines are lost"), "{ran:?}");
    for wrong in ["12", "0:12:xyz", "0:-1:", ""] {
        cli.run(&["audit", "--expect", wrong]).exits(2);
    }
    let early = cli.run(&["audit", "--expect", &format!("0:0:{}", "0".repeat(40))]);
    assert!(early.complains(2).contains("of seq 0, where there is no entry yet, it is empty"), "{early:?}");
}

/// An emptied Redis is no clean one for whoever kept a position.
#[test]
fn positions_of_what_is_gone_are_a_violation() {
    let cli = Cli::empty();
    let hash = "0".repeat(40);
    assert!(cli.run(&["audit"]).complains(1).contains("not initialised"));
    let lost = cli.run(&["audit", "--expect", &format!("0:7:{hash}")]);
    assert!(lost.complains(5).contains("timeline_regressed"));
}
