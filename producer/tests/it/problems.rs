//! `stats` begins with what is wrong, worst first; and the commands that send say when nobody serves.

use serde_json::{Value, json};
use tollgate::ids::QueueName;

use crate::harness::{Cli, opened, redis, until};

const REDEEM: [&str; 5] = ["redeem", "--campaign", "summer", "--customer", "c1"];

fn kinds(stats: &Value) -> Vec<String> {
    let problems = stats["problems"].as_array().unwrap();
    problems.iter().map(|problem| problem["problem"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn stats_begins_with_what_is_wrong_worst_first() {
    let cli = Cli::new();
    cli.run(&["init"]).exits(0);
    cli.run(&["campaign", "create", "summer", "--limit", "100"]).exits(0);
    assert_eq!(kinds(&cli.run(&["stats", "--json"]).json()), [""; 0]);
    let quiet = cli.run(&["stats"]);
    assert!(quiet.exits(0).starts_with("waiting"), "{quiet:?}");

    cli.run(&[&REDEEM[..], &["--queue", "defualt"]].concat()).exits(0);
    assert_eq!(kinds(&cli.run(&["stats", "--json"]).json()), ["no_worker"]);

    let _worker = cli.worker(&["-q", "mail"]);
    let (tollgate, mut link) = opened(&cli).await;
    let keys = tollgate.keys(tollgate.partitions().get(0).unwrap());
    until("the worker", async || {
        let stats = cli.run(&["stats", "--json"]).json();
        (kinds(&stats) == ["queue_unserved"]).then_some(())
    })
    .await;
    // A lost stream, a paused queue with jobs, a dead job, a damaged index.
    cli.run(&[&REDEEM[..], &["--queue", "bulk"]].concat()).exits(0);
    cli.run(&["queue", "pause", "bulk"]).exits(0);
    redis(&mut link, &["DEL", &keys.queue(&QueueName::parse("mail").unwrap())]).await;
    redis(&mut link, &["ZADD", &keys.dead(), "1", "gone"]).await;
    let ran = cli.run(&["stats", "--json"]);
    ran.exits(0);
    let stats = ran.json();
    assert_eq!(
        kinds(&stats),
        ["key_missing", "queue_lost", "queue_unserved", "queue_paused", "dead_jobs"],
        "{stats:#}"
    );
    let unserved = &stats["problems"][2];
    assert_eq!(
        unserved,
        &json!({
            "problem": "queue_unserved",
            "partitions": [0],
            "queue": "defualt",
            "what": "queue defualt: 1 job waits, and no worker serves it",
            "command": "tollgate-worker -q defualt",
        })
    );
    let text = cli.run(&["stats"]);
    let text = text.exits(0);
    assert!(text.starts_with("! partition 0: the key parked"), "{text}");
    assert!(
        text.contains("! queue mail: its stream is gone\n    tollgate-producer repair queue mail\n"),
        "{text}"
    );
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    let listed = cli.run(&["queue", "ls"]);
    let mail = listed.exits(0).lines().find(|line| line.starts_with("mail")).unwrap();
    assert!(mail.contains("lost"), "{mail}");
}

#[tokio::test]
async fn whoever_sends_is_told_when_nobody_serves() {
    let cli = Cli::new();
    cli.run(&["init"]).exits(0);
    cli.run(&["campaign", "create", "summer", "--limit", "100"]).exits(0);
    let alone = cli.run(&REDEEM);
    alone.exits(0);
    assert!(alone.stderr.contains("warning: no worker is running"), "{alone:?}");

    let _worker = cli.worker(&["-q", "default"]);
    until("the worker", async || {
        let ran = cli.run(&REDEEM);
        (!ran.stderr.contains("warning: no worker")).then_some(())
    })
    .await;
    let job = br#"{"kind":"redeem","campaign":"summer","customer":"c1"}"#;
    for ran in [
        cli.run(&[&REDEEM[..], &["--queue", "defualt"]].concat()),
        cli.run_with(&["enqueue", "--queue", "defualt"], job),
    ] {
        ran.exits(0);
        let words =
            "warning: no worker serves queue defualt (served: default): what is sent waits until one does";
        assert!(ran.stderr.contains(words), "{ran:?}");
    }
    cli.run(&["queue", "pause", "default"]).exits(0);
    let paused = cli.run(&REDEEM);
    assert!(paused.stderr.contains("warning: queue default is paused"), "{paused:?}");
}
