//! Each key of a partition deleted in turn: what `stats` and `audit` see of it, as docs/operating.md says in its table.

use std::collections::BTreeSet;

use tollgate::code::Code;
use tollgate::codes_name::CodesName;
use tollgate::ids::{Bucket, JobId};
use tollgate::kinds::Payout;
use tollgate::scripts::integrity::integrity;
use tollgate::scripts::park::Destination;
use tollgate::scripts::{beat, stats, survey};

use crate::space::*;

const DOC: &str = include_str!("../../../docs/operating.md");
const ARCHITECTURE: &str = include_str!("../../../ARCHITECTURE.md");

/// The table's rows: keys, what `stats` shows, and whether the audit fails.
fn rows() -> Vec<(Vec<String>, String, bool)> {
    let table = DOC.lines().skip_while(|line| !line.starts_with("| deleted |")).skip(2);
    let rows = table.take_while(|line| line.starts_with('|')).map(|line| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let keys = cells[1].split(", ").map(|key| key.trim_matches('`').to_owned()).collect();
        let audit = match cells[4] {
            "yes" => true,
            "no" => false,
            other => panic!("{line}: {other:?} is neither yes nor no"),
        };
        (keys, cells[3].to_owned(), audit)
    });
    rows.collect()
}

/// A partition in which every kind of key exists. Answers the name of its uploaded codes.
async fn furnished(s: &mut Space) -> CodesName {
    let list = tollgate::codes::Codes::read("ALPHA\n".as_bytes()).unwrap();
    list.upload(&mut s.link, &s.keys).await.unwrap();
    let codes = list.name().clone();
    let mut terms = terms("c", 1);
    terms.codes = Some(codes.clone());
    assert_eq!(s.make(terms.into()).await, Code::CampaignCreated);
    assert_eq!(s.make(open("a", 100)).await, Code::AccountOpened);
    assert_eq!(s.settle_as(&id("mine"), &redeem("c", "u", 1)).await.code(), Some(Code::Redeemed));
    let payout = Payout {
        account: "a".parse().unwrap(),
        amount: tollgate::amount::Amount::from_minor(5).unwrap(),
        currency: "USD".parse().unwrap(),
        destination: "iban".parse().unwrap(),
    };
    assert_eq!(s.settle_as(&id("payout"), &payout).await.code(), Some(Code::Held));
    crate::inventory::open_sale(s, "i", None, &[("pen", 2)]).await;
    assert_eq!(s.make(crate::inventory::purchase("i", "u", "pen")).await, Code::Purchased);
    assert_eq!(s.make(crate::inventory::reserve("i", "u", "pen")).await, Code::Reserved);
    assert_eq!(s.make(crate::cases::case_open("l")).await, Code::CaseOpened);
    let entries =
        s.deliver("w", &[fresh(withdraw("a", 1)), fresh(withdraw("a", 1)), fresh(withdraw("a", 1))]).await;
    let later = tollgate::instant::Instant::from_ms(s.now_ms().await + 3_600_000).unwrap();
    s.park(&entries[0], Destination::Scheduled(later)).await.unwrap();
    s.park(&entries[1], Destination::Dead(Code::WorkerLost)).await.unwrap();
    s.settle_entries(&entries[2..]).await;
    beat::beat(&mut s.link, &s.keys, "w", "{}").await.unwrap();
    survey::read(&mut s.link, &s.keys).await.unwrap();
    codes
}

/// What `stats` finds, by the names of its problems.
async fn found(s: &mut Space) -> BTreeSet<&'static str> {
    let mut found = BTreeSet::new();
    let (stats, missing) = match stats::read(&mut s.link, &s.keys).await {
        Err(_) => return BTreeSet::from(["the partition cannot be read"]),
        Ok(stats) => (stats, integrity(&mut s.link, &s.keys).await.unwrap()),
    };
    let lost = stats.queues.iter().any(|queue| queue.problem.is_some());
    found.extend(lost.then_some("queue_lost"));
    found.extend((!lost && !stats.is_conserved()).then_some("jobs_missing"));
    found.extend((!missing.is_empty()).then_some("key_missing"));
    found
}

#[tokio::test]
async fn whatever_key_is_deleted_is_seen_as_the_table_says() {
    const WORDS: [&str; 4] = ["the partition cannot be read", "queue_lost", "jobs_missing", "key_missing"];
    let mut listed = BTreeSet::new();
    for (names, stats, audit_fails) in rows() {
        for name in names {
            let mut space = Space::new().await;
            let s = &mut space;
            let codes = furnished(s).await;
            let k = &s.keys;
            let key = match name.as_str() {
                "queue:<name>" => k.queue(&s.queue),
                "in_flight:<name>" => k.in_flight(&s.queue),
                "campaign:<id>" => k.campaign(&"c".parse().unwrap()),
                "account:<id>" => k.account(&"a".parse().unwrap()),
                "holders:<id>" => k.holders(&"c".parse().unwrap()),
                "codes:<name>" => k.codes(&codes),
                "hold:<id>" => k.hold(&id("payout")),
                "inventory:<id>" => k.inventory(&"i".parse().unwrap()),
                "case:<id>" => k.case(&"l".parse().unwrap()),
                "items:<id>" => k.items(&"i".parse().unwrap()),
                "stock:<id>" => k.stock(&"i".parse().unwrap()),
                "buyers:<id>" => k.buyers(&"i".parse().unwrap()),
                "orders:<id>" => k.orders(&"i".parse().unwrap()),
                "receipts:<hour>" => k.receipts(JobId::fresh().bucket()),
                "receipts:kept" => k.receipts(Bucket::Kept),
                plain => k.head().replace("head", plain),
            };
            if name == "in_flight:<name>" {
                s.deliver("w", &[fresh(withdraw("a", 1))]).await;
            }
            if name == "repair" {
                // It is there only while a repair runs.
                s.number(&["HSET", &key, "u", "1"]).await;
            }
            assert_eq!(s.number(&["DEL", &key]).await, 1, "{name} was there");
            let expected: BTreeSet<&str> = WORDS.into_iter().filter(|word| stats.contains(word)).collect();
            assert_eq!(found(s).await, expected, "stats without {name}");
            let report = tollgate_audit::audit(&s.tollgate, &[], &|_| {}).await.unwrap();
            assert_eq!(
                !report.violations.is_empty(),
                audit_fails,
                "audit without {name}: {:#?}",
                report.violations
            );
            listed.insert(name);
        }
    }
    // Every key that there is.
    let keys = ARCHITECTURE.lines().skip_while(|line| !line.starts_with("| key |")).skip(2);
    let keys = keys.take_while(|line| line.starts_with('|')).filter_map(|row| row.split('`').nth(1));
    for key in keys {
        assert!(listed.contains(key), "{key} is not in the table of what is lost");
    }
}
