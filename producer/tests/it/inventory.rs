//! Inventories from the command line: a list of items is loaded whole or not at all, and what is sold is gone.

use serde_json::{Value, json};

use crate::fixtures::Files;
use crate::harness::{Cli, until};

fn load<'a>(inventory: &'a str, file: &'a str) -> [&'a str; 5] {
    ["inventory", "load", inventory, "--items-file", file]
}

#[test]
fn one_bad_line_at_the_end_loads_nothing_and_the_mended_file_everything() {
    let (cli, lists) = (Cli::new(), Files::new());
    cli.run(&["inventory", "create", "hall"]).exits(0);
    let seats: String = (0..50_000).map(|n| format!("{{\"item\":\"seat-{n}\",\"quantity\":1}}\n")).collect();
    let bad = lists.write("bad", format!("{seats}{{\"item\":\"seat-50000\",\"quantity\":\"1\"}}\n"));
    let refused = cli.run(&load("hall", &bad));
    let told = refused.complains(2);
    for word in ["line 50001", "quantity", "a whole number from 0"] {
        assert!(told.contains(word), "{told}");
    }
    let stock = format!("{{{}.0}}:stock:hall", cli.namespace);
    assert_eq!(cli.redis(&["EXISTS", &stock]).trim(), "0", "something was loaded");
    let shown = |cli: &Cli| cli.run(&["--json", "inventory", "show", "hall"]).json();
    assert_eq!(shown(&cli)["status"], json!("loading"));

    let good = lists.write("good", format!("{seats}{{\"item\":\"seat-50000\",\"quantity\":1}}\n"));
    cli.run(&load("hall", &good)).exits(0);
    let again = cli.run(&load("hall", &good));
    assert!(again.exits(0).contains("replayed"), "{again:?}");
    let hall = shown(&cli);
    assert_eq!(
        (&hall["status"], &hall["items"], &hall["available"]),
        (&json!("open"), &json!(50_001), &json!(50_001))
    );
    let other = cli.run(&load("hall", &lists.write("other", "item,quantity\nA-1,1\n")));
    assert!(other.exits(1).contains("already_loaded"), "{other:?}");
    assert!(cli.run(&load("nowhere", &good)).exits(1).contains("inventory_not_found"));
    // As text, what is wrong and what is allowed; without a file at all, too.
    assert!(cli.run(&load("hall", "/nonexistent")).complains(2).contains("--items-file"));
    let items = cli.run(&["--json", "inventory", "items", "hall"]).json();
    assert_eq!(items.as_array().unwrap().len(), 50_001);
    cli.run(&["audit"]).exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sold_is_gone_and_everybody_is_told_why() {
    let (cli, lists) = (Cli::new(), Files::new());
    let _worker = cli.worker(&[]);
    cli.run(&["inventory", "create", "concert", "--per-customer", "3", "--opens-at", "2020-01-01T00:00:00Z"])
        .exits(0);
    let items = lists.write("items", "item,quantity\nA-12,1\nfloor,4\n");
    cli.run(&load("concert", &items)).exits(0);
    let buy = |customer: &str, id: &str, items: &[&str]| {
        let mut args =
            vec!["purchase", "--inventory", "concert", "--customer", customer, "--id", id, "--wait", "60s"];
        items.iter().for_each(|item| args.extend(["--item", item]));
        cli.run(&args)
    };
    assert!(buy("c1", "o1", &["A-12", "floor=2"]).exits(0).contains("purchased"));
    assert!(buy("c1", "o1", &["floor", "A-12", "floor"]).exits(0).contains("replayed"));
    let sold_out = buy("c2", "o2", &["A-12", "floor"]);
    assert!(sold_out.exits(1).contains("sold_out"), "{sold_out:?}");
    assert!(sold_out.stdout.contains("now 0 left of A-12, 1 asked"), "{sold_out:?}");
    assert!(buy("c1", "o3", &["floor"]).exits(1).contains("customer_limit_reached"));
    let unknown = buy("c2", "o4", &["floor", "A-13"]);
    assert!(unknown.exits(1).contains("item_not_found"), "{unknown:?}");
    assert!(unknown.stdout.contains("no item A-13"), "{unknown:?}");
    assert!(cli.run(&["dead", "ls", "--inventory", "concert"]).exits(0).contains("o4"));
    assert!(buy("c2", "o5", &["A-12{"]).complains(2).contains("item"));
    let outcome = cli.run(&["--json", "lookup", "o1"]).json();
    assert_eq!(outcome["code"], json!("purchased"));

    cli.run(&["inventory", "restock", "concert", "A-12", "1"]).exits(0);
    let set = ["inventory", "set-quantity", "concert", "floor", "1", "--expect", "3"];
    assert!(cli.run(&set).exits(1).contains("quantity_not_as_expected"));
    cli.run(&["inventory", "set-quantity", "concert", "floor", "1", "--expect", "2"]).exits(0);
    let items = cli.run(&["inventory", "items", "concert", "A-12", "floor"]);
    assert_eq!(items.exits(0), "A-12  1 on hand, 0 reserved\nfloor  1 on hand, 0 reserved\n");
    assert!(cli.run(&["inventory", "items", "concert", "B-1"]).complains(1).contains("item_not_found: "));
    let ls = cli.run(&["inventory", "ls"]);
    assert!(ls.exits(0).contains("2 available, 0 reserved, 3 sold, of 2 items, 3 per customer"), "{ls:?}");

    // The same as lines of a file, and in the journal.
    let job = |id: &str, lines: &str| {
        format!(
            "{{\"kind\":\"purchase\",\"id\":\"{id}\",\"inventory\":\"concert\",\"customer\":\"c3\",\"lines\":{lines}}}\n"
        )
    };
    let file = lists.write("jobs", job("f1", "[{\"item\":\"floor\"}]") + &job("f2", "[]"));
    let sent = cli.run(&["enqueue", &file]);
    assert!(sent.complains(1).contains("line 2: lines \"[]\": must be 1 to 64 lines (no_lines)"), "{sent:?}");
    until("the job of the file", async || {
        let found = cli.run(&["--json", "lookup", "f1"]);
        (found.json()["code"] == json!("purchased")).then_some(())
    })
    .await;
    let exported = cli.run(&["journal", "export"]);
    let lines: Vec<Value> =
        exported.exits(0).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let line = lines.iter().find(|line| line["id"] == json!("o1")).unwrap();
    assert_eq!(line["lines"], json!([{"item": "A-12", "quantity": 1}, {"item": "floor", "quantity": 2}]));
    assert_eq!((&line["held"], &line["available"]), (&json!(3), &json!(2)));

    cli.run(&["inventory", "close", "concert"]).exits(0);
    assert!(buy("c9", "o9", &["A-12"]).exits(1).contains("ended"));
    cli.run(&["audit"]).exits(0);
}

/// What waits for its time is cancelled from the command line, and takes nothing.
#[test]
fn an_order_for_later_is_cancelled() {
    let (cli, lists) = (Cli::new(), Files::new());
    let _worker = cli.worker(&[]);
    cli.run(&["inventory", "create", "hall"]).exits(0);
    cli.run(&load("hall", &lists.write("items", "item,quantity\nA-1,1\nA-2,1\n"))).exits(0);
    let of_hall = |verb: &str, id: &str, more: &[&str]| {
        cli.run(&[&[verb, "--inventory", "hall", "--id", id][..], more].concat())
    };
    let now = ["--customer", "c1", "--item", "A-1", "--hold-for", "1h", "--wait", "60s"];
    of_hall("reserve", "cart", &now).exits(0);
    let wish = ["--customer", "c1", "--item", "A-2"];
    let hold = [&wish[..], &["--hold-for", "1h"]].concat();
    let orders: [(&str, &str, &[&str]); 3] = [
        ("purchase", "later-p", &wish),
        ("reserve", "later-r", &hold),
        ("commit", "later-k", &["--reservation", "cart"]),
    ];
    for (verb, id, more) in orders {
        of_hall(verb, id, &[more, &["--in", "1h"]].concat()).exits(0);
        crate::harness::until_so("the job is scheduled", || {
            cli.run(&["--json", "lookup", id]).json()["code"].is_string()
        });
        assert_eq!(cli.run(&["--json", "job", "cancel", id]).json()["cancelled"], json!(true), "{id}");
        assert_eq!(cli.run(&["--json", "lookup", id]).json()["code"], json!("cancelled"), "{id}");
        // A copy that comes later is answered the same.
        let again = of_hall(verb, id, &[more, &["--wait", "60s"]].concat());
        assert!(again.exits(1).contains("cancelled"), "{again:?}");
    }
    let hall = cli.run(&["--json", "inventory", "show", "hall"]).json();
    assert_eq!([&hall["available"], &hall["reserved"], &hall["sold"]], [&json!(1), &json!(1), &json!(0)]);
    cli.run(&["audit"]).exits(0);
}

/// Of two limits, the one that is passed is named, and what the customer has of it.
#[test]
fn an_item_has_a_limit_of_its_own() {
    let (cli, lists) = (Cli::new(), Files::new());
    let _worker = cli.worker(&[]);
    cli.run(&["inventory", "create", "hall", "--per-customer", "3"]).exits(0);
    for (text, word) in [
        ("item,quantity,per_person\nA-1,5,2\n", "item,quantity,per_customer"),
        ("item,quantity,per_customer\nA-1,5,0\n", "line 2: per_customer \"0\""),
        ("{\"item\":\"A-1\",\"quantity\":5,\"per_customer\":-1}", "line 1: per_customer \"-1\""),
    ] {
        let ran = cli.run(&load("hall", &lists.write("bad", text)));
        assert!(ran.complains(2).contains(word), "{text}: {ran:?}");
    }
    let items = lists.write("items", "item,quantity,per_customer\nA-1,5,1\nfloor,9,\n");
    cli.run(&load("hall", &items)).exits(0);
    let ask = |verb: &str, id: &str, more: &[&str]| {
        cli.run(&[&[verb, "--inventory", "hall", "--id", id, "--wait", "60s"][..], more].concat())
    };
    let buy = |id: &str, items: &[&str]| {
        let items = items.iter().flat_map(|item| ["--item", item]);
        ask("purchase", id, &["--customer", "c1"].into_iter().chain(items).collect::<Vec<_>>())
    };
    buy("o1", &["A-1", "floor"]).exits(0);
    for (id, items, words) in [
        ("o2", &["A-1"][..], "now c1 has 1 of item A-1, 1 asked, at most 1 per customer\n"),
        ("o3", &["floor=2"], "now c1 has 2 of inventory hall, 2 asked, at most 3 per customer\n"),
        ("o4", &["floor", "A-1"], "at most 3 per customer; c1 has 1 of item A-1, 1 asked"),
    ] {
        let refused = buy(id, items);
        assert!(refused.exits(1).contains("customer_limit_reached"), "{refused:?}");
        assert!(refused.stdout.contains(words), "{refused:?}");
    }
    let swap = ask("exchange", "x1", &["--order", "o1", "--from", "floor", "--to", "A-1"]);
    assert!(swap.exits(1).contains("now c1 has 1 of item A-1, 1 asked, at most 1 per customer"), "{swap:?}");
    ask("return", "g1", &["--order", "o1", "--item", "A-1"]).exits(0);
    buy("o5", &["A-1"]).exits(0);
    let shown = cli.run(&["--json", "inventory", "show", "hall"]).json();
    assert_eq!([&shown["buyers"], &shown["limits_by_item"]], [&json!(1), &json!(true)]);
    let items = cli.run(&["inventory", "items", "hall", "A-1", "floor"]);
    assert_eq!(items.exits(0), "A-1  4 on hand, 0 reserved, 1 per customer\nfloor  8 on hand, 0 reserved\n");
    let items = cli.run(&["--json", "inventory", "items", "hall", "A-1", "floor"]).json();
    assert_eq!([&items[0]["per_customer"], &items[1]["per_customer"]], [&json!(1), &json!(null)]);
    let exported = cli.run(&["journal", "export"]);
    let line = exported.exits(0).lines().find(|line| line.contains("\"id\":\"o5\"")).unwrap();
    assert!(
        line.contains("\"held\":2,\"available\":12,\"held_by_item\":[{\"item\":\"A-1\",\"held\":1}]"),
        "{line}"
    );
    // What is restored from the journal is what was there.
    let buyers = format!("{{{}.0}}:buyers:hall", cli.namespace);
    let before = cli.redis(&["HGETALL", &buyers]);
    cli.redis(&["DEL", &buyers]);
    cli.run(&["repair", "inventory", "hall", "--yes", "--reason", "lost"]).exits(0);
    assert_eq!(cli.redis(&["HGETALL", &buyers]), before);
    cli.run(&["audit"]).exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cart_is_committed_in_parts_or_given_up() {
    let (cli, lists) = (Cli::new(), Files::new());
    let _worker = cli.worker(&[]);
    cli.run(&["inventory", "create", "hall"]).exits(0);
    cli.run(&load("hall", &lists.write("items", "item,quantity\nA-1,1\nA-2,1\n"))).exits(0);
    let ask = |verb: &str, id: &str, more: &[&str]| {
        let args = [&[verb, "--inventory", "hall", "--id", id, "--wait", "60s"][..], more].concat();
        cli.run(&args)
    };
    let cart = ["--customer", "c1", "--item", "A-1", "--item", "A-2", "--hold-for", "10m"];
    assert!(ask("reserve", "cart", &cart).exits(0).contains("reserved"));
    assert!(
        cli.run(&["inventory", "show", "hall"]).exits(0).contains("2 reserved, 0 sold, of 2 items, 1 open")
    );
    let purchase = ["--customer", "c2", "--item", "A-1"];
    assert!(ask("purchase", "p1", &purchase).exits(1).contains("sold_out"));
    let of = ["--reservation", "cart"];
    let state = || cli.run(&["--json", "lookup", "cart"]).json()["reservation"].clone();
    assert_eq!(state(), json!("open"));
    assert!(ask("commit", "k1", &[&of[..], &["--item", "A-1"]].concat()).exits(0).contains("committed"));
    let holders = |more: &[&str]| {
        let found = cli.run(&[&["--json", "inventory", "holders", "hall"], more].concat()).json();
        let mut found: Vec<Value> = found.as_array().unwrap().clone();
        found.sort_by_key(|holder| holder["item"].to_string());
        found
    };
    let both = holders(&[]);
    assert_eq!(both[0], json!({"order": "cart", "customer": "c1", "item": "A-1", "sold": 1, "reserved": 0}));
    assert_eq!(both[1]["reserved"], json!(1));
    assert!(both[1]["hold_until_ms"].is_u64() && both.len() == 2, "{both:?}");
    assert_eq!(holders(&["--item", "A-1"]), both[..1]);
    assert_eq!(holders(&["--customer", "c1"]), both);
    assert_eq!(holders(&["--customer", "c1", "--item", "A-2"]), both[1..]);
    assert_eq!(holders(&["--customer", "c2"]), [json!(null); 0]);
    let text = cli.run(&["inventory", "holders", "hall", "--item", "A-2"]);
    assert_eq!(text.exits(0), "c1  A-2  1 reserved  cart\n");
    assert!(
        cli.run(&["inventory", "holders", "hall", "--item", "B-1"]).complains(1).contains("item_not_found: ")
    );
    assert!(cli.run(&["inventory", "holders", "nowhere"]).complains(1).contains("inventory_not_found: "));
    assert!(ask("extend", "e1", &[&of[..], &["--hold-for", "1h"]].concat()).exits(0).contains("extended"));
    assert!(ask("release", "l1", &of).exits(0).contains("released"));
    assert_eq!(state(), json!("committed"));
    assert!(cli.run(&["lookup", "cart"]).exits(0).contains("reserved (committed)"));
    assert!(ask("commit", "k2", &of).exits(1).contains("already_committed"));
    assert!(ask("purchase", "p2", &["--customer", "c2", "--item", "A-2"]).exits(0).contains("purchased"));
    assert!(ask("commit", "k3", &["--reservation", "none"]).exits(1).contains("order_not_found"));
    // What was bought comes back, once; and one seat for another.
    let of = ["--order", "cart"];
    let swap = |from: &str, to: &str, id: &str| {
        ask("exchange", id, &[&of[..], &["--from", from, "--to", to]].concat())
    };
    let taken = swap("A-1", "A-2", "x1");
    assert!(taken.exits(1).contains("sold_out"), "{taken:?}");
    assert!(taken.stdout.contains("now 0 left of A-2, 1 asked"), "{taken:?}");
    assert!(swap("A-1", "A-1", "x2").complains(2).contains("another item than from"));
    let bought = ["--order", "p2", "--item", "A-2"];
    assert!(ask("return", "g1", &bought).exits(0).contains("returned"));
    assert!(ask("return", "g2", &bought).exits(1).contains("already_returned"));
    assert!(swap("A-1", "A-2", "x3").exits(0).contains("exchanged"));
    let history = cli.run(&["--json", "job", "history", "g1"]).json();
    assert!(history.to_string().contains("\"returned\""), "{history}");
    let exported = cli.run(&["journal", "export"]);
    let was = exported.exits(0).lines().find(|line| line.contains("\"id\":\"g1\"")).unwrap();
    assert!(was.contains("\"order\":\"p2\"") && was.contains("c2 {1 A-2}"), "{was}");
    assert_eq!(cli.run(&["--json", "lookup", "x3"]).json()["code"], json!("exchanged"));
    let wrong = ask("reserve", "r9", &["--customer", "c1", "--item", "A-1", "--hold-for", "91d"]);
    assert!(wrong.complains(2).contains("from 1ms to 90d"), "{wrong:?}");
    cli.run(&["audit"]).exits(0);
}

#[test]
fn what_is_wrong_is_named_before_anything_is_done() {
    let cli = Cli::empty();
    let long = "x".repeat(129);
    let cases: [(&[&str], &[&str]); 10] = [
        (&["cancel"], &["<ID>"]),
        (&["cancel", "a{b"], &["inventory \"a{b\"", "1 to 128 bytes"]),
        (&["cancel", "hall", "--id", "create/x"], &["--id", "does not begin with 'create/'"]),
        (&["archive", &long], &["<ID>", "1 to 128 bytes"]),
        (&["archive", "hall", "--id", "entry/x"], &["--id", "'entry/'"]),
        (&["holders"], &["<ID>"]),
        (&["holders", "hall", "--item", "a{b"], &["--item", "item \"a{b\"", "1 to 128 bytes"]),
        (&["holders", "hall", "--item"], &["--item"]),
        (&["holders", "hall", "--customer", &long], &["--customer", "1 to 128 bytes"]),
        (&["holders", "hall", "A-12"], &["A-12"]),
    ];
    for (args, words) in cases {
        let ran = cli.run(&[&["inventory"], args].concat());
        let told = ran.complains(2);
        assert!(words.iter().all(|word| told.contains(word)), "{args:?}: {told}");
    }
    for (args, word) in [(&["a{b"][..], "1 to 128 bytes"), (&["hall", "--yes"], "--reason")] {
        let ran = cli.run(&[&["repair", "inventory"], args].concat());
        assert!(ran.complains(2).contains(word), "{args:?}: {ran:?}");
    }
    let keys = cli.redis(&["KEYS", &format!("*{}*", cli.namespace)]);
    assert_eq!(keys.trim(), "", "nothing was begun");
}
