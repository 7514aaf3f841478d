//! A real shop's purchase log, from its CSV to the last decision.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Cli, drain, opened};

fn jobs(csv: &Path) -> std::process::Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/cdnow.awk");
    Command::new("awk").arg("-f").arg(script).arg(csv).output().unwrap()
}

#[tokio::test]
async fn every_purchase_is_decided_once_however_often_the_file_is_sent() {
    let csv = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/data/cdnow_sample.csv");
    let jobs = jobs(&csv);
    assert!(jobs.status.success(), "{jobs:?}");
    let cli = Cli::new();
    for _ in 0..2 {
        let ran = cli.run_with(&["--json", "enqueue"], &jobs.stdout);
        ran.exits(1);
        assert_eq!((&ran.json()["invalid"], &ran.json()["refused"]), (&json!(8), &json!(0)));
        assert_eq!(ran.stderr.matches("(amount_zero)").count(), 8);
    }
    let (tollgate, mut link) = opened(&cli).await;
    assert_eq!(drain(&tollgate, &mut link).await, 2 * (6_911 + 6_919));
    let export = cli.run(&["journal", "export", "--json"]);
    let lines: Vec<Value> = export.exits(0).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let decided = |code: &str| lines.iter().filter(|line| line["code"] == code).count();
    assert_eq!((decided("withdrawn"), decided("redeemed"), decided("account_opened")), (6_911, 6_919, 2_357));
    assert_eq!(lines.len(), 6_911 + 6_919 + 2_357 + 1);
    assert_eq!(cli.run(&["--json", "campaign", "show", "cdnow"]).json()["issued"], 6_919);
    let accounts = cli.run(&["account", "ls", "--json"]).json();
    assert!(accounts.as_array().unwrap().iter().all(|account| account["available"] == 0));
}

#[test]
fn a_row_that_is_no_purchase_stops_the_converter() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("log.csv");
    for (text, said) in [
        ("id,date\n", "line 1: the header"),
        ("customer,date,units,dollars\n1,d,1,5.00\n1,d,1,5\n", "line 3: not a row"),
        ("customer,date,units,dollars\n1,d,1,-5.00\n", "line 2: not a row"),
    ] {
        std::fs::write(&file, text).unwrap();
        let output = jobs(&file);
        assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(said), "{output:?}");
    }
}
