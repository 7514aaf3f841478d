//! The questions of a support desk: what happened to a job, who holds a campaign's coupons, what an account did.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Cli, Ran, drain, opened, redis};

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
    crate::harness::until_so("the delayed job to be parked", || whats(&history("w3")) == ["scheduled -"]);
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

/// While it is not decided, where it lies and since when; afterwards, how long that took.
#[tokio::test]
async fn how_long_a_job_was_where_is_told() {
    let cli = Cli::new();
    cli.run(&["account", "open", "a", "--balance", "10"]).exits(0);
    let history = |id: &str| cli.run(&["--json", "job", "history", id]);
    let timed = tollgate::ids::JobId::fresh().to_string();
    for id in [timed.as_str(), "w2"] {
        cli.run(&["withdraw", "--account", "a", "--amount", "1", "--id", id]).exits(0);
    }
    let waiting = history(&timed);
    waiting.exits(4);
    assert_eq!(whats(&waiting), ["made -", "waiting -"]);
    assert!(waiting.stdout.contains("so far"), "{waiting:?}");

    let (tollgate, mut link) = opened(&cli).await;
    let keys = tollgate.keys(tollgate.partitions().iter().next().unwrap()).clone();
    let queue = tollgate::ids::QueueName::default();
    tollgate::fetch::Take::new(&keys, &queue, "w-one", 1).run(&mut link).await.unwrap().unwrap();
    let in_flight = history(&timed);
    in_flight.exits(4);
    assert_eq!(whats(&in_flight), ["made -", "waiting -", "in_flight -"]);
    let events = in_flight.json();
    assert!(events[2]["text"].as_str().unwrap().contains("taken by worker w-one, delivery 1"), "{events}");
    let waited = events[2]["at_ms"].as_u64().unwrap() - events[1]["at_ms"].as_u64().unwrap();
    assert_eq!(events[2]["waited_ms"].as_u64().unwrap_or(0), waited);
    assert_eq!(whats(&history("w2")), ["waiting -"], "the row ends before it");
    drain(&tollgate, &mut link).await;
    let decided = history("w2");
    decided.exits(0);
    assert_eq!(whats(&decided), ["decided withdrawn"]);

    // A payout: how long its money was held.
    let payout = ["withdraw", "--account", "a", "--amount", "2", "--destination", "iban", "--id", "p1"];
    cli.run(&payout).exits(0);
    drain(&tollgate, &mut link).await;
    let held = history("p1");
    assert_eq!(whats(&held), ["decided held"]);
    assert!(held.json()[0]["text"].as_str().unwrap().contains("so far"), "{held:?}");
    std::thread::sleep(Duration::from_millis(5));
    cli.run(&["payout", "void", "p1", "--reason", "test"]).exits(0);
    let voided = history("p1").json();
    let at = |n: usize| voided[n]["at_ms"].as_u64().unwrap();
    assert_eq!(voided[1]["waited_ms"].as_u64(), Some(at(1) - at(0)));
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
        crate::harness::until_so("the job to be known", || known(&id) != "-");
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

/// The ids of a list, page by page; between two pages `meanwhile` happens.
fn in_pages(cli: &Cli, list: &[&str], limit: &str, mut meanwhile: impl FnMut()) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let mut words = [&["--json"], list, &["--limit", limit]].concat();
        words.extend(after.iter().flat_map(|after| ["--after", after.as_str()]));
        let ran = cli.run(&words);
        let page = ran.json();
        let page = page.as_array().unwrap();
        ids.extend(page.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        let has_more = ran.stderr.contains("there are more");
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let Some(last) = page.last().filter(|_| has_more) else { return ids };
        assert_eq!(page.len().to_string(), limit, "only the last page is short");
        after = Some(last["cursor"].as_str().unwrap().to_owned());
        meanwhile();
    }
}

#[tokio::test]
async fn lists_are_read_in_pages_whatever_comes_and_goes() {
    let cli = Cli::empty();
    cli.run(&["init", "--partitions", "3"]).exits(0);
    let accounts = ["a", "b", "c", "d"];
    accounts.iter().for_each(|id| _ = cli.run(&["account", "open", id, "--balance", "9"]).exits(0));
    let jobs: String = (0..40)
        .map(|n| {
            let (account, at) = (accounts[n % 4], ["", ",\"at\":\"2999-01-01T00:00:00Z\""][n % 2]);
            format!(
                "{{\"kind\":\"withdraw\",\"id\":\"j{n:02}\",\"account\":\"{account}\",\"amount\":1{at}}}\n"
            )
        })
        .collect();
    let dead: String = (0..11)
        .map(|n| {
            format!(
                "{{\"kind\":\"redeem\",\"id\":\"d{n:02}\",\"campaign\":\"no{}\",\"customer\":\"u\"}}\n",
                n % 2
            )
        })
        .collect();
    cli.run_with(&["enqueue"], [jobs.clone(), dead].concat().as_bytes()).exits(0);
    let sorted = |mut ids: Vec<String>| {
        ids.sort();
        ids
    };
    let named = |prefix: &str, numbers: &[usize]| -> Vec<String> {
        numbers.iter().map(|n| format!("{prefix}{n:02}")).collect()
    };
    let all: Vec<usize> = (0..40).collect();
    let waiting = in_pages(&cli, &["job", "waiting", "--kind", "withdraw"], "7", || ());
    assert_eq!(sorted(waiting), named("j", &all));
    let of_b = in_pages(&cli, &["job", "waiting", "--account", "b"], "3", || ());
    assert_eq!(sorted(of_b), named("j", &all.iter().copied().filter(|n| n % 4 == 1).collect::<Vec<_>>()));

    let worker = cli.worker(&[]);
    crate::harness::until_so("all to be seen", || {
        let stats = cli.run(&["--json", "stats"]).json();
        (stats["scheduled"].as_u64(), stats["dead"].as_u64()) == (Some(20), Some(11))
    });
    drop(worker);
    let later: Vec<usize> = all.iter().copied().filter(|n| n % 2 == 1).collect();
    // What was shown already goes, one after the other, and what comes later is not in the way.
    let mut cancelled = 0;
    let scheduled = in_pages(&cli, &["job", "scheduled"], "1", || {
        let ids = cli.run(&["--json", "job", "scheduled", "--limit", "1"]).json();
        cli.run(&["job", "cancel", ids[0]["id"].as_str().unwrap()]).exits(0);
        cancelled += 1;
    });
    assert_eq!(sorted(scheduled), named("j", &later));
    assert_eq!(cancelled, 19);
    let dead = in_pages(&cli, &["dead", "ls"], "4", || ());
    assert_eq!(sorted(dead), named("d", &(0..11).collect::<Vec<_>>()));
    let of_one =
        in_pages(&cli, &["dead", "ls", "--campaign", "no1", "--reason", "campaign_not_found"], "2", || ());
    assert_eq!(sorted(of_one), named("d", &[1, 3, 5, 7, 9]));
    for wrong in ["x", "0", "0:", "0:1", "9:1:"] {
        assert!(cli.run(&["dead", "ls", "--after", wrong]).complains(2).contains("cursor"), "{wrong}");
    }
    assert!(cli.run(&["job", "waiting", "--after", "0:-"]).complains(2).contains("cursor"));
    cli.run(&["job", "waiting", "--kind", "deposit"]).complains(2);
}

#[tokio::test]
async fn a_page_ends_and_begins_among_jobs_of_the_same_time() {
    let cli = Cli::new();
    let (tollgate, mut link) = opened(&cli).await;
    let keys = tollgate.keys(tollgate.partitions().iter().next().unwrap()).clone();
    let mut words = vec!["ZADD".to_owned(), keys.scheduled()];
    // More than one read brings, and they have no rows: that is shown, too.
    (0..1_203).for_each(|n| words.extend(["1700000000000".to_owned(), format!("s{n:04}")]));
    redis(&mut link, &words.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let expected: Vec<String> = (0..1_203).map(|n| format!("s{n:04}")).collect();
    assert_eq!(in_pages(&cli, &["job", "scheduled"], "501", || ()), expected);
    let text = cli.run(&["job", "scheduled", "--limit", "1"]);
    assert!(text.stdout.contains("s0000") && text.stdout.contains("damaged"), "{text:?}");
    assert!(text.stderr.contains("1 shown; there are more: the same with --after '0:1700000000000:s0000'"));
}
