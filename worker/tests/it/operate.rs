//! What an operator sees: pages, figures, the list of workers.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::harness::{Space, asking, private, redemptions, shared, until};

#[tokio::test]
async fn pages_tell_life_readiness_and_figures() {
    let mut redis = private(&[]);
    let space = Space::on(&redis).await;
    let mut worker = space.worker(&["--listen", "127.0.0.1:0"]);
    until("readiness", async || worker.page("/readyz").await.0.contains("200").then_some(())).await;
    assert!(worker.page("/healthz").await.0.contains("200"));
    let jobs = redemptions("j", 300);
    space.enqueue(&jobs).await;
    space.enqueue(&jobs[..7]).await;
    space.add("job", b"{").await;
    space.drained().await;
    for (name, figure) in [
        (r#"tollgate_jobs_decided_total{code="redeemed"}"#, 300),
        ("tollgate_jobs_replayed_total", 7),
        (r#"tollgate_jobs_parked_total{reason="malformed_json"}"#, 1),
        (r#"tollgate_job_duration_seconds_count{kind="redeem",queue="default"}"#, 300),
        (r#"tollgate_job_duration_seconds_count{kind="payout",queue="default"}"#, 0),
        ("tollgate_up", 1),
    ] {
        let shown = async || (worker.figure(name).await == figure).then_some(());
        until(&format!("{name} {figure}"), shown).await;
    }
    let queue = r#"{partition="0",queue="default"}"#;
    until("the age of the oldest job", async || {
        worker
            .page("/metrics")
            .await
            .1
            .contains(&format!("tollgate_queue_oldest_age_seconds{queue} 0.0\n"))
            .then_some(())
    })
    .await;
    assert!(worker.page("/nothing").await.0.contains("404"));
    figures_are_written_as_the_reader_reads(&worker.listens().await);

    redis.kill();
    until("unreadiness", async || worker.page("/readyz").await.0.contains("503").then_some(())).await;
    assert!(worker.page("/healthz").await.0.contains("200"), "it lives");
    redis.restart().unwrap();
    until("readiness again", async || worker.page("/readyz").await.0.contains("200").then_some(())).await;
    assert_eq!(worker.drained().await, Some(0));
}

/// In the classic format, unless OpenMetrics is accepted; promtool, where it is installed, finds nothing wrong with it.
fn figures_are_written_as_the_reader_reads(address: &str) {
    const CLASSIC: &str = "text/plain; version=0.0.4; charset=utf-8";
    const OPEN: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    for (accept, written) in [
        (None, CLASSIC),
        (Some("*/*"), CLASSIC),
        (Some("text/plain;version=0.0.4;q=0.5"), CLASSIC),
        (Some("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"), OPEN),
    ] {
        let (head, page) = asking(address, "/metrics", accept);
        assert!(head.contains(&format!("content-type: {written}\r\n")), "{accept:?}: {head}");
        assert_eq!(page.ends_with("# EOF\n"), written == OPEN);
        let started = page.lines().find_map(|line| line.strip_prefix("process_start_time_seconds "));
        let age_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
            - started.unwrap().parse::<f64>().unwrap();
        // The kernel says when it booted in whole seconds.
        assert!((-2.0..600.0).contains(&age_s), "{age_s}");
        if written == CLASSIC {
            checked_by_promtool(&page);
        }
    }
}

fn checked_by_promtool(page: &str) {
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut child) = promtool.spawn() else { return eprintln!("SKIPPED: promtool is not installed") };
    child.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let checked = child.wait_with_output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}

#[tokio::test]
async fn a_worker_is_listed_while_it_lives_and_a_dead_one_can_be_told() {
    let space = Space::on(shared()).await;
    let mut worker = space.worker(&["-c", "3"]);
    worker.says("ready").await;
    let listed = async || {
        let mut link = space.tollgate.server().link().await.unwrap();
        tollgate::workers::beats(&mut link, space.keys()).await.unwrap()
    };
    let beats = until("a beat with its queues", async || {
        let beats = listed().await;
        let known = beats.first()?.description.as_ref()?.queues == ["default"];
        known.then_some(beats)
    })
    .await;
    let description = beats[0].description.as_ref().unwrap();
    assert_eq!((description.concurrency, description.fetching), (3, true));
    assert!(beats[0].consumer.ends_with(&format!("-{}-{}", description.pid, description.boot)));
    assert!(worker.log().contains(&beats[0].consumer));
    assert_eq!(worker.drained().await, Some(0));
    assert_eq!(listed().await, [], "it took its name off the list");
}

#[tokio::test]
async fn secrets_are_not_logged() {
    let space = Space::on(shared()).await;
    let mut command = crate::harness::Worker::command();
    command.env("REDIS_URL", "redis://user:sesame@127.0.0.1:1/0").env("REDIS_PASSWORD", "open-sesame");
    command.env("TOLLGATE_NAMESPACE", space.tollgate.namespace().as_str());
    let worker = crate::harness::Worker::spawn(&mut command);
    worker.says("configuration").await;
    worker.says("unreachable").await;
    assert!(!worker.log().contains("sesame"), "{}", worker.log());
}

/// What a container's engine asks, and the address as its image has it.
fn health_check(address: &str) -> std::process::Output {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tollgate-worker"));
    // A worker's own environment may be damaged: whether it lives is asked all the same.
    let command = command.arg("--health-check").env("TOLLGATE_LISTEN", address);
    command.env("TOLLGATE_FAILPOINTS", "no such point").output().unwrap()
}

#[tokio::test]
async fn a_container_asks_whether_its_worker_lives() {
    let mut redis = private(&[]);
    let space = Space::on(&redis).await;
    let mut worker = space.worker(&["--listen", "127.0.0.1:0"]);
    let address = until("the address", async || {
        let log = worker.log();
        Some(log.split("address=").nth(1)?.split_whitespace().next()?.to_owned())
    })
    .await;
    assert_eq!(health_check(&address).status.code(), Some(0));
    let port = address.rsplit_once(':').unwrap().1;
    assert_eq!(health_check(&format!("0.0.0.0:{port}")).status.code(), Some(0), "by any address");
    redis.kill();
    assert_eq!(health_check(&address).status.code(), Some(0), "a worker without Redis waits, and lives");

    assert_eq!(worker.drained().await, Some(0));
    let gone = health_check(&address);
    assert_eq!(gone.status.code(), Some(1));
    let words = String::from_utf8_lossy(&gone.stderr).into_owned();
    assert!(words.contains("--health-check: 127.0.0.1"), "{words}");
}

/// Who opens connections and says nothing takes the pages from nobody for long, and no files from the work.
#[tokio::test]
async fn idle_connections_are_few_and_end() {
    use tokio::io::AsyncReadExt;
    let space = Space::on(shared()).await;
    let worker = space.worker(&["--listen", "127.0.0.1:0"]);
    let address = worker.listens().await;
    let mut idle = Vec::new();
    // More than are served at a time, and no more than are hung up on in one turn of ten seconds.
    for _ in 0..50 {
        idle.push(tokio::net::TcpStream::connect(&address).await.unwrap());
    }
    until("a page in spite of them", async || worker.page("/healthz").await.0.contains("200").then_some(()))
        .await;
    // The first of them has been hung up on.
    assert!(idle[0].read(&mut [0]).await.is_ok_and(|read| read == 0));
    space.enqueue(&redemptions("j", 10)).await;
    space.drained().await;
}
