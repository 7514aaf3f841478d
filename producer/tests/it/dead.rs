//! `dead`: what gave up is listed, shown, retried and discarded.

use serde_json::{Value, json};
use tollgate::code::Code;

use crate::fixtures::{fresh, id, lines};

#[tokio::test]
async fn dead_jobs_are_listed_shown_retried_and_discarded() {
    let cli = fresh("2");
    cli.bury(&id("first"), b"{\"v\":1}", Code::MissingField).await;
    cli.bury(&id("second"), b"not json\t\x1b[31m", Code::MalformedJson).await;
    cli.bury(&id("third"), b"{}", Code::MissingField).await;

    let listed = cli.run(&["dead", "ls", "--json"]);
    listed.exits(0);
    let listed = listed.json();
    let ids = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&listed), ["first", "second", "third"]);
    assert_eq!(listed[1]["reason"], "malformed_json");
    assert_eq!((&listed[1]["attempts"], &listed[1]["queue"]), (&json!(2), &json!("default")));
    let some = cli.run(&["dead", "ls", "--limit", "2", "--json"]);
    assert_eq!(ids(&some.json()), ["first", "second"]);
    assert!(some.stderr.contains("2 shown; there are more"), "{some:?}");
    let reason = cli.run(&["dead", "ls", "--reason", "missing_field", "--limit", "5", "--json"]);
    assert_eq!(ids(&reason.json()), ["first", "third"]);
    assert!(cli.run(&["dead", "ls", "--reason", "tired"]).complains(2).contains("a code of docs/codes.md"));

    let shown = cli.run(&["dead", "show", "second", "--json"]).json();
    assert_eq!((&shown["envelope"], &shown["envelope_hex"]), (&json!("not json\t\x1b[31m"), &Value::Null));
    let human = cli.run(&["dead", "show", "second"]);
    assert!(human.exits(0).contains("envelope   not json\\t\\x1b[31m"), "{human:?}");
    assert!(cli.run(&["dead", "show", "nobody"]).complains(1).contains("is neither dead nor scheduled"));
    let looked_up = cli.run(&["lookup", "first", "--json"]);
    assert_eq!(lines(looked_up.exits(1))[0]["class"], "dead");

    let retried = cli.run(&["dead", "retry", "nobody", "second", "--json"]);
    assert_eq!(
        lines(retried.exits(1)),
        [json!({"id": "nobody", "result": "absent"}), json!({"id": "second", "result": "requeued"})]
    );
    assert_eq!(cli.run(&["dead", "show", "second", "--json"]).json()["state"], "queued");
    // Known and not dead any more: what was asked for is so.
    let again = cli.run(&["dead", "retry", "second", "--json"]);
    assert_eq!(lines(again.exits(0)), [json!({"id": "second", "result": "replayed"})]);
    assert_eq!(again.stderr, "");

    assert!(cli.run(&["dead", "discard", "--all"]).complains(2).contains("--yes: must be given with --all"));
    cli.run(&["dead", "discard"]).complains(2);
    cli.run(&["dead", "retry", "first", "--all"]).complains(2);
    assert_eq!(
        cli.run(&["dead", "discard", "third", "--json"]).json(),
        json!({"id": "third", "result": "discarded"})
    );
    let all = cli.run(&["dead", "discard", "--all", "--yes", "--reason", "worker_lost", "--json"]);
    assert_eq!(all.json(), json!({"discarded": 0, "corrupt_state": 0}));
    let all = cli.run(&["dead", "retry", "--all", "--json"]);
    assert_eq!(all.json(), json!({"requeued": 1, "corrupt_state": 0}));

    let stats = cli.run(&["stats", "--json"]).json();
    let counts = ["dead", "discarded", "waiting"].map(|name| stats[name].as_u64().unwrap());
    assert_eq!(counts, [0, 1, 2]);
    assert_eq!(stats["conservation"], json!({"accepted": 3, "settled": 0, "holds": true}));
}

#[tokio::test]
async fn retrying_all_leaves_alone_what_is_damaged_and_reads_past_it() {
    let cli = fresh("1");
    for n in 0..5 {
        cli.bury(&id(&format!("d{n}")), b"{}", Code::MissingField).await;
    }
    let tollgate = cli.tollgate().await;
    let keys = cli.keys(&tollgate);
    cli.redis(&["HSET", &keys.parked(), "d1", "rubbish"]);
    let all = cli.run(&["dead", "retry", "--all", "--json"]);
    all.exits(1);
    assert_eq!(all.json(), json!({"requeued": 4, "corrupt_state": 1}));
    let left = cli.run(&["dead", "ls", "--json"]).json();
    assert_eq!(
        (&left[0]["id"], &left[0]["reason"], left.as_array().unwrap().len()),
        (&json!("d1"), &Value::Null, 1)
    );
    assert!(cli.run(&["dead", "show", "d1"]).complains(5).contains("rubbish"));
}
