//! What a worker refuses at its start, and what it waits for.

use std::process::Command;

use crate::harness::{Space, Worker, private, redemptions, server, shared, until};

async fn exit_code(command: &mut Command) -> (Option<i32>, String) {
    let mut worker = Worker::spawn(command);
    let code = worker.ended().await.code();
    (code, until("its last words", async || Some(worker.log()).filter(|log| !log.is_empty())).await)
}

#[tokio::test]
async fn a_wrong_command_line_is_exit_2() {
    for (args, words) in [
        (&["--batch", "0"][..], "'0' for '--batch <N>': must be a whole number from 1 to 1000"),
        (&["--redis-url", "ftp://x"], "ftp"),
        (&["--redis-url", "redis-sentinel://x:1"], "entinel"),
        (&["--no-such-flag"], "--no-such-flag"),
    ] {
        let (code, log) = exit_code(Worker::command().args(args)).await;
        assert!(code == Some(2) && log.contains(words), "{args:?}: {code:?} {log}");
    }
}

#[tokio::test]
async fn a_redis_that_evicts_is_refused_unless_that_is_asked_for() {
    let redis = private(&["--maxmemory", "100mb"]);
    let space = Space::on(&redis).await;
    space.cmd(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]).await;
    let (code, log) = exit_code(Worker::command().env("REDIS_URL", redis.url())).await;
    assert!(code == Some(3) && log.contains("allow-unsafe-redis"), "{code:?} {log}");
    let worker = space.worker(&["--allow-unsafe-redis"]);
    worker.says("ready").await;
}

#[tokio::test]
async fn a_password_that_is_wrong_is_exit_3() {
    let redis = private(&[]);
    let mut link = server(&redis).link().await.unwrap();
    link.run(redis::Cmd::new().arg("CONFIG").arg("SET").arg("requirepass").arg("right")).await.unwrap();
    let (code, log) =
        exit_code(Worker::command().env("REDIS_URL", redis.url()).env("REDIS_PASSWORD", "wrong")).await;
    assert!(code == Some(3) && log.contains("REDIS_PASSWORD"), "{code:?} {log}");
}

#[tokio::test]
async fn it_waits_for_a_namespace_and_never_makes_one() {
    let namespace = format!("unborn-{}", std::process::id());
    let mut command = Worker::command();
    command.env("REDIS_URL", shared().url()).env("TOLLGATE_NAMESPACE", &namespace);
    let mut worker = Worker::spawn(command.args(["--listen", "0"]));
    worker.says("tollgate-producer init").await;
    until("some more attempts", async || {
        (worker.figure(r#"tollgate_redis_failures_total{kind="uninitialised"}"#).await >= 3).then_some(())
    })
    .await;
    assert_eq!(worker.said("tollgate-producer init"), 1, "it says so once");
    let keys: Vec<String> = {
        let mut link = server(shared()).link().await.unwrap();
        link.query(redis::Cmd::new().arg("KEYS").arg(format!("*{namespace}*"))).await.unwrap()
    };
    assert_eq!(keys, [""; 0]);
    let name = tollgate::ids::Namespace::parse(namespace).unwrap();
    let (one, retention) = (tollgate::partition::Partitions::ONE, tollgate::RETENTION_DEFAULT);
    tollgate::Tollgate::init(server(shared()), name, one, retention).await.unwrap();
    worker.says("ready").await;
    assert_eq!(worker.drained().await, Some(0));
}

#[tokio::test]
async fn it_waits_for_a_server_that_is_down_and_can_be_ended_meanwhile() {
    let mut redis = private(&["--appendfsync", "always"]);
    let space = Space::on(&redis).await;
    space.enqueue(&redemptions("j", 10)).await;
    redis.kill();
    let mut impatient = space.worker(&[]);
    let worker = space.worker(&[]);
    impatient.says("unreachable").await;
    worker.says("unreachable").await;
    assert_eq!(impatient.drained().await, Some(0));
    redis.restart().unwrap();
    space.drained().await;
    assert_eq!(space.issued().await, 10);
    assert_eq!(worker.said("unreachable"), 1);
}

/// A worker of a namespace that is gone touches nothing of the one that took its name.
#[tokio::test]
async fn it_ends_when_the_namespace_was_initialised_anew() {
    let redis = private(&[]);
    let space = Space::on(&redis).await;
    let mut worker = space.worker(&[]);
    worker.says("ready").await;
    space.cmd(&["FLUSHALL"]).await;
    worker.says("uninitialised").await;
    // It goes on with its beats, and none of them stands in the way of `init`.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let two = tollgate::partition::Partitions::new(2).unwrap();
    let name = space.tollgate.namespace().clone();
    tollgate::Tollgate::init(server(&redis), name, two, tollgate::RETENTION_DEFAULT).await.unwrap();
    worker.says("initialised anew").await;
    assert_eq!(worker.ended().await.code(), Some(1));
}
