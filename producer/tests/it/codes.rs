//! Lists of codes: one code is handed out by one campaign, and a file that is no list of codes is refused.

use serde_json::json;

use crate::fixtures::Files;
use crate::harness::Cli;

fn create<'a>(campaign: &'a str, file: &'a str) -> [&'a str; 5] {
    ["campaign", "create", campaign, "--codes-file", file]
}

#[test]
fn codes_of_another_campaign_are_refused_by_its_name() {
    let (cli, lists) = (Cli::new(), Files::new());
    // More than one reply of codes, so that an overlap may lie anywhere in a list.
    let codes = |range: std::ops::Range<u32>| range.map(|n| format!("C{n:06}\n")).collect::<String>();
    let summer = lists.write("summer", codes(0..12_000));
    cli.run(&create("summer", &summer)).exits(0);
    let keys = || cli.redis(&["KEYS", &format!("{{{}.*}}:codes:*", cli.namespace)]);
    let before = keys();

    let same = cli.run(&create("winter", &summer));
    assert!(same.exits(1).contains("campaign summer hands out the same list of codes"), "{same:?}");
    assert!(same.stderr.contains("hint: --share-codes"), "{same:?}");
    let some = lists.write("some", codes(11_998..12_005));
    let overlap = cli.run(&create("winter", &some));
    assert!(
        overlap.exits(1).contains(
            "campaign summer hands out 2 of these codes too, the first of them is number 1 of the list"
        ),
        "{overlap:?}"
    );
    assert_eq!(keys(), before, "a refused list was uploaded");
    cli.run(&["campaign", "show", "winter"]).complains(1);
    // Order and line ends make another list of the same codes.
    let reversed: String = codes(0..12_000).lines().rev().map(|code| format!("{code}\r\n")).collect();
    assert!(
        cli.run(&create("winter", &lists.write("reversed", reversed)))
            .exits(1)
            .contains("12000 of these codes")
    );
    // A closed campaign has handed its codes out.
    cli.run(&["campaign", "close", "summer"]).exits(0);
    assert!(cli.run(&create("winter", &summer)).exits(1).contains("campaign summer"));

    // The same campaign again is a replay; a list without anything in common is nobody's.
    assert!(cli.run(&create("summer", &summer)).exits(0).contains("replayed"));
    cli.run(&create("spring", &lists.write("spring", codes(20_000..20_010)))).exits(0);
    let shared = [&create("winter", &summer)[..], &["--share-codes"]].concat();
    cli.run(&shared).exits(0);
    cli.run(&["campaign", "create", "x", "--limit", "1", "--share-codes"]).complains(2);
}

/// An inventory hands out codes as a campaign does: one a unit that is sold, and what comes back is void.
#[test]
fn each_unit_of_an_inventory_has_a_ticket() {
    let (cli, lists) = (Cli::new(), Files::new());
    let _worker = cli.worker(&[]);
    let create = |id: &str, file: &str| cli.run(&["inventory", "create", id, "--codes-file", file]);
    let bad = create("hall", &lists.write("bad", "T1\n T2\n"));
    assert!(bad.complains(2).contains("line 2: code"), "{bad:?}");
    assert!(create("hall", "/nonexistent").complains(2).contains("--codes-file"));
    cli.run(&["inventory", "create", "hall", "--share-codes"]).complains(2);
    let codes = lists.write("codes", "T1\nT2\nT3\nT4\nT5\n");
    create("hall", &codes).exits(0);
    assert!(create("hall", &codes).exits(0).contains("replayed"));
    let other = create("hall", &lists.write("other", "X1\n"));
    assert!(other.exits(1).contains("its codes differs"), "{other:?}");
    assert!(create("den", &codes).exits(1).contains("inventory hall hands out the same list of codes"));
    let shared = cli.run(&["campaign", "create", "summer", "--codes-file", &lists.write("some", "A\nT5\n")]);
    assert!(shared.exits(1).contains("inventory hall hands out 1 of these codes too"), "{shared:?}");
    let load =
        |text: &str| cli.run(&["inventory", "load", "hall", "--items-file", &lists.write("items", text)]);
    assert!(load("item,quantity\nfloor,6\n").exits(1).contains("too_few_codes"));
    load("item,quantity\nA-1,1\nfloor,4\n").exits(0);

    let ask = |verb: &str, id: &str, more: &[&str]| {
        cli.run(&[&[verb, "--inventory", "hall", "--id", id, "--wait", "60s"][..], more].concat())
    };
    let bought = ask("purchase", "o", &["--customer", "c1", "--item", "A-1", "--item", "floor=2"]);
    assert!(bought.exits(0).contains("tickets T1, T2, T3"), "{bought:?}");
    let cart = ["--customer", "c2", "--item", "floor", "--hold-for", "1h"];
    assert!(!ask("reserve", "cart", &cart).exits(0).contains("tickets"));
    assert!(ask("commit", "k", &["--reservation", "cart"]).exits(0).contains("tickets T4"));
    ask("return", "g", &["--order", "o", "--item", "floor"]).exits(0);
    let last = ask("purchase", "p", &["--customer", "c3", "--item", "floor=2"]);
    assert!(last.exits(1).contains("sold_out") && last.stdout.contains("now 1 tickets left"), "{last:?}");

    let found = cli.run(&["--json", "lookup", "o"]).json();
    let tickets = found["tickets"].as_array().unwrap();
    let shown: Vec<_> =
        tickets.iter().map(|ticket| (&ticket["code"], &ticket["item"], &ticket["void"])).collect();
    let (a, floor, yes, no) = (json!("A-1"), json!("floor"), json!(true), json!(false));
    let [t1, t2, t3] = [json!("T1"), json!("T2"), json!("T3")];
    assert_eq!(shown, [(&t1, &a, &no), (&t2, &floor, &no), (&t3, &floor, &yes)]);
    assert!(cli.run(&["lookup", "o", "cart"]).exits(0).contains("T1, T2, T3 (void)"));
    let holders = cli.run(&["inventory", "holders", "hall", "--item", "floor"]);
    assert!(holders.exits(0).contains("c1  floor  1 sold  o  T2\n"), "{holders:?}");
    assert!(holders.stdout.contains("c2  floor  1 sold  cart  T4\n"), "{holders:?}");
    let hall = cli.run(&["--json", "inventory", "show", "hall"]).json();
    assert_eq!([&hall["codes_count"], &hall["tickets"], &hall["void"]], [&json!(5), &json!(4), &json!(1)]);
    assert!(cli.run(&["inventory", "show", "hall"]).exits(0).contains("4 of 5 tickets handed out (1 void)"));
    assert!(cli.run(&["inventory", "restock", "hall", "floor", "1"]).exits(1).contains("limit_above_codes"));
    cli.run(&["audit"]).exits(0);
    // What is restored from the journal has the tickets that it had.
    let orders = format!("{{{}.0}}:orders:hall", cli.namespace);
    let row = cli.redis(&["HGET", &orders, "o"]);
    cli.redis(&["DEL", &orders]);
    cli.run(&["repair", "inventory", "hall", "--yes", "--reason", "lost"]).exits(0);
    assert_eq!(cli.redis(&["HGET", &orders, "o"]), row);
    cli.run(&["audit"]).exits(0);

    // What comes back is void wherever its ticket is shown, also under the id of the commit.
    ask("return", "g2", &["--order", "cart"]).exits(0);
    assert!(cli.run(&["lookup", "k"]).exits(0).contains("T4 (void)"));
    assert_eq!(cli.run(&["--json", "lookup", "k"]).json()["tickets"][0]["void"], json!(true));
    let again = ask("return", "g3", &["--order", "o", "--item", "floor=2"]);
    assert!(
        again.exits(1).contains("not_sold") && again.stdout.contains("now 1 sold of A-1, 1 sold of floor"),
        "{again:?}"
    );
    // A damaged order is no order without tickets.
    cli.redis(&["HSET", &orders, "o", "garbage"]);
    let damaged = cli.run(&["lookup", "o", "k"]);
    assert!(damaged.complains(1).contains("corrupt_state: order o"), "{damaged:?}");
    assert!(damaged.stdout.contains("T4 (void)"), "{damaged:?}");
    let holders = cli.run(&["inventory", "holders", "hall"]);
    assert!(holders.complains(1).contains("corrupt_state: order o"), "{holders:?}");
    cli.redis(&["HSET", &orders, "cart", "garbage"]);
    assert!(cli.run(&["lookup", "cart"]).complains(1).contains("order cart"));
    assert_eq!(cli.run(&["--json", "lookup", "cart"]).json()["reservation"], json!("damaged"));
    cli.run(&["repair", "inventory", "hall", "--yes", "--reason", "damaged"]).exits(0);
    // Nobody knows any more which are void.
    cli.run(&["inventory", "close", "hall"]).exits(0);
    cli.run(&["inventory", "archive", "hall"]).exits(0);
    assert!(cli.run(&["lookup", "o"]).exits(0).contains("T1, T2, T3 (handed out; archived since)"));
    assert_eq!(cli.run(&["--json", "lookup", "o"]).json()["tickets"][0].get("void"), None);
    cli.run(&["audit"]).exits(0);
}

#[test]
fn the_same_list_is_found_in_every_partition() {
    let (cli, lists) = (Cli::empty(), Files::new());
    cli.run(&["init", "--partitions", "8"]).exits(0);
    let file = lists.write("codes", "A1\nA2\n");
    cli.run(&create("first", &file)).exits(0);
    for n in 0..16 {
        let refused = cli.run(&create(&format!("c{n}"), &file));
        assert!(refused.exits(1).contains("campaign first hands out the same list"), "{refused:?}");
    }
}

#[test]
fn a_file_that_is_no_list_of_codes_is_refused_with_the_line() {
    let (cli, lists) = (Cli::new(), Files::new());
    cli.run(&["init"]).exits(0);
    for (text, said) in [
        (&b"code\nA1\n"[..], "line 1: code \"code\": must be a code, not the name of a column"),
        (b"\xef\xbb\xbfCoupon Code\nA1\n", "line 1: code"),
        (b"A1\n\"A2\"\n", "line 2: code '\"A2\"': must be one code a line, without quotes"),
        (b"A1,10\n", "leave out the ','"),
        (b"A1\nA2;x\n", "line 2"),
        (
            "A1\nA\u{200b}2\n".as_bytes(),
            "line 2: code \"A\\u{200b}2\": must be a code without the invisible character",
        ),
        ("A1\nA\u{a0}2\n".as_bytes(), "\\u{a0}"),
        // Two files with a byte order mark, one after the other.
        ("\u{feff}A1\n\u{feff}A2\n".as_bytes(), "line 2: code \"\\u{feff}A2\""),
        (b"\xff\xfeA\x001\x00\n\x00", "line 1: code"),
        (b"A1\r\n\r\n", "line 2: code \"\""),
    ] {
        let ran = cli.run(&create("c", &lists.write("bad", text)));
        assert!(ran.complains(2).contains(said), "{said}: {ran:?}");
    }
    assert_eq!(cli.redis(&["KEYS", &format!("{{{}.*}}:codes:*", cli.namespace)]).trim(), "");
}
