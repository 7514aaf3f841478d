//! One damaged partition: what is in the others is seen and changed all the same, and the exit code tells.

use serde_json::Value;

use crate::harness::Cli;

/// Keys of partition 0 that can be lost or hold what they cannot hold, each with the commands that see it.
const DAMAGES: [(&str, &str, &[&str]); 6] = [
    ("head", "del", &["stats", "queue ls", "worker ls", "dead ls", "receipts drop", "journal export"]),
    ("head", "set", &["stats", "queue ls", "worker ls", "dead ls", "receipts drop", "journal export"]),
    ("dead", "set", &["dead ls", "dead retry --all", "dead discard --all --yes", "dead retry absent"]),
    ("queues", "set", &["stats", "queue ls", "queue pause default", "queue resume default"]),
    ("workers", "set", &["worker ls"]),
    ("resources", "set", &["campaign ls"]),
];

#[tokio::test]
async fn a_damaged_partition_is_named_and_hides_no_other() {
    for (key, how, commands) in DAMAGES {
        let cli = Cli::empty();
        cli.run(&["init", "--partitions", "4"]).exits(0);
        for n in 0..8 {
            cli.run(&["campaign", "create", &format!("c{n}"), "--limit", "1"]).exits(0);
            cli.run(&["campaign", "set-limit", &format!("c{n}"), "2", "--id", &format!("more{n}")]).exits(0);
        }
        let tags = cli.redis(&["HGET", &format!("{}:meta", cli.namespace), "tags"]);
        let first = tags.split_whitespace().next().unwrap();
        let key = format!("{first}:{key}");
        cli.redis(&["DEL", &key]);
        if how == "set" {
            cli.redis(&["SET", &key, "oops"]);
        }
        for command in commands {
            let ran = cli.run(&command.split(' ').collect::<Vec<_>>());
            assert_eq!(ran.code, Some(1), "{command} with {how} {key}: {ran:#?}");
            assert!(ran.stderr.contains("partition 0: "), "{command} with {how} {key}: {ran:#?}");
            // There are no dead jobs to list.
            assert!(*command == "dead ls" || !ran.stdout.is_empty(), "{command} with {how} {key}: {ran:#?}");
        }
        if commands.contains(&"stats") {
            let stats: Value = serde_json::from_str(&cli.run(&["stats", "--json"]).stdout).unwrap();
            let numbers = |list: &Value| -> Vec<u64> {
                list.as_array().unwrap().iter().map(|one| one["partition"].as_u64().unwrap()).collect()
            };
            assert_eq!(numbers(&stats["partitions"]), [1, 2, 3], "{stats}");
            assert_eq!(numbers(&stats["unread"]), [0], "{stats}");
            assert!(!stats["unread"][0]["error"].as_str().unwrap().is_empty());
        }
        if commands.contains(&"journal export") {
            // What another partition knows is known; what none of them knows cannot be said.
            let known = (0..8).filter(|n| cli.run(&["lookup", &format!("more{n}")]).code == Some(0)).count();
            assert!((1..8).contains(&known), "{known}");
            assert_eq!(cli.run(&["lookup", "nobody"]).code, Some(1));
            assert!(cli.run(&["lookup", "nobody"]).stdout.is_empty());
        }
        if commands.contains(&"queue pause default") {
            cli.run(&["queue", "pause", "default"]);
            let stats: Value = serde_json::from_str(&cli.run(&["stats", "--json"]).stdout).unwrap();
            assert_eq!(stats["queues"][0]["status"], "paused", "the others are paused: {stats}");
        }
    }
}
