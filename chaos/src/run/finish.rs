//! The end of a run: all is well again, everything is settled, and everything is read, past the proxies.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::Value;
use tollgate_testkit::proxy::Proxy;

use super::client::Client;
use super::ground::CLAIM_IDLE;
use super::history::{Event, now_ms};
use super::masters::keys_of;
use super::plan::Plan;
use super::redis;
use super::scenario::Ground;
use super::site::{EXPECTED_HEADS, LOST_HEADS, Site};
use super::topology::copy_logs;
use super::workload::{INVENTORY, QUEUES, stock};

/// Ids in one `lookup`.
const LOOKUP_AT_ONCE: usize = 400;
/// What a fleet that was built for tests settles on a slow machine.
const DRAINS_A_SECOND: u64 = 500;
/// For so long a worker that has seen the clock of Redis jump ends no reservation.
const WATCHED_AFTER_JUMP: Duration = Duration::from_secs(60);
/// Dead jobs that are shown one by one.
const SHOWN: usize = 10_000;
const SHOWN_OF_EACH: usize = 200;

/// Far longer than anything takes that moves by itself.
const STUCK_AFTER: Duration = Duration::from_secs(10);

/// The published bound on recovery (G19): claim idle and reclaim period for what a dead worker held, the backlog at a
/// slow machine's rate, the retries of payouts, and how long no reservation ends after the server's clock has jumped.
pub(super) fn drains_within(plan: &Plan) -> Duration {
    let payouts = if plan.scenario.load.payouts { Duration::from_secs(20) } else { Duration::ZERO };
    let backlog = Duration::from_secs(plan.scenario.load.backlog as u64 / DRAINS_A_SECOND);
    let clocks = if plan.scenario.ground == Ground::Clocks { WATCHED_AFTER_JUMP } else { Duration::ZERO };
    CLAIM_IDLE * 5 + Duration::from_secs(25) + payouts + backlog + clocks
}

/// Sees that everything is whole and everybody there.
pub(super) async fn heal(site: &Site) -> anyhow::Result<()> {
    site.load.quiet.store(true, Ordering::Relaxed);
    site.proxies.iter().for_each(Proxy::heal);
    if site.topology.heal().await? {
        site.history.add(Event::Unexpected { what: "Redis was not there at the end".to_owned() });
    }
    for number in 0..site.fleet.len() {
        site.fleet.bring_back(number).await;
    }
    site.history.add(Event::Healed);
    Ok(())
}

/// Waits until nothing is left to be done, or the bound is over; then the judge says what was left. Where a bug is
/// planted, what has not moved for a while is lost, and nobody waits for it.
pub(super) async fn drain(client: &Client, within: Duration, is_planted: bool) -> anyhow::Result<()> {
    let begun = Instant::now();
    let resumed = client.producer(&client.direct(), &["queue", "resume", QUEUES[2]], None).await;
    if resumed.code != Some(0) {
        client.history.add(Event::Unexpected { what: format!("queue resume: {}", resumed.complaint()) });
    }
    let (mut before, mut moved_at) = (None, Instant::now());
    let ends_ms = now_ms() + within.as_millis() as u64;
    while begun.elapsed() < within {
        let left = left(client, ends_ms).await;
        if left == Some(Left::default()) {
            client.history.add(Event::Drained);
            return Ok(());
        }
        if before != left {
            (before, moved_at) = (left, Instant::now());
        }
        let is_stuck = left.is_some_and(|left| left.is_in_queues_alone());
        if is_planted && is_stuck && moved_at.elapsed() > STUCK_AFTER {
            break;
        }
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    let left = before.map_or_else(|| "nobody can tell what is left".to_owned(), |left| left.to_string());
    client.history.add(Event::NotDrained { left });
    Ok(())
}

/// What is left to be done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Left {
    waiting: u64,
    in_flight: u64,
    scheduled: u64,
    /// Open, and no operator's to decide.
    payouts: usize,
    /// Lines of orders that are reserved until some moment before the drain has to be over: they end while nobody reads.
    reservations: usize,
}

impl std::fmt::Display for Left {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { waiting, in_flight, scheduled, payouts, reservations } = self;
        write!(f, "waiting {waiting}, in flight {in_flight}, scheduled {scheduled}, ")?;
        write!(f, "open payouts {payouts}, reservations that are over {reservations}")
    }
}

impl Left {
    /// Neither a time to come nor a gateway is what it waits for. What is reserved ends when nothing older waits.
    fn is_in_queues_alone(self) -> bool {
        self.scheduled == 0 && self.payouts == 0
    }
}

/// `None` where it cannot be told. What was reserved while the server's clock was a day ahead is rightly held for a day:
/// of reservations only those count that are to end by then.
async fn left(client: &Client, ends_ms: u64) -> Option<Left> {
    let stats = client.producer(&client.direct(), &["stats", "--json"], None).await.last()?;
    let payouts = client.producer(&client.direct(), &["payout", "ls", "--json"], None).await;
    let payouts: Vec<Value> = serde_json::from_str(&payouts.stdout).unwrap_or_default();
    let holders =
        client.producer(&client.direct(), &["inventory", "holders", INVENTORY, "--json"], None).await;
    let holders: Vec<Value> = serde_json::from_str(&holders.stdout).unwrap_or_default();
    let is_to_end = |holder: &&Value| holder["hold_until_ms"].as_u64().is_some_and(|until| until <= ends_ms);
    let count = |name: &str| stats[name].as_u64().unwrap_or(0);
    Some(Left {
        waiting: count("waiting"),
        in_flight: count("in_flight"),
        scheduled: count("scheduled"),
        payouts: payouts.iter().filter(|payout| payout["state"] != "needs_review").count(),
        reservations: holders.iter().filter(is_to_end).count(),
    })
}

/// Reads what there is, each by its own command, into files of its own.
pub(super) async fn read(client: &Client, dir: &Path) -> anyhow::Result<()> {
    std::fs::write(dir.join("stocks.json"), serde_json::json!({ INVENTORY: stock() }).to_string())?;
    let plain: [(&str, &[&str]); 9] = [
        ("journal.ndjson", &["journal", "export"]),
        ("campaigns.json", &["campaign", "ls", "--json"]),
        ("accounts.json", &["account", "ls", "--json"]),
        ("cases.json", &["case", "ls", "--json"]),
        ("items.json", &["inventory", "items", INVENTORY, "--json"]),
        ("stats.json", &["stats", "--json"]),
        ("dead.json", &["dead", "ls", "--limit", "100000", "--json"]),
        ("payouts.json", &["payout", "ls", "--json"]),
        ("workers.json", &["worker", "ls", "--json"]),
    ];
    for (file, words) in plain {
        let ended = client.producer(&client.direct(), words, None).await;
        if ended.code != Some(0) {
            let what = format!("{}: {}", words.join(" "), ended.complaint());
            client.history.add(Event::Unexpected { what });
        }
        std::fs::write(dir.join(file), ended.stdout)?;
    }
    lookups(client, dir).await?;
    show_dead(client, dir).await?;
    chains(client, dir).await?;
    let audit = client.producer(&client.direct(), &["audit", "--json"], None).await;
    if audit.last().is_none() {
        client.history.add(Event::Unexpected { what: format!("audit: {}", audit.complaint()) });
    }
    // Without its word there is no verdict of it, and so none that passes.
    let said = if audit.last().is_none() { "null".to_owned() } else { audit.stdout };
    std::fs::write(dir.join("audit.json"), said)?;
    let noted = |file| std::fs::read_to_string(client.programs.dir().join(file)).unwrap_or_default();
    for (file, all) in [(EXPECTED_HEADS, false), (LOST_HEADS, true)] {
        let heads = noted(file);
        if !heads.is_empty() {
            expect(client, &heads, all).await;
        }
    }
    Ok(())
}

/// The journals as they are stored, and where each partition says that its chain ends.
async fn chains(client: &Client, dir: &Path) -> anyhow::Result<()> {
    type Page = Vec<(String, Vec<(String, String)>)>;
    let mut text = String::new();
    for (mut link, key) in keys_of(&client.direct(), "*:journal").await? {
        let mut from = "-".to_owned();
        loop {
            let page: Page = redis::ask(&mut link, &["XRANGE", &key, &from, "+", "COUNT", "500"]).await?;
            let Some((last, _)) = page.last() else { break };
            from = format!("({last}");
            for (id, fields) in &page {
                let fields: BTreeMap<&String, &String> =
                    fields.iter().map(|(name, value)| (name, value)).collect();
                let _ =
                    writeln!(text, "{}", serde_json::json!({ "journal": key, "id": id, "fields": fields }));
            }
        }
        let head = format!("{}:head", key.trim_end_matches(":journal"));
        let hash: Option<String> = redis::ask(&mut link, &["HGET", &head, "hash"]).await?;
        let _ = writeln!(
            text,
            "{}",
            serde_json::json!({ "journal": key, "id": "end", "fields": { "hash": hash } })
        );
    }
    std::fs::write(dir.join("chains.ndjson"), text)?;
    Ok(())
}

/// The bank's own file, and what the faults came to.
pub(super) fn witnesses(site: &Site, dir: &Path) -> anyhow::Result<()> {
    if let Some(bank) = &site.bank {
        std::fs::copy(&bank.ledger, dir.join("bank.ndjson"))?;
    }
    site.count("reclaimed", site.fleet.reclaimed.sum());
    site.count("fenced", site.fleet.fenced.sum());
    for (fate, _) in site.proxies.first().map(Proxy::counts).unwrap_or_default() {
        let of = |proxy: &Proxy| proxy.counts()[fate as usize].1;
        site.count(fate.name(), site.proxies.iter().map(of).sum());
    }
    Ok(())
}

/// Every id that was ever sent.
async fn lookups(client: &Client, dir: &Path) -> anyhow::Result<()> {
    client.history.flush();
    let mut ids: Vec<String> = super::history::read(dir)?
        .into_iter()
        .flat_map(|entry| match entry.event {
            Event::Sent { jobs, .. } => jobs.into_iter().map(|job| job.id).collect(),
            _ => Vec::new(),
        })
        .collect();
    ids.sort();
    ids.dedup();
    let mut lines = String::new();
    // What no command takes cannot be asked for either.
    ids.retain(|id| {
        (1..=128).contains(&id.len())
            && !id.chars().any(|letter| letter.is_control() || "{}".contains(letter))
    });
    for ids in ids.chunks(LOOKUP_AT_ONCE) {
        let mut words = vec!["lookup", "--json", "--"];
        words.extend(ids.iter().map(String::as_str));
        let ended = client.producer(&client.direct(), &words, None).await;
        lines.push_str(&ended.stdout);
    }
    std::fs::write(dir.join("lookups.ndjson"), lines)?;
    Ok(())
}

/// The bytes of what is dead, to find the marks of poison in them.
async fn show_dead(client: &Client, dir: &Path) -> anyhow::Result<()> {
    let dead: Vec<Value> =
        serde_json::from_str(&std::fs::read_to_string(dir.join("dead.json"))?).unwrap_or_default();
    client.count("dead", dead.len() as u64);
    let mut lines = String::new();
    // A job whose id could be read is listed under it; of the others only the bytes say whose they are.
    let nameless = dead.iter().filter_map(|dead| dead["id"].as_str()).filter(|id| id.starts_with("entry/"));
    for id in nameless.take(SHOWN) {
        let ended = client.producer(&client.direct(), &["dead", "show", "--json", "--", id], None).await;
        for line in ended.stdout.lines() {
            // Its mark stands at the beginning; megabytes of what follows say nothing more.
            let mut shown: Value = serde_json::from_str(line).unwrap_or_default();
            let bytes =
                shown["envelope"].as_str().map(|text| text.chars().take(SHOWN_OF_EACH).collect::<String>());
            shown["envelope"] = bytes.into();
            let _ = writeln!(lines, "{shown}");
        }
    }
    std::fs::write(dir.join("dead-shown.ndjson"), lines)?;
    Ok(())
}

/// Whoever noted the journal's ends before must be told by the audit that they are gone, if they are: of each, where all
/// of them certainly are.
async fn expect(client: &Client, heads: &str, all: bool) {
    let mut words = vec!["audit", "--json"];
    heads.split_whitespace().for_each(|head| words.extend(["--expect", head]));
    let ended = client.producer(&client.direct(), &words, None).await;
    let report = ended.last().unwrap_or_default();
    let violations = report["violations"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_named = |head: &str| {
        let mut numbers = head.split(':').map(|word| word.parse::<u64>().ok());
        let (Some(Some(partition)), Some(Some(seq))) = (numbers.next(), numbers.next()) else { return false };
        violations.iter().any(|one| {
            let positions = one["positions"].as_array();
            one["check"] == "G13"
                && one["partition"] == partition
                && positions.is_some_and(|positions| positions.iter().any(|position| *position == seq))
        })
    };
    let named = ended.code == Some(5) && (!all || heads.split_whitespace().all(is_named));
    client.count("loss named by audit --expect", u64::from(named));
}

/// What is left in Redis when the workers have gone, by the kind of its key.
pub(super) async fn census(client: &Client, dir: &Path) -> anyhow::Result<()> {
    let mut text = String::new();
    for (mut link, key) in keys_of(&client.direct(), "*").await? {
        let kind: String = redis::ask(&mut link, &["TYPE", &key]).await?;
        let words: &[&str] = match kind.as_str() {
            "hash" => &["HLEN"],
            "stream" => &["XLEN"],
            "zset" => &["ZCARD"],
            "set" => &["SCARD"],
            "list" => &["LLEN"],
            _ => &["EXISTS"],
        };
        let size: u64 = redis::ask(&mut link, &[words[0], &key]).await?;
        let ttl: i64 = redis::ask(&mut link, &["PTTL", &key]).await?;
        let mut row = serde_json::json!({ "key": key, "type": kind, "size": size, "ttl_ms": ttl });
        if kind == "stream" {
            let groups: ::redis::Value = redis::ask(&mut link, &["XINFO", "GROUPS", &key]).await?;
            row["groups"] = format!("{groups:?}").into();
        }
        let _ = writeln!(text, "{row}");
    }
    std::fs::write(dir.join("census.ndjson"), text)?;
    Ok(())
}

/// The logs of everything that ran.
pub(super) async fn keep_logs(site: &Site, dir: &Path) -> anyhow::Result<()> {
    site.topology.keep_logs(dir).await?;
    copy_logs(site.programs.dir(), dir, None)
}
