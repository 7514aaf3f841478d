//! `queue`: pausing and resuming, and a queue that is gone.

use serde_json::json;
use tollgate::fetch::Take;
use tollgate::ids::QueueName;
use tollgate::scripts::queue::{Apply, repair};

use crate::fixtures::{fresh, lines, open, settle_job};
use crate::harness::Cli;

#[tokio::test]
async fn queues_are_listed_paused_and_resumed() {
    let cli = fresh("2");
    assert_eq!(
        cli.run(&["queue", "pause", "default", "--json"]).json(),
        json!({"queue": "default", "status": "paused", "in_flight": 0})
    );
    let listed = cli.run(&["queue", "ls", "--json"]).json();
    assert_eq!(
        listed,
        json!([{"queue": "default", "status": "paused", "problem": null, "waiting": 0, "in_flight": 0, "oldest_age_ms": null, "consumers": 0}])
    );
    cli.run(&["queue", "resume", "default"]).exits(0);
    assert_eq!(cli.run(&["queue", "ls", "--json"]).json()[0]["status"], "active");

    // What could not be set is named, and nothing is said of what is in flight there.
    let tollgate = cli.tollgate().await;
    let head = tollgate.keys(tollgate.partitions().get(1).unwrap()).head();
    let kept = format!("{head}-kept");
    cli.redis(&["RENAME", &head, &kept]);
    let in_part = cli.run(&["queue", "pause", "default", "--json"]);
    assert!(in_part.complains(1).contains("partition 1"), "{in_part:?}");
    assert_eq!(in_part.json(), json!({"queue": "default", "status": null, "not_set": [1]}));
    cli.redis(&["RENAME", &kept, &head]);
    cli.run(&["queue", "resume", "default"]).exits(0);

    // One partition only: someone's pause was cut off.
    cli.redis(&["HSET", &cli.keys(&tollgate).queues(), "default", "paused"]);
    assert_eq!(cli.run(&["queue", "ls", "--json"]).json()[0]["status"], "mixed");

    assert!(
        cli.run(&["queue", "pause", "defualt"])
            .complains(1)
            .contains("did you mean default; there are: default")
    );
    cli.redis(&["XADD", &cli.keys(&tollgate).queue(&"bulk".parse().unwrap()), "*", "job", "{}"]);
    cli.run(&["queue", "pause", "bulk"]).exits(0);
    assert_eq!(cli.run(&["stats", "--json"]).json()["waiting"], 1);
    cli.run(&["queue", "pause", "a,b"]).complains(2);
}

#[test]
fn from_the_answer_of_a_pause_on_nothing_is_taken() {
    let cli = Cli::new();
    cli.run(&["campaign", "create", "c", "--limit", "100000"]).exits(0);
    let _workers = [cli.worker(&["-c", "2"]), cli.worker(&["-c", "2"])];
    let stats = || cli.run(&["--json", "stats"]).json();
    let job = |n: u32, round: u32| {
        format!("{{\"kind\":\"redeem\",\"id\":\"r{round}-{n}\",\"campaign\":\"c\",\"customer\":\"u\"}}\n")
    };
    for round in 0..5 {
        let jobs: String = (0..2_000).map(|n| job(n, round)).collect();
        cli.run_with(&["enqueue"], jobs.as_bytes()).exits(0);
        let paused = cli.run(&["--json", "queue", "pause", "default"]);
        paused.exits(0);
        assert_eq!(paused.json()["in_flight"], 0);
        // Whatever the workers know of the pause by now: each asks for more, and gets nothing.
        let before = stats();
        let more: String = (2_000..2_100).map(|n| job(n, round)).collect();
        cli.run_with(&["enqueue"], more.as_bytes()).exits(0);
        std::thread::sleep(std::time::Duration::from_millis(300));
        let after = stats();
        assert_eq!(after["in_flight"], 0);
        assert_eq!(after["decided"], before["decided"], "round {round}");
        assert_eq!(after["waiting"].as_u64(), before["waiting"].as_u64().map(|waiting| waiting + 100));
        cli.run(&["queue", "resume", "default"]).exits(0);
        crate::harness::until_so("all to be settled", || stats()["waiting"] == 0);
    }
}

#[tokio::test]
async fn a_pause_says_what_is_in_flight_still() {
    let cli = fresh("1");
    let tollgate = cli.tollgate().await;
    let keys = cli.keys(&tollgate);
    cli.redis(&["XADD", &keys.queue(&QueueName::default()), "*", "job", "{}"]);
    let mut link = tollgate.server().link().await.unwrap();
    Take::new(&keys, &QueueName::default(), "w-killed", 9).run(&mut link).await.unwrap().unwrap();
    let waited = cli.run(&["queue", "pause", "default", "--wait", "300ms"]);
    assert_eq!(
        (waited.code, waited.stdout.as_str()),
        (Some(4), "default: paused; 1 job is still in flight\n")
    );
    assert!(waited.stderr.contains("waiting up to 300 ms for 1 job in flight"), "{waited:?}");
    let at_once = cli.run(&["--json", "queue", "pause", "default", "--no-wait"]);
    at_once.exits(0);
    assert_eq!(at_once.json(), json!({"queue": "default", "status": "paused", "in_flight": 1}));
    cli.run(&["queue", "pause", "default", "--no-wait", "--wait", "1s"]).complains(2);
}

#[tokio::test]
async fn a_queue_that_was_deleted_is_named_and_hides_no_history() {
    let cli = fresh("1");
    settle_job(&cli, "r1", &open("a1", 1)).await;
    let (tollgate, queue) = (cli.tollgate().await, QueueName::default());
    let keys = cli.keys(&tollgate);
    cli.redis(&["DEL", &keys.queue(&queue)]);
    assert_eq!(lines(cli.run(&["journal", "export"]).exits(0)).len(), 1);
    // To make it again in silence would hide the loss.
    let resumed = cli.run(&["queue", "resume", "default"]);
    let told = resumed.complains(1);
    assert!(told.contains("its stream is gone") && told.contains("repair queue default"), "{told}");
    cli.run(&["queue", "pause", "default"]).exits(0);
    cli.run(&["stats"]).exits(0);
    assert!(cli.run(&["audit"]).exits(5).contains("its stream is gone"));
    let mut link = tollgate.server().link().await.unwrap();
    repair(&mut link, &keys, &queue, Apply::Yes).await.unwrap();
    cli.run(&["queue", "resume", "default"]).exits(0);
    cli.run(&["audit"]).exits(0);
}
