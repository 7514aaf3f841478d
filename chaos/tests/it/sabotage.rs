//! Planted bugs: the judge must see each, and blame no other cure for it.

use crate::race::{command, name, rows, run};

/// Plays under a bug; answers the rows that broke a promise, as `cure on store`.
fn broken(bug: &str, words: &[&str]) -> Vec<String> {
    let more = ["--json", "--time", "1ms", "--rounds", "10", "--concurrency", "16"];
    let mut command = command(&[words, &more].concat());
    command.env("TOLLGATE_SABOTAGE", bug);
    let (code, document, _) = run(command);
    let broken: Vec<String> =
        rows(&document).iter().filter(|row| row["verdict"] == "broken").map(name).collect();
    assert_eq!(code == 1, !broken.is_empty(), "{document}");
    let faults = document["faults"].as_array().unwrap();
    assert_eq!(faults.len(), broken.len() + usize::from(document["audit"] == "fail"), "{faults:?}");
    broken
}

#[test]
fn cures_that_read_and_write_apart_are_caught() {
    let cures = ["transaction", "row-lock", "optimistic", "atomic"];
    let cures: Vec<&str> = cures.iter().flat_map(|cure| ["--cure", cure]).collect();
    let broken =
        broken("every_way_is_naive", &[&cures[..], &["--scenario", "ticket", "--cure", "tollgate"]].concat());
    // REPEATABLE READ, SERIALIZABLE, row-lock, optimistic, atomic; optimistic and atomic on Redis.
    assert_eq!(broken.len(), 5 + 2, "{broken:?}");
    assert!(!broken.iter().any(|row| row.contains("tollgate")), "{broken:?}");
}

#[test]
fn a_lock_that_everybody_gets_is_caught_and_does_no_harm_to_a_fence() {
    let broken = broken(
        "lock_for_all",
        &["--scenario", "ticket", "--cure", "lock", "--cure", "lock+fence", "--store", "redis"],
    );
    assert!(broken.len() >= 3, "{broken:?}");
    assert!(broken.iter().all(|row| row.contains("\"lock, ")), "{broken:?}");
}

#[test]
fn a_forgotten_key_and_a_forgotten_receipt_are_caught() {
    let words =
        ["--scenario", "double-click", "--cure", "idempotency-key", "--cure", "tollgate", "--store", "redis"];
    let keys = broken("key_forgotten", &words);
    assert!(keys.len() == 1 && keys[0].contains("idempotency-key"), "{keys:?}");
    // This one is planted in the workers, and their journal shows it to the audit as well.
    let receipts = broken("receipt_check_removed", &words);
    assert!(receipts.len() == 1 && receipts[0].contains("tollgate"), "{receipts:?}");
}
