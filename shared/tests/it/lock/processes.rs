//! A holder in a process of its own, killed and stopped: G11.

use std::convert::Infallible;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tollgate::ids::Namespace;
use tollgate::lock::{Guarded, LockError, LockNodes, LockOptions, Locks, WorkError};

use super::{Fleet, by_hand, ms, name};
use crate::harness::{SOON, servers, until};

/// Runs `child_that_holds` until it has the lock.
fn holder(fleet: &Fleet, data: &str, ttl_ms: u64) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "lock::processes::child_that_holds", "--ignored", "--nocapture"])
        .env(
            "TOLLGATE_TEST_LOCKS",
            [data, fleet.ns.as_str(), &ttl_ms.to_string(), &fleet.urls.join(",")].join(" "),
        )
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap());
    line(&mut said, "HOLDS");
    (child, said)
}

/// The rest of the next line in which `mark` occurs.
fn line(said: &mut BufReader<std::process::ChildStdout>, mark: &str) -> String {
    loop {
        let mut line = String::new();
        assert_ne!(said.read_line(&mut line).unwrap(), 0, "the child did not say {mark}");
        if let Some((_, rest)) = line.split_once(mark) {
            return rest.trim().to_owned();
        }
    }
}

#[tokio::test]
#[ignore = "a process of the tests below"]
async fn child_that_holds() {
    let told = std::env::var("TOLLGATE_TEST_LOCKS").unwrap();
    let [data, ns, ttl_ms, urls] = told.split(' ').collect::<Vec<_>>()[..] else { panic!("{told}") };
    let ns = Namespace::parse(ns).unwrap();
    let urls: Vec<&str> = urls.split(',').collect();
    let locks = Locks::new(LockNodes::open(&urls, None).unwrap(), ns.clone());
    let value = Guarded::new(super::server(data), &ns, name());
    let options = LockOptions { node_timeout: ms(200), ..LockOptions::of_ttl(ms(ttl_ms.parse().unwrap())) };
    let fence = value.mint().await.unwrap();
    let work = async |_| {
        println!("HOLDS");
        // Effects without end: the one under way when the process is stopped is what a fence is for.
        loop {
            tokio::time::sleep(ms(1)).await;
            println!("EFFECT");
        }
    };
    let result: Result<Infallible, WorkError<Infallible>> = locks.with(&name(), &options, work).await;
    println!("CODE {}", LockError::from(result.unwrap_err()).code());
    println!("WRITE {}", value.write(&fence, b"stale").await.unwrap_err().code());
}

#[tokio::test]
async fn a_holder_stopped_past_its_lease_does_no_more_and_its_write_is_fenced() {
    let fleet = Fleet::shared(3);
    let data = servers::private(&[]);
    let (mut child, mut said) = holder(&fleet, &data.url(), 1_000);
    let pid = Pid::from_raw(child.id().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::STOP).unwrap();
    let patient = LockOptions { retry_delay_max: ms(50), ..super::long() }.wait(SOON);
    let next = fleet.locks().acquire(&name(), &patient).await.unwrap();
    let value = Guarded::new(super::server(&data.url()), &fleet.ns, name());
    let fence = value.mint().await.unwrap();
    let before = fleet.owners(&name()).await;

    kill_process(pid, Signal::CONT).unwrap();
    assert_eq!(line(&mut said, "CODE"), "lock_lost");
    assert_eq!(line(&mut said, "WRITE"), "fenced");
    child.wait().unwrap();
    value.write(&fence, b"fresh").await.unwrap();
    assert_eq!(value.read().await.unwrap().unwrap(), b"fresh");
    let after = fleet.owners(&name()).await;
    for (before, after) in before.iter().zip(after) {
        assert!(before.is_none() || *before == after, "its release left ours alone");
    }
    next.release().await.unwrap();
}

#[tokio::test]
async fn a_killed_holder_leaves_nothing_that_the_ttl_does_not_clear() {
    let fleet = Fleet::shared(3);
    let data = servers::private(&[]);
    let (mut child, _said) = holder(&fleet, &data.url(), 1_000);
    let error = fleet.locks().acquire(&name(), &by_hand(ms(1_000))).await.unwrap_err();
    assert_eq!(error.code(), "lock_taken");
    child.kill().unwrap();
    child.wait().unwrap();
    until("the TTL to clear it", async || (fleet.left_overs().await == 0).then_some(())).await;
}
