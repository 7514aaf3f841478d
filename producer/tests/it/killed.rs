//! The main job on real input: a shop's purchase log (`examples/`), sent while workers are killed.
//!
//! What the converter makes of it is in `cdnow.rs`; here the workers are processes, and die. Each that dies has a fail
//! point, at which it stops itself: so it is killed at that step of a batch and at no other, however fast the machine is.

use std::collections::{BTreeMap, HashSet};
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use rustix::process::Signal;

use crate::fixtures::Files;
use crate::harness::{Cli, Ran, Running, until_so};

const ROWS: usize = 6_919;
const ZERO_AMOUNTS: usize = 8;
const CUSTOMERS: usize = 2_357;
/// All rows of a customer on one day.
const ORDERS: usize = 6_696;
const WORKERS: usize = 3;
const CLAIM_IDLE: [&str; 2] = ["--claim-idle", "300ms"];
/// For each of these the next part of the file is sent, and a worker that has taken some of it is killed there.
const KILLED_AT: [&str; 5] = ["after_fetch", "after_decode", "before_settle", "after_settle", "after_fetch"];

/// What a converter makes of the log, a line each.
fn converted(script: &str, words: &[&str]) -> Vec<String> {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut converter = Command::new("awk");
    converter.arg("-f").arg(examples.join(script)).args(words);
    let made = converter.arg(examples.join("data/cdnow_sample.csv")).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    String::from_utf8(made.stdout).unwrap().lines().map(|line| format!("{line}\n")).collect()
}

#[test]
fn a_shops_log_is_decided_once_while_workers_are_killed() {
    let cli = Cli::new();
    // A campaign, the accounts, then a withdrawal and a redemption for each row.
    let lines = converted("cdnow.awk", &[]);
    assert_eq!(lines.len(), 1 + CUSTOMERS + 2 * ROWS);
    let (resources, jobs) = lines.split_at(1 + CUSTOMERS);
    cli.run_with(&["enqueue"], resources.concat().as_bytes()).exits(0);

    let (sent, _workers) = send_while_workers_die(&cli, jobs);
    // A part of the lines was invalid, so it is exit 1.
    assert_eq!(sent.code, Some(1), "{sent:#?}");
    let summary = sent.json();
    assert_eq!(summary["accepted"], 2 * ROWS - ZERO_AMOUNTS, "{summary}");
    assert_eq!(summary["invalid"], ZERO_AMOUNTS, "{summary}");
    assert_eq!(sent.stderr.matches("amount_zero").count(), ZERO_AMOUNTS, "{}", sent.stderr);

    // The sender is not sure whether it all arrived, and sends the file again.
    cli.run_with(&["enqueue"], jobs.concat().as_bytes()).exits(1);
    let replayed = 2 * ROWS - ZERO_AMOUNTS;
    let decided = 1 + CUSTOMERS + 2 * ROWS - ZERO_AMOUNTS;
    let stats = settled(&cli);
    assert_eq!(stats["decided"], decided, "{stats}");
    // On a loaded machine a living worker's batch is claimed after 300 ms and settled twice: answered, not decided.
    assert!(stats["replayed"].as_u64().unwrap() >= replayed as u64, "{stats}");
    assert_eq!((&stats["waiting"], &stats["dead"]), (&json!(0), &json!(0)), "{stats}");
    assert_eq!(stats["conservation"]["holds"], true, "{stats}");

    let mut codes: BTreeMap<String, usize> = BTreeMap::new();
    let mut ids = HashSet::new();
    for line in cli.run(&["journal", "export"]).exits(0).lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert!(ids.insert(line["id"].as_str().unwrap().to_owned()), "decided twice: {line}");
        *codes.entry(line["code"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    let expected = [
        ("account_opened", CUSTOMERS),
        ("campaign_created", 1),
        ("redeemed", ROWS),
        ("withdrawn", ROWS - ZERO_AMOUNTS),
    ];
    assert_eq!(codes, expected.map(|(code, count)| (code.to_owned(), count)).into());

    let accounts = cli.run(&["account", "ls", "--json"]).json();
    let accounts = accounts.as_array().unwrap();
    assert_eq!(accounts.len(), CUSTOMERS);
    // Each was opened with what its customer spends in all: one withdrawal too many or too few would show.
    assert!(accounts.iter().all(|account| account["available"] == 0 && account["held"] == 0));
    let audit = cli.run(&["audit", "--json"]);
    audit.exits(0);
    assert_eq!(audit.json()["verdict"], "pass");
}

/// Sends the jobs in parts, and kills a worker that has taken some of each. Answers what the sender said, and the workers
/// that live.
fn send_while_workers_die(cli: &Cli, jobs: &[String]) -> (Ran, Vec<Running>) {
    let workers: Vec<Running> = (0..WORKERS).map(|_| cli.worker(&CLAIM_IDLE)).collect();
    let mut enqueue = feed(cli);
    let mut parts = jobs.chunks(jobs.len().div_ceil(1 + KILLED_AT.len()));
    write(&mut enqueue, parts.next().unwrap());
    for (point, part) in KILLED_AT.into_iter().zip(parts) {
        // The one that is to die is alone with the part.
        workers.iter().for_each(|worker| worker.signal(Signal::STOP).unwrap());
        write(&mut enqueue, part);
        kill_at(cli, point);
        workers.iter().for_each(|worker| worker.signal(Signal::CONT).unwrap());
    }
    (end(enqueue), workers)
}

fn settled(cli: &Cli) -> Value {
    let stats = || cli.run(&["stats", "--json"]).json();
    until_so("everything to be settled", || stats()["waiting"] == 0 && stats()["in_flight"] == 0);
    stats()
}

/// Item and quantity of each line of an order, what is named twice summed: by hand, not by the library.
fn asked(order: &Value) -> BTreeMap<String, u64> {
    let mut asked = BTreeMap::new();
    for line in order["lines"].as_array().unwrap() {
        *asked.entry(line["item"].as_str().unwrap().to_owned()).or_default() +=
            line["quantity"].as_u64().unwrap();
    }
    asked
}

#[test]
fn a_shops_log_is_sold_once_and_no_more_than_is_in_stock_while_workers_are_killed() {
    let (cli, files) = (Cli::new(), Files::new());
    let items = converted("shop.awk", &["-v", "want=items"]);
    let orders = converted("shop.awk", &[]);
    let file = files.write("items.csv", items.concat());
    cli.run(&["inventory", "create", "shop"]).exits(0);
    cli.run(&["inventory", "load", "shop", "--items-file", &file]).exits(0);
    let mut left: BTreeMap<String, u64> = items[1..]
        .iter()
        .map(|line| line.trim().split_once(',').unwrap())
        .map(|(item, quantity)| (item.to_owned(), quantity.parse().unwrap()))
        .collect();

    let (sent, _workers) = send_while_workers_die(&cli, &orders);
    assert_eq!((sent.code, &sent.json()["accepted"]), (Some(0), &json!(ORDERS)), "{sent:#?}");
    // The sender is not sure whether it all arrived, and sends the file again.
    cli.run_with(&["enqueue"], orders.concat().as_bytes()).exits(0);
    let stats = settled(&cli);
    assert_eq!((&stats["decided"], &stats["dead"]), (&json!(ORDERS + 2), &json!(0)), "{stats}");

    // Plain arithmetic, in the order of the journal: an order was sold if all of it was there, and only then.
    let orders: Vec<Value> = orders.iter().map(|order| serde_json::from_str(order).unwrap()).collect();
    let by_id: BTreeMap<&str, &Value> =
        orders.iter().map(|order| (order["id"].as_str().unwrap(), order)).collect();
    let (mut sold, mut refused) = (0, 0);
    for line in cli.run(&["journal", "export"]).exits(0).lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let Some(order) = by_id.get(line["id"].as_str().unwrap()) else { continue };
        let asked = asked(order);
        let is_there = asked.iter().all(|(item, quantity)| left[item] >= *quantity);
        assert_eq!(line["code"], if is_there { "purchased" } else { "sold_out" }, "{line}: {left:?}");
        if is_there {
            asked.iter().for_each(|(item, quantity)| *left.get_mut(item).unwrap() -= quantity);
        }
        *(if is_there { &mut sold } else { &mut refused }) += 1;
    }
    assert_eq!(sold + refused, ORDERS);
    assert!(sold > 0 && refused > 0, "{sold} sold, {refused} refused");
    let items = cli.run(&["--json", "inventory", "items", "shop"]).json();
    let on_hand =
        |item: &Value| (item["item"].as_str().unwrap().to_owned(), item["on_hand"].as_u64().unwrap());
    assert_eq!(items.as_array().unwrap().iter().map(on_hand).collect::<BTreeMap<_, _>>(), left);
    cli.run(&["audit"]).exits(0);
}

fn feed(cli: &Cli) -> Child {
    cli.command(&["enqueue", "-", "--json"]).stdin(Stdio::piped()).spawn().unwrap()
}

fn write(enqueue: &mut Child, part: &[String]) {
    enqueue.stdin.as_mut().unwrap().write_all(part.concat().as_bytes()).unwrap();
}

fn end(mut enqueue: Child) -> Ran {
    drop(enqueue.stdin.take());
    Ran::of(enqueue.wait_with_output().unwrap())
}

/// Starts a worker that stops itself at this point of its first batch, waits until it has, and kills it.
fn kill_at(cli: &Cli, point: &str) {
    let mut command = cli.worker_command(&CLAIM_IDLE);
    let mut victim = Running::start(command.env("TOLLGATE_FAILPOINTS", format!("{point}:stop")));
    until_so(&format!("a worker to stop at {point}"), || {
        let ended = victim.try_wait().unwrap();
        assert!(ended.is_none(), "build the programs with all features: the worker ended, {ended:?}");
        victim.is_stopped()
    });
    // It may not have beaten yet, so it is looked for by what it took. Once it has settled, its next batch may be in
    // flight already, or not.
    let stats = cli.run(&["stats", "--json"]).json();
    assert!(stats["in_flight"].as_u64() > Some(0) || point == "after_settle", "{point}: {stats}");
    victim.kill().unwrap();
}
