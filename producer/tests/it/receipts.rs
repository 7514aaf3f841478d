//! `receipts drop`: by the rule and only by it.

use serde_json::json;
use tollgate::code::Code;
use tollgate::fetch::Take;
use tollgate::fingerprint::Fingerprint;
use tollgate::ids::JobId;
use tollgate::ids::QueueName;
use tollgate::scripts::park::{Destination, Parking, park};
use tollgate::scripts::settle::Source;

use crate::fixtures::{fresh, lines, open, redeem, settle_job};

#[tokio::test]
async fn receipts_are_dropped_by_the_rule_and_only_by_it() {
    let cli = fresh("2");
    let nothing = cli.run(&["receipts", "drop", "--yes", "--json"]).json();
    assert_eq!(nothing.as_array().unwrap().len(), 2);
    assert_eq!((&nothing[0]["partition"], &nothing[0]["buckets"]), (&json!(0), &json!(0)));

    // An id of three hours ago, decided; then the retention is one hour.
    let tollgate = cli.tollgate().await;
    let old = tollgate::instant::Instant::now().ms() - 3 * tollgate::ids::HOUR_MS;
    let old = format!("{:08x}-{:04x}-7000-8000-000000000000", old >> 16, old & 0xffff);
    assert_eq!(settle_job(&cli, &old, &open("a1", 1)).await, Code::AccountOpened);
    cli.run(&["init", "--retention", "1h"]).exits(0);

    // A job of before holds the floor: waiting alone never expires a job.
    let found = cli.run(&["lookup", &old, "--json"]);
    let partition = lines(found.exits(0))[0]["partition"].as_u64().unwrap();
    let keys = tollgate.keys(tollgate.partitions().get(partition as u16).unwrap()).clone();
    let stream = keys.queue(&QueueName::default());
    let long_ago = tollgate::instant::Instant::now().ms() - 6 * tollgate::ids::HOUR_MS;
    cli.redis(&["XADD", &stream, &format!("{long_ago}-0"), "job", "{}"]);
    let held = cli.run(&["receipts", "drop", "--yes", "--json"]).json();
    assert_eq!(held[partition as usize]["buckets"], 0);
    cli.run(&["lookup", &old]).exits(0);

    let mut link = tollgate.server().link().await.unwrap();
    let (keys, queue) =
        (tollgate.keys(tollgate.partitions().get(partition as u16).unwrap()), QueueName::default());
    let taken = Take::new(keys, &queue, "w", 9).run(&mut link).await.unwrap().unwrap();
    let (entry, poison) = (&taken.entries[0].entry, JobId::poison(&queue, &taken.entries[0].entry));
    let parking = Parking {
        entry,
        id: &poison,
        fingerprint: Fingerprint::of_poison(b"{}"),
        attempts: 0,
        envelope: b"{}",
        destination: Destination::Dead(Code::MissingField),
    };
    let source = Source { row: &taken.row, left: &[] };
    park(&mut link, keys, &queue, source, &[parking]).await.unwrap();
    let dropped = cli.run(&["receipts", "drop", "--yes", "--json"]).json();
    let row = &dropped[partition as usize];
    assert_eq!(row["buckets"], 1);
    assert!(row["floor_at_ms"].as_u64() > row["floor_before_at_ms"].as_u64());
    let gone = cli.run(&["lookup", &old, "--json"]);
    assert_eq!(lines(gone.exits(1))[0]["class"], "expired");
    assert_eq!(settle_job(&cli, &old, &redeem("none", "c1")).await, Code::IdExpired);
}
