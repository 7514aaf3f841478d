//! The questions of a support desk: what happened to a job, who holds a campaign's coupons, what an account did.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Cli, Ran, drain, opened};

fn whats(ran: &Ran) -> Vec<String> {
    let what = |event: &Value| {
        let words = [&event["what"], &event["code"]].map(|word| word.as_str().unwrap_or("-").to_owned());
        words.join(" ")
    };
    ran.json().as_array().unwrap().iter().map(what).collect()
}

#[tokio::test]
async fn what_is_known_of_a_job_is_told_in_the_order_of_time() {
    let cli = Cli::new();
    cli.run(&["account", "open", "a", "--balance", "10"]).exits(0);
    let history = |id: &str| cli.run(&["--json", "job", "history", id]);
    let sent = ["withdraw", "--account", "a", "--amount", "4", "--id", "w1", "--wait=60s"];
    let nowhere = ["withdraw", "--account", "b", "--amount", "4", "--id", "w2", "--wait=60s"];
    let later = ["withdraw", "--account", "a", "--amount", "5", "--id", "w3", "--in", "1h"];
    let unserved = history("w0");
    unserved.exits(4);
    assert_eq!(whats(&unserved), ["not_decided -"]);
    assert!(unserved.stdout.contains("no worker is running"), "{unserved:?}");
    let worker = cli.worker(&[]);
    cli.run(&sent).exits(0);
    cli.run(&nowhere).complains(1);
    cli.run(&later).exits(0);
    crate::pipes::until("the delayed job to be parked", || whats(&history("w3")) == ["scheduled -"]);
    drop(worker);

    let decided = history("w1");
    decided.exits(0);
    assert_eq!(whats(&decided), ["decided withdrawn"]);
    assert!(decided.stdout.contains("account a, amount 4.00 USD"), "{decided:?}");
    let dead = history("w2");
    dead.exits(1);
    assert_eq!(whats(&dead), ["dead account_not_found"]);
    history("w3").exits(4);

    let scheduled = cli.run(&["--json", "job", "scheduled"]);
    scheduled.exits(0);
    let list = scheduled.json();
    assert_eq!((&list[0]["id"], &list[0]["queue"]), (&"w3".into(), &"default".into()));
    assert_eq!(cli.run(&["--json", "job", "scheduled", "--queue", "other"]).json(), serde_json::json!([]));
    let text = cli.run(&["job", "history", "w2"]);
    assert!(text.complains(1).is_empty() && text.stdout.contains("dead account_not_found"), "{text:?}");

    let statement = cli.run(&["--json", "account", "statement", "a"]);
    statement.exits(0);
    let lines = statement.json();
    let after: Vec<_> =
        lines.as_array().unwrap().iter().map(|line| line["available"].as_u64().unwrap()).collect();
    assert_eq!(after, [1000, 600]);
    let text = cli.run(&["account", "statement", "a"]);
    assert!(text.exits(0).contains("6.00 USD  w1"), "{text:?}");
    cli.run(&["account", "statement", "nobody"]).complains(1);
}

#[tokio::test]
async fn what_waits_is_listed_from_the_first_that_nobody_has_taken() {
    let cli = Cli::new();
    let listed = |args: &[&str]| {
        let ran = cli.run(&[&["--json", "job", "waiting"][..], args].concat());
        ran.exits(0);
        let ids = |job: &Value| job["id"].as_str().unwrap_or("-").to_owned();
        ran.json().as_array().unwrap().iter().map(ids).collect::<Vec<_>>()
    };
    // Before any worker has opened the queue, and of one that is not there.
    assert!(listed(&["--queue", "other"]).is_empty());
    for id in ["q1", "q2"] {
        cli.run(&["withdraw", "--account", "a", "--amount", "1", "--id", id]).exits(0);
    }
    assert_eq!(listed(&[]), ["q1", "q2"]);
    let (tollgate, mut link) = opened(&cli).await;
    drain(&tollgate, &mut link).await;
    assert!(listed(&[]).is_empty());
    for n in 0..=20 {
        let job = format!("{{\"kind\":\"withdraw\",\"id\":\"n{n}\",\"account\":\"a\",\"amount\":1}}");
        cli.redis(&["XADD", &format!("{{{}.0}}:queue:default", cli.namespace), "*", "job", &job]);
    }
    cli.redis(&["XADD", &format!("{{{}.0}}:queue:default", cli.namespace), "*", "job", "{"]);
    let all = listed(&[]);
    assert_eq!((all.len(), all[0].as_str(), all[21].as_str()), (22, "n0", "-"));
    assert_eq!(listed(&["--limit", "2"]), ["n0", "n1"]);
}

#[tokio::test]
async fn who_holds_the_coupons_of_a_campaign_is_listed() {
    let cli = Cli::new();
    cli.run(&["campaign", "create", "c", "--limit", "2000"]).exits(0);
    let file: String = (0..1_200)
        .map(|n| format!("{{\"kind\":\"redeem\",\"campaign\":\"c\",\"customer\":\"x{n}\"}}\n"))
        .chain(["{\"kind\":\"redeem\",\"campaign\":\"c\",\"customer\":\"x7\",\"quantity\":3}\n".to_owned()])
        .collect();
    cli.run_with(&["enqueue"], file.as_bytes()).exits(0);
    let (tollgate, mut link) = opened(&cli).await;
    assert_eq!(drain(&tollgate, &mut link).await, 1_201);
    let all = cli.run(&["--json", "campaign", "holders", "c"]);
    all.exits(0);
    let held: u64 =
        all.json().as_array().unwrap().iter().map(|holder| holder["held"].as_u64().unwrap()).sum();
    assert_eq!((all.json().as_array().unwrap().len(), held), (1_200, 1_203));
    assert_eq!(cli.run(&["campaign", "holders", "c", "x7"]).exits(0), "x7  4\n");
    assert_eq!(cli.run(&["campaign", "holders", "c", "nobody"]).exits(0), "nobody  0\n");
    assert!(cli.run(&["campaign", "holders", "d"]).complains(1).contains("campaign_not_found"));
}

/// From outside: a job is scheduled and cancelled, and its time comes; its copies do nothing, with two workers.
#[test]
fn what_was_cancelled_is_never_executed() {
    let cli = Cli::new();
    cli.run(&["account", "open", "a", "--balance", "10"]).exits(0);
    let workers = [cli.worker(&[]), cli.worker(&[])];
    let withdraw = |id: &str, more: &[&str]| {
        cli.run(&[&["withdraw", "--account", "a", "--amount", "4", "--id", id][..], more].concat())
    };
    let known = |id: &str| {
        let found = cli.run(&["--json", "lookup", id]).json();
        found["code"].as_str().unwrap_or("-").to_owned()
    };
    // Whoever is too slow to cancel it before its time takes a longer one.
    let cancelled = [2_u64, 8, 32].into_iter().find_map(|seconds| {
        let (id, at) = (format!("w{seconds}"), Instant::now() + Duration::from_secs(seconds));
        withdraw(&id, &["--in", &format!("{seconds}s")]).exits(0);
        crate::pipes::until("the job to be known", || known(&id) != "-");
        let ran = cli.run(&["--json", "job", "cancel", &id]);
        (ran.json()["cancelled"] == true).then_some((id, at))
    });
    let (id, at) = cancelled.expect("a job that is cancelled within 32 seconds");
    let before = cli.run(&["--json", "account", "show", "a"]).json()["available"].clone();
    // A copy for later, whose sender waits, and one for now.
    for copy in [&["--in", "1h", "--wait=60s"][..], &["--wait=60s"]] {
        let told = withdraw(&id, copy);
        assert!(told.code == Some(1) && told.stdout.contains("cancelled"), "{told:?}");
    }
    std::thread::sleep(at.saturating_duration_since(Instant::now()));
    // Jobs that are sent after its time are decided after it would have been.
    withdraw("after", &["--in", "1s", "--wait=60s"]);
    drop(workers);
    assert_eq!(known(&id), "cancelled");
    let after = cli.run(&["--json", "account", "show", "a"]).json()["available"].clone();
    let spent = if known("after") == "withdrawn" { 400 } else { 0 };
    assert_eq!(before.as_u64(), after.as_u64().map(|after| after + spent));
    assert_eq!(cli.run(&["--json", "audit"]).json()["verdict"], "pass");
    assert_eq!(cli.run(&["--json", "stats"]).json()["conservation"]["holds"], true);
}
