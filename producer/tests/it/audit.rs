//! `audit` as a user meets it: what it prints, and how it exits.

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
    assert_eq!((&violation["expected"], &violation["found"]), (&"\"1000\"".into(), &"\"1001\"".into()));
    let words = cli.run(&["audit"]);
    assert!(words.exits(5).contains("\nG2 account:a1 (partition 0, seq 1): available"), "{words:?}");
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
}
