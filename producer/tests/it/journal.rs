//! `journal export`: every line in order, damage by name, and a reader that goes away.

use std::io::Read;
use std::process::Stdio;

use serde_json::json;
use tollgate::fingerprint::Fingerprint;
use tollgate::ids::JobId;
use tollgate::ids::QueueName;
use tollgate::scripts::settle::{self, Item};

use crate::fixtures::{create_campaign, fresh, id, lines, open, open_account, redeem, settle_job};
use crate::harness::Ran;

#[tokio::test]
async fn the_journal_is_exported_in_order_and_damage_is_named() {
    let cli = fresh("2");
    open_account(&cli, "a1", 1000).await;
    create_campaign(&cli, "summer", 1, None).await;
    for n in 0..30 {
        settle_job(&cli, &format!("r{n}"), &open(&format!("camp-{n}"), 1)).await;
    }
    settle_job(&cli, "last", &redeem("summer", "c9")).await;

    let exported = cli.run(&["journal", "export"]);
    let all = lines(exported.exits(0));
    assert_eq!(all.len(), 33);
    let places: Vec<_> = all.iter().map(|line| (line["partition"].as_u64(), line["seq"].as_u64())).collect();
    assert!(places.is_sorted(), "{places:?}");
    let last = all.iter().find(|line| line["id"] == "last").unwrap();
    let at_ms = last["at_ms"].as_u64().unwrap();
    let (partition, seq) = (last["partition"].as_u64().unwrap(), last["seq"].as_u64().unwrap());
    assert_eq!(
        *last,
        json!({"partition": partition, "seq": seq, "at_ms": at_ms, "id": "last", "kind": "redeem", "class": "applied",
            "code": "redeemed", "campaign": "summer", "customer": "c9", "quantity": 1, "held": 1, "issued": 1})
    );
    let opened = all.iter().find(|line| line["account"] == "a1").unwrap();
    assert_eq!((&opened["available"], &opened["currency"]), (&json!(1000), &json!("USD")));

    let part = partition.to_string();
    let some = cli.run(&["journal", "export", "--partition", &part, "--from", &seq.to_string()]);
    assert_eq!(lines(some.exits(0)), std::slice::from_ref(last));
    assert!(cli.run(&["journal", "export", "--partition", "2"]).complains(2).contains("from 0 to 1"));

    let tollgate = cli.tollgate().await;
    let keys = cli.keys(&tollgate);
    cli.redis(&["XDEL", &keys.journal(), "3-0"]);
    let damaged = cli.run(&["journal", "export"]);
    assert!(
        damaged.complains(5).contains("partition 0: journal entry 4-0: begins at line 4, after line 2"),
        "{damaged:?}"
    );
    assert_eq!(lines(&damaged.stdout).len(), 2);
}

#[tokio::test]
async fn a_reader_that_goes_away_ends_an_export_quietly() {
    let cli = fresh("1");
    let tollgate = cli.tollgate().await;
    let mut link = tollgate.server().link().await.unwrap();
    // More than a pipe holds.
    let request = open(&"y".repeat(128), 1);
    let ids: Vec<JobId> = (0..1000).map(|n| id(&format!("{n}-{}", "x".repeat(120)))).collect();
    let item = |id| Item { entry: None, id, request: &request, fingerprint: Fingerprint::of(&request) };
    let items: Vec<Item<'_>> = ids.iter().map(item).collect();
    settle::settle(&mut link, &cli.keys(&tollgate), &QueueName::default(), &items).await.unwrap();

    let mut child = cli.command(&["journal", "export"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 10];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let ran = Ran::of(child.wait_with_output().unwrap());
    assert_eq!(ran.complains(0), "");
}
