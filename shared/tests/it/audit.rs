//! The audit: clean where all is well, red with the right name for every fault that is planted, and never red for
//! what is only in motion.

mod busy;
mod populated;

use tollgate::scripts::payout::Step;
use tollgate_audit::{Check, Position, Report, Verdict};

use crate::harness::cmd;
use crate::space::{redeem, withdraw};
use populated::{CODES_NAME, Populated, assert_clean};

#[tokio::test]
async fn a_sound_namespace_passes_and_says_what_was_looked_at() {
    let space = Populated::new().await;
    let report = space.audit().await;
    assert_clean(&report);
    let checked = report.checked;
    assert_eq!((checked.partitions, checked.lines, checked.receipts), (1, 33, 25));
    assert_eq!((checked.campaigns, checked.accounts, checked.holds), (2, 3, 3));
    assert_eq!((checked.holders, checked.codes, checked.parked, checked.in_progress), (3, 3, 2, 0));
    assert_eq!((report.head.len(), report.head[0].seq, report.head[0].hash.len()), (1, 33, 40));
    assert_clean(&space.expecting(&report.head).await);
}

#[tokio::test]
async fn an_empty_namespace_passes() {
    let report = Populated::empty().await.audit().await;
    assert_clean(&report);
    assert_eq!(report.head[0].to_string(), "0:0:");
}

/// What is planted, and what the audit must name: the guarantee and the resource.
const FAULTS: &[(&str, Check, &str)] = &[
    // Balances.
    ("HSET $account:a1 available 741", Check::G2, "account:a1"),
    ("HSET $account:a1 available 0740", Check::G2, "account:a1"),
    ("HSET $account:a1 available -1", Check::G2, "account:a1"),
    ("HDEL $account:a1 available", Check::G2, "account:a1"),
    ("HSET $account:a1 held 1", Check::G2, "account:a1"),
    ("HSET $account:a1 currency EUR", Check::G9, "account:a1"),
    ("HSET $account:a2 status open", Check::G9, "account:a2"),
    ("HSET $account:a1 seq 3", Check::G9, "account:a1"),
    ("HSET $account:a1 seq 15", Check::G9, "account:a1"),
    ("HSET $account:a1 seq 34", Check::G9, "account:a1"),
    ("HSET $account:a1 seq 9007199254740991", Check::G9, "account:a1"),
    ("HSET $account:a1 seq x", Check::G9, "account:a1"),
    ("DEL $account:a1", Check::G2, "account:a1"),
    ("SET $account:a1 740", Check::G2, "account:a1"),
    ("HSET $account:a3 available 5 held 0 currency USD status open seq 9", Check::G9, "account:a3"),
    // Campaigns.
    ("HSET $campaign:summer issued 3", Check::G1, "campaign:summer"),
    ("HSET $campaign:summer issued 5", Check::G1, "campaign:summer"),
    ("HDEL $campaign:summer issued", Check::G1, "campaign:summer"),
    ("HSET $campaign:summer limit 100", Check::G1, "campaign:summer"),
    ("HSET $campaign:summer per_customer 3", Check::G1, "campaign:summer"),
    ("HSET $campaign:summer opens_at_ms 1", Check::G9, "campaign:summer"),
    ("HSET $campaign:summer closes_at_ms 1", Check::G9, "campaign:summer"),
    ("HSET $campaign:summer status closed", Check::G9, "campaign:summer"),
    ("HSET $campaign:summer codes_count 1", Check::G9, "campaign:summer"),
    ("HDEL $campaign:summer seq", Check::G9, "campaign:summer"),
    ("DEL $campaign:summer", Check::G1, "campaign:summer"),
    ("LPUSH $campaign:winter x", Check::G9, "campaign:winter"),
    // Holders.
    ("HSET $holders:summer c1 1", Check::G1, "campaign:summer"),
    ("HSET $holders:summer c1 x", Check::G1, "campaign:summer"),
    ("HDEL $holders:summer c2", Check::G1, "campaign:summer"),
    ("HSET $holders:summer c7 1", Check::G1, "campaign:summer"),
    ("HSET $holders:summer c1 3", Check::G1, "campaign:summer"),
    ("HSET $holders:summer c1 1 c2 3", Check::G1, "campaign:summer"),
    ("DEL $holders:summer", Check::G1, "campaign:summer"),
    ("HSET $holders:winter c1 1", Check::G9, "campaign:winter"),
    // Receipts.
    ("HSET $receipts:kept j6 0123456789abcdef~withdrawn~9", Check::G5, "receipt:j6"),
    ("HSET $receipts:kept j11 junk", Check::G4, "receipt:j11"),
    ("HDEL $receipts:kept j3", Check::G4, "receipt:j3"),
    ("HSET $receipts:kept j99 0123456789abcdef~redeemed~4", Check::G4, "receipt:j99"),
    ("HSET $receipts:9999999 j99 0123456789abcdef~redeemed~4", Check::G4, "receipt:j99"),
    ("HSET $receipts:9999999 j99 0123456789abcdef~redeemed~99", Check::G4, "receipt:j99"),
    ("DEL $receipts:kept", Check::G4, "receipt:j1"),
    ("HSET $receipts:kept p3 0123456789abcdef~paid~30", Check::G5, "receipt:p3"),
    ("HDEL $receipts:kept p3", Check::G4, "receipt:p3"),
    ("HDEL $receipts:kept p1", Check::G4, "receipt:p1"),
    // Payouts.
    ("HSET $hold:p1 amount 99", Check::G14, "hold:p1"),
    ("HSET $hold:p2 attempts 2", Check::G14, "hold:p2"),
    ("HSET $hold:p5 state paying", Check::G14, "hold:p5"),
    ("DEL $hold:p1", Check::G14, "hold:p1"),
    ("SET $hold:p1 x", Check::G14, "hold:p1"),
    ("HSET $hold:p9 account a4 amount 1 seq 30", Check::G14, "hold:p9"),
    ("ZREM $payouts a4\\tp1", Check::G14, "hold:p1"),
    ("ZADD $payouts 1 a4\\tp3", Check::G14, "hold:p3"),
    ("HSET $account:a4 held 200", Check::G2, "account:a4"),
    // Codes (the name is the SHA-256 of the list).
    ("HSET $codes:@ 2 BBX", Check::G9, "codes:@"),
    ("HDEL $codes:@ 3", Check::G9, "codes:@"),
    ("HSET $codes:@ 4 DDD", Check::G9, "codes:@"),
    ("DEL $codes:@", Check::G9, "codes:@"),
    // The index.
    ("ZADD $resources 0 campaign:winter", Check::G9, "campaign:winter"),
    ("ZADD $resources 0 junk", Check::G9, "junk"),
    ("ZREM $resources account:a1", Check::G9, "account:a1"),
    ("DEL $resources", Check::G9, "campaign:summer"),
    // The head.
    ("HSET $head seq 32", Check::G9, "head"),
    ("HSET $head seq 34", Check::G9, "head"),
    ("HSET $head hash 0123456789012345678901234567890123456789", Check::G9, "head"),
    ("HDEL $head hash", Check::G9, "head"),
    ("HINCRBY $head acked 1", Check::G10, "head"),
    ("HINCRBY $head acked -1", Check::G10, "head"),
    ("HSET $head to_dead 0", Check::G10, "head"),
    ("HINCRBY $head to_scheduled 1", Check::G10, "head"),
    ("HINCRBY $head requeued 1", Check::G10, "head"),
    ("HINCRBY $head discarded 1", Check::G10, "head"),
    ("HINCRBY $head overtaken 1", Check::G10, "head"),
    ("HDEL $head overtaken", Check::G10, "head"),
    ("HDEL $head replayed", Check::G10, "head"),
    ("HSET $head mismatched x", Check::G10, "head"),
    ("HSET $head partition 1", Check::G9, "head"),
    ("HSET $head format 1", Check::G9, "head"),
    ("HSET $head identity 0123456789abcdef0123456789abcdef", Check::G9, "head"),
    ("HSET $head floor_highest 1", Check::G3, "head"),
    ("HSET $head dropped_hour_highest 9999999", Check::G3, "head"),
    ("HDEL $head floor_credit_ms", Check::G10, "head"),
    ("HSET $head receipts_floor 9999999", Check::G4, "head"),
    ("DEL $head", Check::G9, "head"),
    // The journal.
    ("XDEL $journal 1-0", Check::G9, "journal"),
    ("XDEL $journal 7-0", Check::G9, "journal"),
    ("XDEL $journal 33-0", Check::G9, "head"),
    ("XADD $journal 33-1 a b", Check::G9, "journal"),
    ("XADD $journal * a b", Check::G9, "journal"),
    (
        "XADD $journal 34-0 at_ms 1 by ann lines j20\\twithdraw\\twithdrawn\\ta1\\t40\\tUSD\\t700 hash x",
        Check::G9,
        "journal",
    ),
    ("DEL $journal", Check::G9, "head"),
    // Parked jobs.
    ("HDEL $parked dead-1", Check::G10, "parked:dead-1"),
    ("HDEL $parked later-1", Check::G10, "parked:later-1"),
    ("HSET $parked dead-1 junk", Check::G10, "parked:dead-1"),
    (
        "HSET $parked dead-2 dead\\t0123456789abcdef\\t0\\tdefault\\tx\\t17\\tjunk",
        Check::G10,
        "parked:dead-2",
    ),
    ("ZADD $scheduled 5 later-1", Check::G10, "parked:later-1"),
    ("ZADD $dead 5 later-1", Check::G10, "parked:later-1"),
    ("ZREM $dead dead-1", Check::G10, "parked:dead-1"),
    // What a foreign entry leaves behind when it is taken out again.
    ("XSETID $journal 999-0", Check::G9, "journal"),
    ("ZADD $dead 5 dead-3", Check::G10, "parked:dead-3"),
];

#[tokio::test]
async fn every_planted_fault_is_found_and_named() {
    let mut missed = Vec::new();
    for (fault, check, resource) in FAULTS {
        let mut space = Populated::new().await;
        space.run(fault).await;
        let report = space.audit().await;
        let is_named = report
            .violations
            .iter()
            .any(|found| found.check == *check && found.resource == resource.replace('@', CODES_NAME));
        if report.verdict != Verdict::Fail || !is_named {
            missed.push(format!("{fault}: {:#?}", report.violations));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

/// Writes the journal again with other entries: `change` gets each entry's id and fields and says what becomes of it.
async fn rewrite(space: &mut Populated, change: impl Fn(&str, &mut Vec<String>) -> bool) {
    let key = space.keys.journal();
    let rows: Vec<(String, Vec<String>)> = space.link.query(&cmd(&["XRANGE", &key, "-", "+"])).await.unwrap();
    space.link.run(&cmd(&["DEL", &key])).await.unwrap();
    for (entry, mut fields) in rows {
        if change(&entry, &mut fields) {
            let mut words = vec!["XADD", &key, &entry];
            words.extend(fields.iter().map(String::as_str));
            space.link.run(&cmd(&words)).await.unwrap();
        }
    }
}

fn has(report: &Report, check: Check, resource: &str, position: u64) -> bool {
    let is_it = |found: &tollgate_audit::Violation| {
        found.check == check && found.resource == resource && found.positions.contains(&position)
    };
    report.violations.iter().any(is_it)
}

#[tokio::test]
async fn a_changed_journal_line_is_found_at_its_place() {
    // Line 9 is j6: 300 withdrawn from a1, 700 left.
    for (from, to) in [
        ("300", "301"),
        ("700", "701"),
        ("withdrawn", "insufficient_funds"),
        ("j6", "j66"),
        ("USD", "EUR"),
        ("a1", "a2"),
        ("withdrawn", "stolen"),
        ("withdraw\t", "deposit\t"),
    ] {
        let mut space = Populated::new().await;
        rewrite(&mut space, |entry, fields| {
            if entry == "9-0" {
                fields[5] = fields[5].replacen(from, to, 1);
            }
            true
        })
        .await;
        let report = space.audit().await;
        assert!(has(&report, Check::G9, "journal", 9), "{from} -> {to}: {:#?}", report.violations);
    }
}

#[tokio::test]
async fn a_line_whose_hash_was_made_to_fit_is_found_by_the_model_and_the_receipts() {
    let mut space = Populated::new().await;
    // 300 more than the account had left when j7 asked for 701 of 700.
    rewrite(&mut space, |entry, fields| {
        if entry == "10-0" {
            fields[5] = fields[5].replace("insufficient_funds", "withdrawn");
        }
        true
    })
    .await;
    let report = space.audit().await;
    assert!(has(&report, Check::G2, "account:a1", 10), "{:#?}", report.violations);
    assert!(has(&report, Check::G4, "receipt:j7", 10), "{:#?}", report.violations);
}

#[tokio::test]
async fn an_id_that_was_decided_twice_is_named_with_both_places() {
    let mut space = Populated::new().await;
    space.run("HDEL $receipts:kept j6").await;
    space.settle("j6", &withdraw("a1", 300)).await;
    let report = space.audit().await;
    assert!(has(&report, Check::G3, "receipt:j6", 9), "{:#?}", report.violations);
    assert!(has(&report, Check::G3, "receipt:j6", 34), "{:#?}", report.violations);
}

#[tokio::test]
async fn a_position_that_the_history_does_not_go_through_is_found() {
    let mut space = Populated::new().await;
    let before = space.audit().await.head;
    space.settle("more-1", &redeem("summer", "c5", 1)).await;
    assert_clean(&space.expecting(&before).await);
    let after = space.audit().await.head;
    for (change, what) in [
        (Position { seq: 39, ..after[0].clone() }, "5 lines are lost"),
        (Position { hash: "0".repeat(40), ..before[0].clone() }, "another one"),
        (Position { partition: 7, ..before[0].clone() }, "no such partition"),
    ] {
        let report = space.expecting(&[change]).await;
        assert_eq!(report.verdict, Verdict::Fail);
        let found = &report.violations[0];
        assert!(found.check == Check::G13 && found.what.contains("timeline_regressed"), "{found}");
        assert!(found.what.contains(what), "{found}");
    }
}

#[tokio::test]
async fn whatever_lies_under_a_key_is_a_violation_and_never_a_failure() {
    let names = [
        "head",
        "queues",
        "queue:default",
        "scheduled",
        "dead",
        "parked",
        "receipts:kept",
        "journal",
        "campaign:summer",
        "holders:summer",
        "account:a1",
        "hold:p1",
        "payouts",
        "resources",
        concat_codes(),
    ];
    let kinds = [
        "SET $@ junk",
        "RPUSH $@ junk",
        "HSET $@ junk \u{1}",
        "ZADD $@ 1 junk",
        "XADD $@ 1-1 a b",
        "SADD $@ x",
    ];
    for name in names {
        for kind in kinds {
            let mut space = Populated::new().await;
            space.run(&format!("DEL ${name}")).await;
            space.run(&kind.replace('@', name)).await;
            let report = space.audit().await;
            assert_eq!(report.verdict, Verdict::Fail, "{kind} at {name}");
        }
    }
}

fn concat_codes() -> &'static str {
    static NAME: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    NAME.get_or_init(|| format!("codes:{CODES_NAME}"))
}

#[tokio::test]
async fn a_payout_that_was_paid_after_it_was_given_back_is_told() {
    let mut space = Populated::new().await;
    space.step("p6", Step::Paid { note: "late" }).await;
    let report = space.audit().await;
    assert!(has(&report, Check::G28, "account:a4", 34), "{:#?}", report.violations);
    assert_eq!(report.violations.len(), 1, "{:#?}", report.violations);
}
