//! `repair`: each key is damaged or deleted in turn; a dry run shows it and changes nothing, with --yes it is what it
//! was, the audit passes, and the journal says who and why.

use serde_json::{Value, json};

use crate::fixtures::{fresh, id, payout, settle_job};
use crate::harness::{Cli, SOON, drain, opened, until_so};

async fn prepared() -> Cli {
    let cli = fresh("1");
    cli.run(&["account", "open", "a", "--balance", "100"]).exits(0);
    cli.run(&["campaign", "create", "c", "--limit", "5", "--per-customer", "1"]).exits(0);
    cli.run(&["redeem", "--campaign", "c", "--customer", "x", "--id", "r1"]).exits(0);
    cli.run(&["withdraw", "--account", "a", "--amount", "7", "--id", "w1"]).exits(0);
    cli.run(&["case", "open", "l"]).exits(0);
    cli.run(&["case", "decide", "l", "--decision", "approve", "--reason", "sound"]).exits(0);
    settle_job(&cli, "p1", &payout("a", 100, "USD")).await;
    let (tollgate, mut link) = opened(&cli).await;
    drain(&tollgate, &mut link).await;
    cli.run(&["audit"]).exits(0);
    cli
}

async fn key(cli: &Cli, name: &str) -> String {
    let (tollgate, _) = opened(cli).await;
    let head = tollgate.keys(tollgate.partitions().get(0).unwrap()).head();
    format!("{}{name}", head.strip_suffix("head").unwrap())
}

#[tokio::test]
async fn what_the_journal_proves_is_restored() {
    // Damage: the command on the key, and the noun that restores it.
    let cases: [(&str, &[&str], &[&str]); 15] = [
        ("account:a", &["DEL"], &["account", "a"]),
        ("account:a", &["HSET", "available", "999999"], &["account", "a"]),
        ("account:a", &["HDEL", "currency"], &["account", "a"]),
        ("account:a", &["SET", "x"], &["account", "a"]),
        ("account:ghost", &["HSET", "available", "5"], &["account", "ghost"]),
        ("campaign:c", &["DEL"], &["campaign", "c"]),
        ("campaign:c", &["HSET", "issued", "0"], &["campaign", "c"]),
        ("case:l", &["DEL"], &["case", "l"]),
        ("case:l", &["HSET", "decision", "reject"], &["case", "l"]),
        ("holders:c", &["DEL"], &["holders", "c"]),
        ("holders:c", &["HSET", "x", "9"], &["holders", "c"]),
        ("hold:p1", &["DEL"], &["hold", "p1"]),
        ("payouts", &["DEL"], &["payouts"]),
        ("resources", &["DEL"], &["resources"]),
        ("resources", &["ZADD", "0", "campaign:ghost"], &["resources"]),
    ];
    for (name, damage, noun) in cases {
        let cli = prepared().await;
        let case = format!("{name} {damage:?}");
        let key = key(&cli, name).await;
        if damage[0] == "SET" {
            cli.redis(&["DEL", &key]);
        }
        cli.redis(&[&[damage[0], &key], &damage[1..]].concat());
        cli.run(&["audit"]).complains(5);
        let (head, journal) = (self::key(&cli, "head").await, key_of_journal(&cli).await);
        let digest = || cli.redis(&["DEBUG", "DIGEST-VALUE", &key, &head, &journal]);
        let before = digest();
        let words = [&["repair"], noun].concat();
        let dry = cli.run(&words);
        assert!(dry.exits(0).contains("to be repaired"), "{case}: {dry:?}");
        assert!(dry.stderr.contains("hint: nothing was changed"), "{case}: {dry:?}");
        assert_eq!(digest(), before, "{case}: a dry run changed something");

        let yes = ["--yes", "--reason", "somebody ran DEL", "--by", "ann", "--json"];
        let done = cli.run(&[&words[..], &yes].concat());
        done.exits(0);
        assert_eq!(done.json()["applied"], true, "{case}: {done:?}");
        cli.run(&["audit"]).exits(0);
        let again = cli.run(&[&words[..], &yes].concat());
        assert_eq!(again.json(), json!({"changes": [], "applied": false}), "{case}");
        let entries = cli.redis(&["XREVRANGE", &journal, "+", "-", "COUNT", "1"]);
        assert!(entries.contains("ann") && entries.contains("somebody ran DEL"), "{case}: {entries}");

        // Everything works on, and the payout that was open still is.
        cli.run(&["account", "deposit", "a", "1", "--id", "d1"]).exits(0);
        assert_eq!(cli.run(&["account", "show", "a", "--json"]).json()["available"], 9_300, "{case}");
        cli.run(&["payout", "void", "p1", "--reason", "done"]).exits(0);
        let twice = cli.run(&["redeem", "--campaign", "c", "--customer", "x", "--id", "r2"]);
        twice.exits(0);
        let (tollgate, mut link) = opened(&cli).await;
        drain(&tollgate, &mut link).await;
        assert_eq!(cli.run(&["lookup", "r2", "--json"]).json()["code"], "customer_limit_reached", "{case}");
        cli.run(&["audit"]).exits(0);
    }
}

async fn key_of_journal(cli: &Cli) -> String {
    key(cli, "journal").await
}

#[tokio::test]
async fn parked_jobs_go_back_to_where_their_rows_say() {
    let cli = prepared().await;
    let later = ["redeem", "--campaign", "c", "--customer", "y", "--id", "later", "--in", "1h"];
    cli.run(&later).exits(0);
    let worker = cli.worker(&[]);
    let parked = || cli.run(&["stats", "--json"]).json();
    let begun = std::time::Instant::now();
    while parked()["scheduled"] != 1 {
        assert!(begun.elapsed() < SOON);
    }
    drop(worker);
    cli.bury(&id("d1"), b"{}", tollgate::code::Code::MissingField).await;
    let [scheduled, dead, rows] =
        [key(&cli, "scheduled").await, key(&cli, "dead").await, key(&cli, "parked").await];
    cli.redis(&["DEL", &scheduled, &dead]);
    for noun in ["parked", "scheduled", "dead"] {
        let dry = cli.run(&["repair", noun, "--json"]).json();
        assert_eq!(dry["changes"].as_array().unwrap().len(), 2, "{dry}");
    }
    cli.run(&["repair", "scheduled", "--yes", "--reason", "lost"]).exits(0);
    let stats = parked();
    assert_eq!((&stats["scheduled"], &stats["dead"]), (&json!(1), &json!(1)), "{stats}");
    assert_eq!(stats["conservation"]["holds"], true, "{stats}");
    cli.run(&["audit"]).exits(0);

    // The rows themselves: what they held cannot be had back, and is counted.
    cli.redis(&["DEL", &rows]);
    let lost = cli.run(&["repair", "parked", "--yes", "--reason", "lost", "--json"]).json();
    let ids: Vec<&Value> = lost["changes"].as_array().unwrap().iter().map(|row| &row["key"]).collect();
    assert!(ids.contains(&&json!("parked:later")) && ids.contains(&&json!("parked:d1")), "{lost}");
    let stats = parked();
    assert_eq!((&stats["scheduled"], &stats["discarded"]), (&json!(0), &json!(2)), "{stats}");
    cli.run(&["audit"]).exits(0);
}

#[tokio::test]
async fn a_job_sent_again_after_its_place_was_lost_still_runs() {
    let cli = prepared().await;
    let _worker = cli.worker(&[]);
    let code = |id: &str| cli.run(&["lookup", id, "--json"]).json()["code"].clone();
    let send = |id: &str, time: &str| {
        let job = ["redeem", "--campaign", "c", "--customer", "y", "--id", id, "--in", time];
        cli.run(&job).exits(0);
    };
    // One that was due before anybody could look is sent for later.
    let waiting = ["2s", "8s", "32s"].into_iter().find_map(|time| {
        let id = format!("later-{time}");
        send(&id, time);
        until_so("it to be fetched", || ["scheduled", "redeemed"].iter().any(|known| code(&id) == *known));
        (code(&id) == "scheduled").then_some((id, time))
    });
    let (id, time) = waiting.expect("a job that waits for its time");
    let scheduled = key(&cli, "scheduled").await;
    cli.redis(&["DEL", &scheduled]);
    send(&id, time);
    let long = SOON * 2;
    let begun = std::time::Instant::now();
    while code(&id) != "redeemed" {
        assert!(begun.elapsed() < long, "it was acknowledged and never ran");
    }
}

#[tokio::test]
async fn what_is_not_proved_is_not_written() {
    let cli = prepared().await;
    let journal = key_of_journal(&cli).await;
    let account = key(&cli, "account:a").await;
    cli.redis(&["DEL", &account]);
    cli.run(&["repair", "account", "a", "--yes"]).complains(2);
    // An entry is gone: nothing after it is proved.
    let first = cli.redis(&["XRANGE", &journal, "-", "+", "COUNT", "1"]);
    cli.redis(&["XDEL", &journal, first.lines().next().unwrap()]);
    let refused = cli.run(&["repair", "account", "a", "--yes", "--reason", "lost"]);
    assert!(refused.complains(1).contains("not proved: "), "{refused:?}");
    assert_eq!(cli.redis(&["EXISTS", &account]).trim(), "0");
}

/// A hall of which something is sold and something reserved.
async fn sold() -> Cli {
    let cli = fresh("1");
    let items = tempfile::NamedTempFile::new().unwrap();
    let seats: String = (0..30).map(|n| format!("seat-{n},2\n")).collect();
    std::fs::write(items.path(), format!("item,quantity\n{seats}")).unwrap();
    cli.run(&["inventory", "create", "hall", "--per-customer", "9"]).exits(0);
    cli.run(&["inventory", "load", "hall", "--items-file", items.path().to_str().unwrap()]).exits(0);
    let of = ["--inventory", "hall"];
    let who = [&of[..], &["--customer", "c1"]].concat();
    cli.run(&[&["purchase"], &who[..], &["--id", "o1", "--item", "seat-1", "--item", "seat-2"]].concat())
        .exits(0);
    for cart in ["cart-1", "cart-2"] {
        let more = ["--id", cart, "--item", "seat-1", "--item", "seat-3=1", "--hold-for", "1h"];
        let who = [&of[..], &["--customer", cart]].concat();
        cli.run(&[&["reserve"], &who[..], &more].concat()).exits(0);
    }
    cli.run(&["commit", "--inventory", "hall", "--reservation", "cart-1", "--item", "seat-3", "--id", "k1"])
        .exits(0);
    let (tollgate, mut link) = opened(&cli).await;
    drain(&tollgate, &mut link).await;
    cli.run(&["audit"]).exits(0);
    cli
}

#[tokio::test]
async fn each_key_of_an_inventory_is_restored_from_the_journal() {
    let cases: [(&str, &[&str]); 13] = [
        ("inventory:hall", &["DEL"]),
        ("inventory:hall", &["HSET", "sold", "1"]),
        ("inventory:hall", &["SET", "x"]),
        ("items:hall", &["DEL"]),
        ("items:hall", &["HSET", "0", "scratched"]),
        ("buyers:hall", &["DEL"]),
        ("buyers:hall", &["HSET", "c1", "1"]),
        ("orders:hall", &["DEL"]),
        ("orders:hall", &["HDEL", "o1"]),
        ("orders:hall", &["HSET", "cart-1", "scratched"]),
        ("reservations", &["DEL"]),
        ("reservations", &["ZADD", "5", "hall\tghost"]),
        ("resources", &["ZREM", "inventory:hall"]),
    ];
    for (name, damage) in cases {
        let cli = sold().await;
        let case = format!("{name} {damage:?}");
        let key = key(&cli, name).await;
        if damage[0] == "SET" {
            cli.redis(&["DEL", &key]);
        }
        cli.redis(&[&[damage[0], &key], &damage[1..]].concat());
        let audit = cli.run(&["audit"]);
        let told = audit.complains(5);
        assert!(told.contains("hall") || audit.stdout.contains("hall"), "{case}: {audit:?}");
        let digest = || cli.redis(&["DEBUG", "DIGEST-VALUE", &key]);
        let before = digest();
        let dry = cli.run(&["repair", "inventory", "hall"]);
        assert!(dry.exits(0).contains("to be repaired"), "{case}: {dry:?}");
        assert_eq!(digest(), before, "{case}: a dry run changed something");
        let yes = ["repair", "inventory", "hall", "--yes", "--reason", "somebody ran DEL", "--json"];
        let done = cli.run(&yes);
        done.exits(0);
        assert_eq!(done.json()["applied"], true, "{case}: {done:?}");
        cli.run(&["audit"]).exits(0);
        assert_eq!(cli.run(&yes).json(), json!({"changes": [], "applied": false}), "{case}");
        // What was reserved can be committed, and no seat is sold again.
        cli.run(&["commit", "--inventory", "hall", "--reservation", "cart-1", "--id", "k2"]).exits(0);
        let seat = ["purchase", "--inventory", "hall", "--customer", "x", "--item", "seat-1", "--id", "o2"];
        cli.run(&seat).exits(0);
        let (tollgate, mut link) = opened(&cli).await;
        drain(&tollgate, &mut link).await;
        assert_eq!(cli.run(&["lookup", "k2", "--json"]).json()["code"], "committed", "{case}");
        assert_eq!(cli.run(&["lookup", "o2", "--json"]).json()["code"], "sold_out", "{case}");
        cli.run(&["audit"]).exits(0);
    }
}

#[tokio::test]
async fn a_lost_list_of_items_is_named_and_keeps_nothing_else_from_being_repaired() {
    let cli = sold().await;
    cli.run(&["account", "open", "a", "--balance", "100"]).exits(0);
    let [stock, account] = [key(&cli, "stock:hall").await, key(&cli, "account:a").await];
    let dump = cli.redis(&["COPY", &stock, "aside"]);
    cli.redis(&["DEL", &stock, &account]);
    let refused = cli.run(&["repair", "inventory", "hall"]);
    let told = refused.complains(1);
    assert!(told.contains("not proved: stock:hall, the list of its items"), "{told}{dump}");
    cli.run(&["repair", "account", "a", "--yes", "--reason", "lost"]).exits(0);
    cli.redis(&["COPY", "aside", &stock]);
    cli.redis(&["DEL", "aside"]);
    cli.run(&["audit"]).exits(0);
}
