//! `tollgate-chaos compose promises`: what docker-compose.yml promises, tried in containers, one after the other.

use std::pin::pin;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use super::container::Container;
use super::engine::docker;
use super::project::{LOOK_EVERY, Project, until};
use crate::stage::{print, thousands};

/// Jobs a second of each burst.
const RATE: u64 = 1_000;
/// A burst ends with what it is there for; this is more than any of that takes, on whatever machine.
const BURST_SECONDS: u64 = 180;
/// How long what was sent may wait without any of it being settled.
const STANDS_STILL_FOR: Duration = Duration::from_secs(60);
/// The grace period of a worker in the compose file.
const GRACE: Duration = Duration::from_secs(40);

/// One of them: what is promised, and what trying it showed.
struct Tried {
    promise: &'static str,
    shown: anyhow::Result<String>,
    took: Duration,
}

/// Tries them all; answers whether every one was kept. The first that is not ends it: the next would stand on it.
pub(super) async fn try_all(project: &Project) -> bool {
    let begun = Instant::now();
    let mut kept = 0;
    for number in 0.. {
        let begun = Instant::now();
        let (promise, shown) = match number {
            0 => ("`up` makes it ready", comes_up(project).await),
            1 => ("containers are fenced in", are_fenced_in(project).await),
            2 => ("Redis wants its password", password_is_wanted(project).await),
            3 => ("`docker stop` drains", stop_drains(project).await),
            4 => ("who is killed comes back", killed_comes_back(project).await),
            5 => ("workers outlive an outage", outlives_an_outage(project).await),
            6 => ("`--scale` up and down", scales(project).await),
            7 => ("data survives `down`, `up`", data_survives(project).await),
            _ => break,
        };
        let tried = Tried { promise, shown, took: begun.elapsed() };
        if !tried.print() {
            return false;
        }
        kept += 1;
    }
    print(format_args!(
        "\nPASS: {kept} promises tried in containers, {:.0} s",
        begun.elapsed().as_secs_f64()
    ));
    true
}

impl Tried {
    fn print(&self) -> bool {
        let Self { promise, shown, took } = self;
        match shown {
            Ok(shown) => print(format_args!("  {promise:<28}{shown}  ({:.1} s)", took.as_secs_f64())),
            Err(error) => print(format_args!("  {promise:<28}NOT KEPT: {error:#}\n\nFAIL: {promise}")),
        }
        shown.is_ok()
    }
}

async fn comes_up(project: &Project) -> anyhow::Result<String> {
    project.up(&[("worker", 2)]).await?;
    let workers = project.containers("worker").await?;
    ensure!(workers.len() == 2, "{} workers run, not 2", workers.len());
    for container in &workers {
        until("a worker to be healthy", async || {
            let health = container.inspect().await?["State"]["Health"]["Status"].clone();
            ensure!(health != "unhealthy", "{} is unhealthy", container.name);
            Ok((health == "healthy").then_some(()))
        })
        .await?;
    }
    let init = project.containers("init").await?;
    ensure!(init.len() == 1 && init[0].exit_code().await? == 0, "init did not end with exit code 0");
    Ok("2 workers healthy, the namespace made by init".to_owned())
}

async fn are_fenced_in(project: &Project) -> anyhow::Result<String> {
    let mut seen = 0;
    for service in ["redis", "worker"] {
        for container in project.containers(service).await? {
            is_fenced_in(&container).await.with_context(|| container.name.clone())?;
            seen += 1;
        }
    }
    Ok(format!(
        "{seen} processes without root, capabilities and new privileges; nothing published but on loopback"
    ))
}

/// What the engine was told, and what the kernel says of the process.
async fn is_fenced_in(container: &Container) -> anyhow::Result<()> {
    let said = container.inspect().await?;
    let host = &said["HostConfig"];
    ensure!(host["ReadonlyRootfs"] == true, "its file system can be written");
    ensure!(host["Memory"].as_i64() > Some(0), "no limit of memory");
    ensure!(host["PidsLimit"].as_i64() > Some(0), "no limit of processes");
    let published = said["NetworkSettings"]["Ports"].as_object().cloned().unwrap_or_default();
    for binding in published.values().filter_map(Value::as_array).flatten() {
        ensure!(binding["HostIp"] == "127.0.0.1", "published at {binding}");
    }
    let pid = container.pid().await?.context("it does not run")?;
    let Ok(status) = std::fs::read_to_string(format!("/proc/{pid}/status")) else { return Ok(()) };
    let field =
        |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
    ensure!(!field("Uid:").split_whitespace().any(|id| id == "0"), "it runs as root");
    ensure!(!field("Gid:").split_whitespace().any(|id| id == "0"), "it runs in root's group");
    ensure!(field("CapEff:").trim_start_matches('0').is_empty(), "capabilities {}", field("CapEff:"));
    ensure!(
        field("CapBnd:").trim_start_matches('0').is_empty(),
        "it could get capabilities {}",
        field("CapBnd:")
    );
    ensure!(field("NoNewPrivs:") == "1", "it may get new privileges");
    ensure!(field("Seccomp:") == "2", "no filter of system calls");
    Ok(())
}

/// Nothing is answered without it; and it stands neither in what the engine knows of a container, nor in the words of a
/// process.
async fn password_is_wanted(project: &Project) -> anyhow::Result<String> {
    let password = std::fs::read_to_string(project.secret("redis-password"))?;
    let mut seen = 0;
    for service in ["redis", "init", "worker"] {
        for container in project.containers(service).await? {
            let inspected = container.inspect().await?.to_string();
            ensure!(!inspected.contains(password.trim()), "`docker inspect` of {} shows it", container.name);
            let Some(pid) = container.pid().await? else { continue };
            let words = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            ensure!(!words.contains(password.trim()), "the words of {}'s process show it", container.name);
            seen += 1;
        }
    }
    let redis = project.containers("redis").await?.pop().context("no redis")?;
    let said = docker(["exec", &redis.id, "redis-cli", "dbsize"]).await?;
    ensure!(said.contains("NOAUTH"), "without it, Redis answers {said:?}");
    Ok(format!("without it NOAUTH; not in the words of {seen} processes, nor in `docker inspect`"))
}

async fn stop_drains(project: &Project) -> anyhow::Result<String> {
    let workers = project.containers("worker").await?;
    let stopped = &workers[0];
    let took = under_load(project, async {
        let begun = Instant::now();
        let code = stopped.stop().await?;
        let took = begun.elapsed();
        ensure!(code == 0, "it ended with exit code {code}");
        ensure!(took < GRACE, "it took {took:?}");
        let host = stopped.id.chars().take(12).collect::<String>();
        let rows: Vec<Value> = project.read(&["worker", "ls"]).await?;
        ensure!(rows.iter().all(|row| row["host"] != *host), "it did not take its name off the list");
        Ok(took)
    })
    .await?;
    stopped.start().await?;
    let settled = drained(project).await?;
    Ok(format!(
        "exit 0 after {:.1} s under load, nothing left in flight; {} settled",
        took.as_secs_f64(),
        thousands(settled)
    ))
}

async fn killed_comes_back(project: &Project) -> anyhow::Result<String> {
    let workers = project.containers("worker").await?;
    let killed = &workers[0];
    let (before, after, back) = under_load(project, async {
        let before = killed.kill_process().await?;
        let begun = Instant::now();
        let another = async || Ok(killed.pid().await?.filter(|pid| *pid != before));
        let after = until("the worker to come back", another).await?;
        Ok((before, after, begun.elapsed()))
    })
    .await?;
    let restarts = killed.inspect().await?["RestartCount"].clone();
    ensure!(restarts == 1, "restarted {restarts} times");
    let settled = drained(project).await?;
    Ok(format!(
        "process {before} was killed, {after} was there {:.1} s later; {} settled",
        back.as_secs_f64(),
        thousands(settled)
    ))
}

async fn outlives_an_outage(project: &Project) -> anyhow::Result<String> {
    let redis = project.containers("redis").await?.pop().context("no redis")?;
    let workers = project.containers("worker").await?;
    under_load(project, async {
        redis.stop().await?;
        for worker in &workers {
            docker(["exec", &worker.id, "tollgate-worker", "--health-check"]).await?;
            ensure!(worker.pid().await?.is_some(), "{} ended", worker.name);
        }
        redis.start().await?;
        until("Redis to answer", async || stats(project).await.map(Some)).await
    })
    .await?;
    let settled = drained(project).await?;
    Ok(format!(
        "Redis was stopped and started under load: they stayed healthy and went on; {} settled",
        thousands(settled)
    ))
}

async fn scales(project: &Project) -> anyhow::Result<String> {
    under_load(project, async {
        project.up(&[("worker", 4)]).await?;
        let four = project.containers("worker").await?;
        ensure!(four.len() == 4, "{} workers run, not 4", four.len());
        until("four workers to live", async || Ok((alive(project).await? == 4).then_some(()))).await
    })
    .await?;
    under_load(project, project.up(&[("worker", 1)])).await?;
    let one = project.containers("worker").await?;
    ensure!(one.len() == 1, "{} workers run, not 1", one.len());
    ensure!(alive(project).await? == 1, "those that were taken away are on the list");
    let settled = drained(project).await?;
    Ok(format!("2 to 4 to 1 under load, the three drained; {} settled", thousands(settled)))
}

async fn data_survives(project: &Project) -> anyhow::Result<String> {
    let heads = |audit: &Value| audit["head"].clone();
    let before = audit(project).await?;
    project.down().await?;
    ensure!(project.containers("redis").await?.is_empty(), "`down` left a container");
    project.up(&[("worker", 2)]).await?;
    let after = audit(project).await?;
    ensure!(
        heads(&before) == heads(&after),
        "the journal ended at {}, and now at {}",
        heads(&before),
        heads(&after)
    );
    Ok(format!(
        "{} journal lines, the same as before",
        thousands(before["checked"]["lines"].as_u64().unwrap_or(0))
    ))
}

/// Does something while a burst comes in from a container of its own, which goes on until that is done.
async fn under_load<T>(
    project: &Project,
    disturb: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    let (jobs, rate) = ((RATE * BURST_SECONDS).to_string(), format!("{RATE}/s"));
    let words = ["burst", "redeem", "--jobs", &jobs, "--rate", &rate, "--duplicates", "5%", "--limit", &jobs];
    let name = format!("{}-burst", project.name());
    let before = settled(project).await?;
    let mut burst = pin!(project.producer(&name, &words));
    let disturbed = async {
        until("jobs to be settled", async || Ok((settled(project).await? > before + 100).then_some(())))
            .await?;
        disturb.await
    };
    let shown = tokio::select! {
        ended = &mut burst => bail!("the burst ended before that was done: {ended:?}"),
        shown = disturbed => shown?,
    };
    docker(["stop", &name]).await?;
    // Stopped, it says that it is not done.
    let _ = burst.await;
    Ok(shown)
}

async fn stats(project: &Project) -> anyhow::Result<Value> {
    project.read(&["stats"]).await
}

async fn settled(project: &Project) -> anyhow::Result<u64> {
    let settled = stats(project).await?["conservation"]["settled"].as_u64();
    settled.context("stats --json says nothing of what was settled")
}

async fn alive(project: &Project) -> anyhow::Result<usize> {
    let rows: Vec<Value> = project.read(&["worker", "ls"]).await?;
    Ok(rows.iter().filter(|row| row["state"] == "alive").count())
}

/// Waits until nothing is left to do; audits; answers how much was settled in all.
async fn drained(project: &Project) -> anyhow::Result<u64> {
    let (mut seen, mut moved) = (0, Instant::now());
    let stats = loop {
        let stats = stats(project).await?;
        let left: u64 = ["waiting", "in_flight"].iter().filter_map(|name| stats[*name].as_u64()).sum();
        if left == 0 {
            break stats;
        }
        let settled = stats["conservation"]["settled"].as_u64().unwrap_or(0);
        if settled > seen {
            (seen, moved) = (settled, Instant::now());
        }
        ensure!(moved.elapsed() < STANDS_STILL_FOR, "{left} jobs are left, and none is settled: {stats}");
        tokio::time::sleep(LOOK_EVERY).await;
    };
    ensure!(stats["conservation"]["holds"] == true, "an accepted job is nowhere: {}", stats["conservation"]);
    ensure!(stats["dead"] == 0, "{} jobs are dead", stats["dead"]);
    audit(project).await?;
    settled(project).await
}

async fn audit(project: &Project) -> anyhow::Result<Value> {
    let audit: Value = project.read(&["audit"]).await?;
    ensure!(audit["verdict"] == "pass", "the audit says {}", audit["verdict"]);
    Ok(audit)
}
