//! Passwords that are rotated while workers run.

use rustix::process::Signal;

use crate::harness::{Space, Worker, private, redemptions, until};

/// A worker that logs in as `worker` with the password in a file.
fn worker(space: &Space, file: &std::path::Path) -> Worker {
    let mut command = Worker::command();
    command.args(["--listen", "0"]).env("REDIS_URL", &space.url).env("REDIS_USERNAME", "worker");
    command.env("REDIS_PASSWORD_FILE", file).env("TOLLGATE_NAMESPACE", space.tollgate.namespace().as_str());
    Worker::spawn(&mut command)
}

async fn set_password(space: &Space, password: &str) {
    let password = format!(">{password}");
    space.cmd(&["ACL", "SETUSER", "worker", "reset", "on", &password, "~*", "+@all"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_was_rotated_is_read_again_when_the_old_one_is_refused() {
    let redis = private(&[]);
    let space = Space::on(&redis).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    std::fs::write(&file, "quince-1\n").unwrap();
    set_password(&space, "quince-1").await;
    let mut worker = worker(&space, &file);
    worker.says("consumer=").await;

    // In the order in which it hurts: the server first, the file later.
    set_password(&space, "quince-2").await;
    space.cmd(&["CLIENT", "KILL", "USER", "worker"]).await;
    until("unreadiness for the password", async || {
        let (status, words) = worker.page("/readyz").await;
        (status.contains("503") && words.contains("credentials for ")).then_some(())
    })
    .await;
    space.enqueue(&redemptions("j", 20)).await;
    std::fs::write(&file, "quince-2\n").unwrap();
    space.drained().await;
    assert_eq!(space.issued().await, 20);
    until("readiness", async || worker.page("/readyz").await.0.contains("200").then_some(())).await;
    worker.says("resumed").await;
    assert!(!worker.log().contains("quince"), "{}", worker.log());
    assert_eq!(worker.drained().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_reads_secrets_again_and_a_file_that_is_gone_is_told_and_costs_nothing() {
    let redis = private(&[]);
    let space = Space::on(&redis).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    std::fs::write(&file, "quince-1\n").unwrap();
    set_password(&space, "quince-1").await;
    let mut worker = worker(&space, &file);
    worker.says("consumer=").await;

    std::fs::remove_file(&file).unwrap();
    worker.signal(Signal::HUP);
    until("a word about the file", async || {
        let (status, words) = worker.page("/readyz").await;
        (status.contains("200") && words.contains("secret_unreadable")).then_some(())
    })
    .await;
    space.enqueue(&redemptions("j", 20)).await;
    space.drained().await;

    std::fs::write(&file, "quince-2\n").unwrap();
    worker.signal(Signal::HUP);
    worker.says("were read again changed=true").await;
    until("no word about the file", async || {
        (worker.page("/readyz").await.1.trim() == "ready").then_some(())
    })
    .await;
    set_password(&space, "quince-2").await;
    space.cmd(&["CLIENT", "KILL", "USER", "worker"]).await;
    space.enqueue(&redemptions("k", 20)).await;
    space.drained().await;
    assert_eq!(space.issued().await, 40);
    assert_eq!(worker.said("credentials"), 0, "the new one was there before it was wanted: {}", worker.log());
    assert_eq!(worker.drained().await, Some(0));
}
