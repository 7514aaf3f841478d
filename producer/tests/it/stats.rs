//! `stats`, and who may watch: sums that add up, and damage that is told and not counted.

use serde_json::{Value, json};
use tollgate::code::Code;
use tollgate::ids::QueueName;
use tollgate::job::Job;

use crate::fixtures::{fresh, id, open, redeem, settle_job};
use crate::harness::Cli;

#[tokio::test]
async fn stats_add_up_over_queues_and_partitions() {
    let cli = fresh("2");
    let tollgate = cli.tollgate().await;
    let mut link = tollgate.server().link().await.unwrap();
    let jobs: Vec<Job> = (0..40)
        .map(|n| Job { id: id(&format!("j{n}")), at: None, request: redeem(&format!("camp-{n}"), "c1") })
        .collect();
    for result in tollgate.enqueue(&mut link, &QueueName::default(), &jobs).await.unwrap() {
        result.unwrap();
    }
    assert_eq!(settle_job(&cli, "x1", &open("a1", 1)).await, Code::AccountOpened);
    assert_eq!(settle_job(&cli, "x1", &open("a1", 2)).await, Code::IdMismatch);
    cli.bury(&id("poisoned"), b"{\"v\":9}", Code::UnsupportedVersion).await;

    let stats = cli.run(&["stats", "--json"]);
    stats.exits(0);
    let stats = stats.json();
    let number = |value: &Value, name: &str| value[name].as_u64().unwrap();
    let in_hand = number(&stats, "in_flight");
    assert_eq!(number(&stats, "waiting") + in_hand, 40);
    assert_eq!(
        ["scheduled", "dead", "decided", "replayed", "mismatched", "expired"]
            .map(|name| number(&stats, name)),
        [0, 1, 1, 0, 1, 0]
    );
    assert_eq!(stats["conservation"], json!({"accepted": 41, "settled": 0, "holds": true}));
    let oldest = number(&stats, "oldest_age_ms");
    assert!(oldest < 60_000, "{oldest}");
    for part in ["queues", "partitions"] {
        let parts = stats[part].as_array().unwrap();
        let sum: u64 = parts.iter().map(|part| number(part, "waiting")).sum();
        assert_eq!(sum, number(&stats, "waiting"), "{part}");
        let most = parts.iter().filter_map(|part| part["oldest_age_ms"].as_u64()).max();
        assert_eq!(most, Some(oldest), "{part}");
    }
    assert_eq!(stats["partitions"].as_array().unwrap().len(), 2);

    let human = cli.run(&["stats"]);
    assert!(human.exits(0).contains("41 accepted = 0 settled"), "{human:?}");
    assert!(human.stdout.contains(": holds\n"), "{human:?}");

    // The law is computed, not printed.
    let keys = cli.keys(&tollgate);
    cli.redis(&["HINCRBY", &keys.head(), "acked", "1"]);
    assert_eq!(cli.run(&["stats", "--json"]).json()["conservation"]["holds"], false);
}

#[tokio::test]
async fn a_damaged_or_missing_namespace_is_told_not_counted() {
    let cli = Cli::empty();
    assert!(cli.run(&["stats"]).complains(1).contains("is not initialised"));
    cli.run(&["init"]).exits(0);
    let tollgate = cli.tollgate().await;
    cli.redis(&["HSET", &cli.keys(&tollgate).head(), "seq", "many"]);
    assert!(cli.run(&["stats", "--json"]).complains(1).contains("the partition is damaged: head: seq"));
}

#[test]
fn watch_refuses_to_draw_where_nobody_looks() {
    let cli = fresh("1");
    for args in [&["watch"][..], &["watch", "--json"]] {
        assert!(cli.run(args).complains(2).contains("hint: `stats --json`"));
    }
    cli.run(&["watch", "--interval", "soon"]).complains(2);
}
