//! The ticket sale of examples/tickets: its files as they are, sent twice, while workers are killed.

use serde_json::{Value, json};
use tollgate::code::Code;
use tollgate::kinds::Reserve;
use tollgate::lines::Lines;
use tollgate::quantity::Quantity;
use tollgate::span_ms::SpanMs;

use crate::fixtures::settle_job;
use crate::harness::{Cli, until};

fn file(name: &str) -> String {
    format!("{}/../examples/tickets/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_seat_is_sold_once_whoever_dies_and_however_often_it_is_sent() {
    let cli = Cli::new();
    cli.run(&["inventory", "create", "concert", "--per-customer", "4"]).exits(0);
    cli.run(&["inventory", "load", "concert", "--items-file", &file("seats.ndjson")]).exits(0);
    // One worker is killed with whatever it has taken by then; another takes it over.
    let victim = cli.worker(&[]);
    cli.run(&["enqueue", &file("carts.ndjson")]).exits(0);
    drop(victim);
    let _worker = cli.worker(&["--claim-idle", "500ms"]);
    for _ in 0..2 {
        for (name, applied, refused) in
            [("carts.ndjson", 40, 0), ("payments.ndjson", 40, 0), ("late.ndjson", 10, 10)]
        {
            let ran = cli.run(&["--json", "enqueue", "--wait-all", "60s", &file(name)]);
            ran.exits(i32::from(refused > 0));
            let outcomes = &ran.json()["outcomes"];
            assert_eq!(
                (&outcomes["applied"], &outcomes["refused"]),
                (&json!(applied), &json!(refused)),
                "{ran:?}"
            );
        }
        let shown = cli.run(&["--json", "inventory", "show", "concert"]).json();
        let numbers = ["available", "reserved", "sold", "open"].map(|name| shown[name].clone());
        assert_eq!(numbers, [json!(0), json!(5), json!(55), json!(5)]);
    }
    let holders = cli.run(&["--json", "inventory", "holders", "concert"]).json();
    let mut seats: Vec<&Value> = holders
        .as_array()
        .unwrap()
        .iter()
        .filter(|holder| holder["item"] != json!("standing"))
        .map(|holder| &holder["item"])
        .collect();
    seats.sort_by_key(|seat| seat.to_string());
    seats.dedup();
    assert_eq!(seats.len(), 40, "each seat has a holder");
    assert_eq!(holders.as_array().unwrap().len(), 40 + 10, "and one only; ten have places to stand, too");
    cli.run(&["audit"]).exits(0);
}

#[tokio::test]
async fn what_keeps_reservations_from_ending_is_named() {
    let cli = Cli::new();
    cli.run(&["inventory", "create", "concert"]).exits(0);
    cli.run(&["inventory", "load", "concert", "--items-file", &file("seats.ndjson")]).exits(0);
    // It waits in a paused queue, and was sent before the reservation may end.
    let job = ["purchase", "--inventory", "concert", "--customer", "c", "--item", "A-1", "--queue", "slow"];
    cli.run(&[&job[..], &["--id", "p1"]].concat()).exits(0);
    cli.run(&["queue", "pause", "slow"]).exits(0);
    let reserve = Reserve {
        inventory: "concert".parse().unwrap(),
        customer: "c".parse().unwrap(),
        lines: Lines::of("A-2".parse().unwrap(), Quantity::ONE),
        hold_for_ms: SpanMs::new(1).unwrap(),
    };
    assert_eq!(settle_job(&cli, "cart", &reserve).await, Code::Reserved);
    let problem = until("the problem to be told", async || {
        let stats = cli.run(&["--json", "stats"]).json();
        let problems = stats["problems"].as_array().unwrap().clone();
        problems.into_iter().find(|problem| problem["problem"] == json!("reservations_held"))
    })
    .await;
    assert!(problem["what"].as_str().unwrap().contains("queue slow"), "{problem}");
    let shown = cli.run(&["inventory", "show", "concert"]);
    assert!(shown.exits(0).contains("1 reserved") && shown.stderr.contains("queue slow"), "{shown:?}");
}
