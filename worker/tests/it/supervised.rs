//! Nothing ends without a word: a panic in each long-lived task, a log that cannot be written.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
#[cfg(feature = "failpoints")]
use tollgate_worker::failpoint::{AGENTS, TASKS};

use crate::harness::{Space, Worker, get, private, redemptions, shared, until};

/// A worker that has every task there is. Nobody is to be paid.
#[cfg(feature = "failpoints")]
const PAYING: [&str; 5] = ["--listen", "0", "--payout-url", "http://127.0.0.1:1", "--allow-unsafe-redis"];

/// What `/readyz` says: its status line, its words.
async fn ready(worker: &Worker) -> (bool, String) {
    let (status, words) = worker.page("/readyz").await;
    (status.contains("200"), words)
}

#[cfg(feature = "failpoints")]
#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_any_long_lived_task_is_told_and_the_task_begins_anew() {
    futures_util::future::join_all(AGENTS.into_iter().chain(TASKS).map(async |task| {
        let space = Space::on(shared()).await;
        let mut worker = space.worker_with(&PAYING, &format!("in_{task}:panic_once"));
        worker.says(&format!("panicked: fail point in_{task}")).await;
        worker.says("it is started again").await;
        until(&format!("{task} in the page"), async || {
            let (is_ready, words) = ready(&worker).await;
            (!is_ready && words.contains("task_restarted") && words.contains("panicked")).then_some(())
        })
        .await;
        assert_eq!(worker.figure("tollgate_tasks_restarted_total").await, 1, "{task}");
        assert_eq!(worker.figure(r#"tollgate_incidents{kind="task_restarted"}"#).await, 1, "{task}");
        space.enqueue(&redemptions("j", 20)).await;
        space.drained().await;
        until(&format!("{task} to be well"), async || ready(&worker).await.0.then_some(())).await;
        worker.says("resumed").await;
        assert_eq!(worker.drained().await, Some(0), "{task}");
    }))
    .await;
}

#[cfg(feature = "failpoints")]
#[tokio::test(flavor = "multi_thread")]
async fn a_panic_at_a_partition_stops_no_agent() {
    futures_util::future::join_all(AGENTS.map(async |agent| {
        let space = Space::on(shared()).await;
        let mut worker = space.worker_with(&PAYING, &format!("visit_{agent}:panic_once"));
        worker.says(&format!("panicked: fail point visit_{agent}")).await;
        worker.says("resumed").await;
        assert_eq!(worker.figure("tollgate_tasks_restarted_total").await, 0, "{agent}");
        space.enqueue(&redemptions("j", 20)).await;
        space.drained().await;
        assert_eq!(worker.drained().await, Some(0), "{agent}");
    }))
    .await;
}

#[cfg(feature = "failpoints")]
#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_keeps_ending_ends_the_worker_with_the_reason() {
    futures_util::future::join_all(["fetch", "signals", "heartbeat"].map(async |task| {
        let space = Space::on(shared()).await;
        let mut worker = space.worker_with(&["--listen", "0"], &format!("in_{task}:panic"));
        assert_eq!(worker.ended().await.code(), Some(1), "{task}");
        worker.says("10 times in a row: this worker drains and ends").await;
    }))
    .await;
}

/// A worker whose stderr nobody reads any more from the moment at which it is ready, and where its pages are.
fn deaf(space: &Space) -> (std::process::Child, String) {
    let mut command = Worker::command();
    command.args(["--listen", "0"]).env("REDIS_URL", &space.url);
    command.env("TOLLGATE_NAMESPACE", space.tollgate.namespace().as_str());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut address = String::new();
    for line in lines.by_ref() {
        let line = line.unwrap();
        if let Some(rest) = line.split("address=").nth(1) {
            address = rest.split_whitespace().next().unwrap().to_owned();
        }
        if line.contains("ready") {
            break;
        }
    }
    (child, address)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_log_is_broken_goes_on_through_an_outage_and_obeys() {
    let mut redis = private(&["--appendfsync", "always"]);
    let space = Space::on(&redis).await;
    let (mut worker, address) = deaf(&space);
    redis.kill();
    until("unreadiness", async || get(&address, "/readyz").0.contains("503").then_some(())).await;
    redis.restart().unwrap();
    space.enqueue_until_sent(&redemptions("j", 50)).await;
    space.drained().await;
    assert_eq!(space.issued().await, 50);
    until("readiness", async || get(&address, "/readyz").0.contains("200").then_some(())).await;
    until("the count of what was dropped", async || {
        let (_, page) = get(&address, "/metrics");
        let line = page.lines().find(|line| line.starts_with("tollgate_log_lines_dropped_total "));
        (line?.rsplit(' ').next()?.parse::<u64>().ok()? > 0).then_some(())
    })
    .await;
    kill_process(Pid::from_child(&worker), Signal::TERM).unwrap();
    let status = until("its end", async || worker.try_wait().unwrap()).await;
    assert_eq!(status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_whose_reader_stands_still_holds_up_nothing_and_what_was_dropped_is_said_later() {
    let space = Space::on(shared()).await;
    let mut command = Worker::command();
    // Every job is three lines: far more than a pipe and the queue behind it hold.
    command.args(["--listen", "0"]).env("RUST_LOG", "debug");
    command.env("REDIS_URL", &space.url).env("TOLLGATE_NAMESPACE", space.tollgate.namespace().as_str());
    let mut child = command.spawn().unwrap();
    let mut stderr = child.stderr.take().unwrap();
    for n in 0..20 {
        space.enqueue(&redemptions(&format!("j{n}-"), 500)).await;
    }
    space.drained().await;
    assert_eq!(space.issued().await, 10_000);
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        stderr.read_to_string(&mut text).unwrap();
        text
    });
    space.enqueue(&redemptions("more", 500)).await;
    space.drained().await;
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let status = until("its end", async || child.try_wait().unwrap()).await;
    assert_eq!(status.code(), Some(0));
    let text = reader.join().unwrap();
    assert!(text.contains("log lines could not be written and were dropped"), "{}", text.len());
    assert!(text.contains("drained"), "the last lines are written");
}

#[tokio::test]
async fn a_filter_that_would_silence_the_worker_is_refused_and_an_empty_one_is_none() {
    let run = |filter: &str| {
        let mut command = Worker::command();
        // Nothing listens there: it would wait for ever.
        command.env("RUST_LOG", filter).env("REDIS_URL", "redis://127.0.0.1:1");
        Worker::spawn(&mut command)
    };
    for (filter, named) in [
        ("inof", "RUST_LOG=inof: `inof`"),
        ("tollgate_worker=verbose", "`verbose`"),
        ("tollgate-worker=debug", "`tollgate-worker`"),
    ] {
        let mut worker = run(filter);
        assert_eq!(worker.ended().await.code(), Some(2), "{filter}");
        worker.says(named).await;
    }
    for filter in ["", " ", "info", "hyper=debug"] {
        let mut worker = run(filter);
        worker.says("configuration").await;
        worker.says("unreachable").await;
        assert_eq!(worker.drained().await, Some(0), "{filter:?}");
    }
}

#[tokio::test]
async fn closed_streams_are_no_reason_not_to_work() {
    let space = Space::on(shared()).await;
    let script = format!("exec {} <&- >&- 2>&-", env!("CARGO_BIN_EXE_tollgate-worker"));
    let mut command = tollgate_testkit::servers::bare("sh");
    command.args(["-c", &script]);
    command.env("REDIS_URL", &space.url).env("TOLLGATE_NAMESPACE", space.tollgate.namespace().as_str());
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    space.enqueue(&redemptions("j", 50)).await;
    space.drained().await;
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let status = until("its end", async || child.try_wait().unwrap()).await;
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn every_move_to_dead_is_told_and_a_flood_is_counted() {
    let space = Space::on(shared()).await;
    let worker = space.worker(&["--listen", "0"]);
    for (bytes, words) in [
        (&br#"{"id":"half","kind":"redeem","campaign":"summer"}"#[..], "id=half reason=missing_field"),
        (
            br#"{"id":"money","kind":"deposit","account":"a","amount":5}"#,
            "id=money reason=kind_not_queueable",
        ),
        (b"no json", "reason=malformed_json"),
    ] {
        space.add("job", bytes).await;
        worker.says(words).await;
    }
    for _ in 0..1_000 {
        space.add("job", b"no json either").await;
    }
    space.drained().await;
    let counted = until("each job in a line or in a count", async || {
        let (mut lines, mut left_out) = (0, 0);
        for line in worker.log().lines() {
            match line.split("left_out=").nth(1) {
                Some(count) => left_out += count.split_whitespace().next()?.parse::<u64>().ok()?,
                None => lines += u64::from(line.contains("moved to dead: ")),
            }
        }
        (lines + left_out >= 1_003).then_some((lines, left_out))
    })
    .await;
    assert!((100..900).contains(&counted.0) && counted.0 + counted.1 == 1_003, "{counted:?}");
    assert_eq!(worker.figure(r#"tollgate_jobs_parked_total{reason="malformed_json"}"#).await, 1_001);
}

#[tokio::test]
async fn at_debug_a_job_can_be_followed_by_its_id() {
    let space = Space::on(shared()).await;
    let mut command = Worker::command();
    command.env("RUST_LOG", "tollgate_worker=debug").env("REDIS_URL", &space.url);
    command.env("TOLLGATE_NAMESPACE", space.tollgate.namespace().as_str());
    let worker = Worker::spawn(&mut command);
    worker.says("ready").await;
    // A machine that is too slow to fetch it before its time takes a longer one.
    let mut moved = None;
    for seconds in [1, 4, 16, 64] {
        let jobs = redemptions(&format!("followed{seconds}-"), 1);
        let at =
            tollgate::instant::Instant::from_ms(tollgate::instant::Instant::now().ms() + seconds * 1_000);
        space.enqueue(&[tollgate::job::Job { at, ..jobs[0].clone() }]).await;
        let id = jobs[0].id.to_string();
        until("the job", async || (space.fate(&id).await == "redeemed").then_some(())).await;
        if worker.log().lines().any(|line| line.contains(&id) && line.contains("moved to scheduled")) {
            moved = Some(jobs);
            break;
        }
    }
    let jobs = moved.expect("a job that waited for its time");
    let followed = format!("id={}", jobs[0].id);
    space.enqueue(&jobs).await;
    space.drained().await;
    worker.says("decided before").await;
    let log = worker.log();
    let stages: Vec<&str> = log
        .lines()
        .filter(|line| line.contains(&followed))
        .filter_map(|line| {
            let words = ["fetched", "moved to scheduled", "settling", "decided before", "decided"];
            words.into_iter().find(|word| line.contains(word))
        })
        .collect();
    let expected = [
        "fetched",
        "moved to scheduled",
        "fetched",
        "settling",
        "decided",
        "fetched",
        "settling",
        "decided before",
    ];
    assert_eq!(stages, expected, "{log}");
}
