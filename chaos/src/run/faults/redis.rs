//! Faults of Redis itself, and of what lies in it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use tollgate_testkit::process::Signal;

use super::data;
use crate::port;
use crate::run::fault::{Fault, RedisUndo, Undo};
use crate::run::history::Event;
use crate::run::redis::{Redis, Settings, ask, link};
use crate::run::site::{EXPECTED_HEADS, Site};

/// How long somebody else's script runs before Redis says BUSY.
const BUSY_AFTER_MS: &str = "150";
/// What is left to use when memory is full.
const MEMORY_LEFT: u64 = 40_000;
/// How long a replica that is to be promoted is behind.
const LAGS_FOR: Duration = Duration::from_millis(1_200);
const CATCHES_UP_WITHIN: Duration = Duration::from_secs(10);

fn set(name: &'static str, before: &str) -> Undo {
    Undo::Redis(RedisUndo::Set(name, before.to_owned()))
}

pub(super) async fn begin(
    fault: Fault,
    site: &Site,
    random: &mut ChaCha8Rng,
) -> anyhow::Result<(String, Undo)> {
    let mut redis = site.redis().await?;
    let nothing = |what: &str| Ok((what.to_owned(), Undo::Nothing));
    match fault {
        Fault::KillRedis | Fault::KillRedisRewriting => {
            if fault == Fault::KillRedisRewriting {
                redis.ask::<String>(&["BGREWRITEAOF"]).await?;
            }
            redis.kill().await;
            if redis.settings.appendfsync != "always" {
                site.history.add(Event::rollback("kill -9 without fsync"));
            }
            Ok((redis.settings.appendfsync.clone(), Undo::Redis(RedisUndo::Restart)))
        }
        Fault::StopRedis => {
            redis.signal(Signal::STOP);
            Ok((String::new(), Undo::Redis(RedisUndo::Continue)))
        }
        Fault::FlushScripts => {
            for _ in 0..20 {
                redis.ask::<()>(&["SCRIPT", "FLUSH"]).await?;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            nothing("20 times")
        }
        Fault::KillClients => {
            for _ in 0..10 {
                redis.ask::<u64>(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await?;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            nothing("10 times")
        }
        Fault::PauseClients => {
            let ms = random.random_range(200..1_500).to_string();
            redis.ask::<()>(&["CLIENT", "PAUSE", &ms, "ALL"]).await?;
            nothing(&format!("{ms} ms"))
        }
        Fault::FillMemory => {
            let used = redis.info("memory", "used_memory").await?;
            redis.set("maxmemory", &(used + MEMORY_LEFT).to_string()).await?;
            Ok((format!("{used} bytes"), set("maxmemory", "0")))
        }
        Fault::SwitchEvictionOn => {
            redis.set("maxmemory-policy", "allkeys-lru").await?;
            drop(redis);
            refuses_unsafe(site).await;
            Ok(("allkeys-lru".to_owned(), set("maxmemory-policy", "noeviction")))
        }
        Fault::BusyScript => {
            redis.set("busy-reply-threshold", BUSY_AFTER_MS).await?;
            let url = redis.url();
            // It ends by SCRIPT KILL, or with its connection's patience; then nobody waits for its answer.
            tokio::spawn(async move {
                if let Ok(mut link) = link(&url).await {
                    let _: Result<(), _> = ask(&mut link, &["EVAL", "while true do end", "0"]).await;
                }
            });
            Ok((String::new(), Undo::Redis(RedisUndo::KillScript)))
        }
        Fault::FillDisk => {
            let pid = redis.pid().context("no server")?;
            let inside = redis.settings.dir.strip_prefix("/").unwrap_or(&redis.settings.dir).to_owned();
            let filler = PathBuf::from(format!("/proc/{pid}/root")).join(inside).join("filler");
            fill(&filler)?;
            Ok((filler.display().to_string(), Undo::Redis(RedisUndo::RemoveFile(filler))))
        }
        Fault::CutAofTail => {
            let bytes = random.random_range(1..4_000);
            redis.kill().await;
            cut_tail(&redis.settings.dir, bytes)?;
            site.history.add(Event::rollback(format!("{bytes} bytes of the AOF")));
            redis.restart().await?;
            // What docs/operating.md says: Redis 7.0 leaves half a transaction in a file that it has truncated.
            redis.rewrite().await?;
            nothing(&format!("{bytes} bytes"))
        }
        Fault::EmptyData => {
            redis.kill().await;
            let kept = redis.settings.dir.with_extension("kept");
            std::fs::rename(&redis.settings.dir, &kept)?;
            std::fs::create_dir_all(&redis.settings.dir)?;
            redis.restart().await?;
            Ok((String::new(), Undo::Redis(RedisUndo::Restore(kept))))
        }
        Fault::Promote => promote(site, &mut redis, true).await,
        Fault::Failover => promote(site, &mut redis, false).await,
        Fault::LockNodesDown => lock_nodes(site, random).await,
        Fault::DeleteLocks => data::locks(site, &redis, random).await,
        Fault::MoveTtls => data::move_ttls(&redis, random).await,
        _ => data::deliver_twice(site, &redis).await,
    }
}

pub(super) async fn undo(undo: RedisUndo, site: &Site) -> anyhow::Result<()> {
    let mut redis = site.redis().await?;
    match undo {
        RedisUndo::Restart => redis.restart().await,
        RedisUndo::Continue => {
            redis.signal(Signal::CONT);
            Ok(())
        }
        RedisUndo::Set(name, value) => redis.set(name, &value).await,
        RedisUndo::KillScript => {
            // It may have ended already.
            let _: Result<(), _> = redis.ask(&["SCRIPT", "KILL"]).await;
            Ok(())
        }
        RedisUndo::RemoveFile(path) => Ok(std::fs::remove_file(path)?),
        RedisUndo::Restore(kept) => {
            redis.kill().await;
            std::fs::remove_dir_all(&redis.settings.dir)?;
            std::fs::rename(kept, &redis.settings.dir)?;
            // What came meanwhile goes with what was empty, as with any backup that is put back.
            site.history.add(Event::rollback("the data was put back"));
            redis.restart().await
        }
    }
}

/// Who starts now must refuse: a worker and a producer.
async fn refuses_unsafe(site: &Site) {
    let producer = site.producer(&site.direct(), &["stats"], None).await;
    let mut command = site.programs.command("tollgate-worker", &site.direct());
    let worker = tokio::time::timeout(Duration::from_secs(5), command.output()).await;
    let refused = |code: Option<i32>| code.is_some_and(|code| code != 0);
    let worker = matches!(worker, Ok(Ok(output)) if refused(output.status.code()));
    if refused(producer.code) && worker {
        site.count("an unsafe Redis refused", 1);
    } else {
        let what = format!("with eviction on, producer: {}, worker refused: {worker}", producer.complaint());
        site.history.add(Event::Unexpected { what });
    }
}

fn fill(path: &Path) -> anyhow::Result<()> {
    use std::io::Write;
    let mut file = std::fs::File::create(path)?;
    let zeros = [0; 16_384];
    // Until the disk is full.
    while file.write_all(&zeros).is_ok() {}
    while file.write_all(&[0]).is_ok() {}
    Ok(())
}

fn cut_tail(dir: &Path, bytes: u64) -> anyhow::Result<()> {
    let files = std::fs::read_dir(dir.join("appendonlydir"))?.filter_map(|entry| Some(entry.ok()?.path()));
    let increments = files.filter(|path| path.to_string_lossy().ends_with(".incr.aof"));
    let last = increments.max().context("no append-only file")?;
    let file = std::fs::OpenOptions::new().write(true).open(last)?;
    let length = file.metadata()?.len();
    Ok(file.set_len(length.saturating_sub(bytes))?)
}

/// Makes a replica the primary: one that has been cut off for a while, or by FAILOVER one that has everything.
async fn promote(site: &Site, redis: &mut Redis, lags: bool) -> anyhow::Result<(String, Undo)> {
    let old = redis.settings.clone();
    let ports = [port::free()?, port::free()?].map(|port| port.to_string());
    redis.set("bind", "127.0.0.1").await?;
    redis.set("port", &ports[0]).await?;
    let name = format!("replica-{}", ports[1]);
    let replica = Settings {
        dir: old.dir.with_file_name(&name),
        socket: old.socket.with_file_name(format!("{name}.sock")),
        log: old.log.with_file_name(format!("{name}.log")),
        more: ["--port", &ports[1], "--bind", "127.0.0.1", "--replicaof", "127.0.0.1", &ports[0]]
            .map(str::to_owned)
            .to_vec(),
        ..old
    };
    let mut replica = Redis::start(replica).await?;
    let begun = std::time::Instant::now();
    loop {
        let info: String = replica.ask(&["INFO", "replication"]).await?;
        if info.contains("master_link_status:up") && !info.contains("master_sync_in_progress:1") {
            break;
        }
        ensure!(begun.elapsed() < CATCHES_UP_WITHIN, "the replica does not catch up");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut what = "by FAILOVER, nothing is lost".to_owned();
    if lags {
        // From here on it hears nothing, as over a link that broke; what is acknowledged now will be lost.
        replica.ask::<()>(&["REPLICAOF", "NO", "ONE"]).await?;
        tokio::time::sleep(LAGS_FOR).await;
        let heads = heads(site).await?;
        redis.kill().await;
        site.history.add(Event::rollback("a replica that lagged was promoted"));
        std::fs::write(site.programs.dir().join(EXPECTED_HEADS), heads.join("\n"))?;
        what = format!("a replica {} ms behind; before: {}", LAGS_FOR.as_millis(), heads.join(" "));
    } else {
        redis.ask::<()>(&["FAILOVER", "TO", "127.0.0.1", &ports[1], "TIMEOUT", "5000"]).await?;
        while replica.info("replication", "connected_slaves").await.is_err()
            || !replica.ask::<String>(&["INFO", "replication"]).await?.contains("role:master")
        {
            ensure!(begun.elapsed() < CATCHES_UP_WITHIN, "the failover does not end");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    site.count("promotions", 1);
    replica.settings.more.truncate(4);
    site.lead_to(&replica.settings.socket.clone());
    let mut old = std::mem::replace(redis, replica);
    old.kill().await;
    Ok((what, Undo::Nothing))
}

/// The journal's ends as somebody outside would have noted them.
async fn heads(site: &Site) -> anyhow::Result<Vec<String>> {
    let ended = site.producer(&site.direct(), &["audit", "--json"], None).await;
    let report = ended.last().with_context(|| ended.complaint())?;
    let head = |head: &serde_json::Value| {
        Some(format!("{}:{}:{}", head["partition"], head["seq"], head["hash"].as_str()?))
    };
    Ok(report["head"].as_array().context("no heads")?.iter().filter_map(head).collect())
}

/// One of three, or two; they come back with nothing.
async fn lock_nodes(site: &Site, random: &mut ChaCha8Rng) -> anyhow::Result<(String, Undo)> {
    let first = random.random_range(0..site.lock_nodes.len());
    let count = random.random_range(1..=2);
    let numbers: Vec<usize> = (0..count).map(|next| (first + next) % site.lock_nodes.len()).collect();
    for number in &numbers {
        let mut node = site.lock_nodes[*number].lock().await;
        node.kill().await;
        std::fs::remove_dir_all(&node.settings.dir)?;
        std::fs::create_dir_all(&node.settings.dir)?;
    }
    Ok((format!("{count} of {}", site.lock_nodes.len()), Undo::LockNodes(numbers)))
}
