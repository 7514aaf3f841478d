//! A run, read back from its directory.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use anyhow::Context;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::run::history::{self, Beginning, Entry, Event, Job, Response};

/// One line of `journal export`.
#[derive(Debug, Clone, Default, Deserialize)]
pub(in crate::run) struct Line {
    pub(in crate::run) partition: u64,
    pub(in crate::run) seq: u64,
    pub(in crate::run) at_ms: u64,
    pub(in crate::run) id: String,
    pub(in crate::run) kind: String,
    pub(in crate::run) class: String,
    pub(in crate::run) code: String,
    pub(in crate::run) campaign: Option<String>,
    pub(in crate::run) account: Option<String>,
    pub(in crate::run) customer: Option<String>,
    pub(in crate::run) quantity: Option<u64>,
    pub(in crate::run) amount: Option<u64>,
    /// What an account is opened with.
    pub(in crate::run) balance: Option<u64>,
    pub(in crate::run) limit: Option<u64>,
    pub(in crate::run) per_customer: Option<u64>,
    pub(in crate::run) destination: Option<String>,
    /// Of a transfer.
    pub(in crate::run) from: Option<String>,
    pub(in crate::run) to: Option<String>,
    /// The job that something is given back of.
    pub(in crate::run) of: Option<String>,
    pub(in crate::run) case: Option<String>,
    #[serde(default)]
    pub(in crate::run) options: Vec<String>,
    pub(in crate::run) decision: Option<String>,
    /// Who asked; of a decision, who decided.
    pub(in crate::run) by: Option<String>,
    pub(in crate::run) expect_version: Option<u64>,
    pub(in crate::run) version: Option<u64>,
    pub(in crate::run) decided_seq: Option<u64>,
    pub(in crate::run) available: Option<u64>,
    pub(in crate::run) issued: Option<u64>,
    /// What the customer of a redemption has after it.
    pub(in crate::run) held: Option<u64>,
    /// Everything else: an order's fields, as its envelope has them.
    #[serde(flatten)]
    pub(in crate::run) rest: serde_json::Map<String, Value>,
}

impl Line {
    /// Whether it decides a job, rather than being a step of one that was decided before.
    pub(super) fn decides(&self) -> bool {
        !self.kind.starts_with("payout_") && self.kind != "expire"
    }

    /// A field that is a text, of those that an order has.
    pub(super) fn word(&self, name: &str) -> Option<&str> {
        match name {
            "customer" => self.customer.as_deref(),
            "from" => self.from.as_deref(),
            "to" => self.to.as_deref(),
            name => self.rest.get(name)?.as_str(),
        }
    }

    /// Where it is, for a person.
    pub(super) fn place(&self) -> String {
        format!("journal {}:{} {} {} {}", self.partition, self.seq, self.id, self.kind, self.code)
    }
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Campaign {
    pub(super) campaign: String,
    pub(super) limit: Option<u64>,
    pub(super) issued: Option<u64>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Account {
    pub(super) account: String,
    pub(super) available: Option<u64>,
    pub(super) held: Option<u64>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Case {
    pub(super) case: String,
    pub(super) version: Option<u64>,
    pub(super) decision: Option<String>,
    pub(super) by: Option<String>,
    pub(super) decided_seq: Option<u64>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Dead {
    pub(super) id: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Looked {
    pub(super) id: String,
    pub(super) class: String,
    pub(super) code: Option<String>,
    pub(super) seq: Option<u64>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct BankLine {
    pub(super) outcome: String,
    pub(super) id: String,
    pub(super) account: String,
    pub(super) amount: u64,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Key {
    pub(super) key: String,
    pub(super) size: u64,
    pub(super) ttl_ms: i64,
}

/// An entry of a journal as it is stored; the last of each, `end`, is where the partition says that its chain ends.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Link {
    pub(super) journal: String,
    pub(super) id: String,
    pub(super) fields: HashMap<String, Option<String>>,
}

/// A call, as its client saw it.
#[derive(Debug, Clone)]
pub(in crate::run) struct Call {
    pub(in crate::run) sent_us: u64,
    pub(in crate::run) jobs: Vec<Job>,
    pub(in crate::run) told: Option<(u64, Response)>,
}

#[derive(Default)]
pub(in crate::run) struct Record {
    pub(in crate::run) beginning: Beginning,
    pub(in crate::run) entries: Vec<Entry>,
    pub(in crate::run) calls: Vec<Call>,
    pub(in crate::run) journal: Vec<Line>,
    /// Places in `calls`, by id, in the order of sending.
    pub(super) by_id: HashMap<String, Vec<(usize, usize)>>,
    pub(super) campaigns: Vec<Campaign>,
    pub(super) accounts: Vec<Account>,
    pub(super) cases: Vec<Case>,
    /// What each inventory began with, and the items of them that there are.
    pub(super) stocks: BTreeMap<String, BTreeMap<String, u64>>,
    pub(super) items: Vec<Value>,
    pub(super) stats: Value,
    pub(super) dead: Vec<Dead>,
    pub(super) dead_shown: String,
    pub(super) payouts: Vec<Value>,
    pub(super) workers: Vec<Value>,
    pub(super) audit: Value,
    pub(super) bank: Vec<BankLine>,
    pub(super) lookups: Vec<Looked>,
    pub(super) census: Vec<Key>,
    pub(super) chains: Vec<Link>,
    pub(super) logs: Vec<(String, String)>,
}

impl Record {
    pub(in crate::run) fn read(dir: &Path) -> anyhow::Result<Self> {
        let entries = history::read(dir)?;
        let beginning = entries.iter().find_map(|entry| match &entry.event {
            Event::Begins(beginning) => Some((**beginning).clone()),
            _ => None,
        });
        let calls = calls(&entries);
        let mut by_id: HashMap<String, Vec<(usize, usize)>> = HashMap::new();
        for (place, call) in calls.iter().enumerate() {
            for (number, job) in call.jobs.iter().enumerate() {
                by_id.entry(job.id.clone()).or_default().push((place, number));
            }
        }
        Ok(Self {
            beginning: beginning.context("the history has no beginning")?,
            entries,
            calls,
            by_id,
            journal: lines(dir, "journal.ndjson")?,
            campaigns: document(dir, "campaigns.json")?,
            accounts: document(dir, "accounts.json")?,
            cases: document(dir, "cases.json")?,
            stocks: perhaps(dir, "stocks.json")?,
            items: perhaps(dir, "items.json")?,
            stats: document(dir, "stats.json")?,
            dead: document(dir, "dead.json")?,
            dead_shown: text(dir, "dead-shown.ndjson"),
            payouts: document(dir, "payouts.json")?,
            workers: document(dir, "workers.json")?,
            audit: document(dir, "audit.json")?,
            bank: lines(dir, "bank.ndjson")?,
            lookups: lines(dir, "lookups.ndjson")?,
            census: lines(dir, "census.ndjson")?,
            chains: lines(dir, "chains.ndjson")?,
            logs: logs(dir)?,
        })
    }

    /// What the journal and the resources alone say, from somewhere else than a run's directory.
    #[cfg(feature = "explore")]
    pub(super) fn of_journal(journal: Vec<Value>, mut there: Value) -> anyhow::Result<Self> {
        Ok(Self {
            journal: serde_json::from_value(journal.into())?,
            campaigns: serde_json::from_value(there["campaigns"].take())?,
            accounts: serde_json::from_value(there["accounts"].take())?,
            cases: serde_json::from_value(there["cases"].take())?,
            stocks: serde_json::from_value(there["stocks"].take())?,
            items: serde_json::from_value(there["items"].take())?,
            ..Self::default()
        })
    }

    /// When Redis last forgot something, if ever.
    pub(super) fn rollback_us(&self) -> Option<u64> {
        let of = |entry: &Entry| matches!(entry.event, Event::Rollback { .. }).then_some(entry.at_us);
        self.entries.iter().filter_map(of).next_back()
    }

    /// Whether what was sent at one time and acknowledged at another may be lost, since the durability that was asked
    /// for says so: in this partition, or in any if it is not known. The time of sending counts: an answer may be on its
    /// way to somebody while Redis has already forgotten it.
    pub(super) fn may_be_lost(&self, (sent_us, told_us): (u64, u64), partition: Option<u64>) -> bool {
        let by = |entry: &Entry| {
            let Event::Rollback { since_us, partitions, .. } = &entry.event else { return false };
            let is_there = partition.zip(partitions.as_ref()).is_none_or(|(one, all)| all.contains(&one));
            is_there && sent_us < entry.at_us && since_us.is_none_or(|since| told_us >= since)
        };
        self.beginning.may_lose && self.entries.iter().any(by)
    }

    /// What the run saw around this moment, for evidence.
    pub(super) fn around(&self, at_us: u64) -> String {
        let mut running: Vec<(usize, &str)> = Vec::new();
        for entry in self.entries.iter().take_while(|entry| entry.at_us <= at_us) {
            match &entry.event {
                Event::FaultBegins { number, fault, .. } => running.push((*number, fault)),
                Event::FaultEnds { number } => running.retain(|(other, _)| other != number),
                _ => {}
            }
        }
        let names: Vec<&str> = running.iter().map(|(_, name)| *name).collect();
        let names = if names.is_empty() { "no fault".to_owned() } else { names.join(", ") };
        format!("at {:.3} s, during {names}", at_us as f64 / 1e6)
    }
}

fn calls(entries: &[Entry]) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    let mut place_of: HashMap<u64, usize> = HashMap::new();
    for entry in entries {
        match &entry.event {
            Event::Sent { op, jobs } => {
                place_of.insert(*op, calls.len());
                calls.push(Call { sent_us: entry.at_us, jobs: jobs.clone(), told: None });
            }
            Event::Told { op, answer } => {
                if let Some(call) = place_of.get(op).and_then(|place| calls.get_mut(*place)) {
                    call.told = Some((entry.at_us, answer.clone()));
                }
            }
            _ => {}
        }
    }
    calls
}

/// A file that a run without that part does not have is empty.
fn text(dir: &Path, name: &str) -> String {
    std::fs::read(dir.join(name))
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default()
}

fn lines<T: DeserializeOwned>(dir: &Path, name: &str) -> anyhow::Result<Vec<T>> {
    let read = |line: &str| serde_json::from_str(line).with_context(|| format!("{name}: {line}"));
    text(dir, name).lines().map(read).collect()
}

/// Likewise a document.
fn perhaps<T: DeserializeOwned + Default>(dir: &Path, name: &str) -> anyhow::Result<T> {
    if dir.join(name).exists() { document(dir, name) } else { Ok(T::default()) }
}

fn document<T: DeserializeOwned>(dir: &Path, name: &str) -> anyhow::Result<T> {
    serde_json::from_str(&text(dir, name)).with_context(|| format!("{name} could not be read at the end"))
}

fn logs(dir: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let mut logs = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".log") {
            logs.push((name.clone(), text(dir, &name)));
        }
    }
    logs.sort();
    Ok(logs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_rollback_may_have_taken_may_be_lost() {
        let rollback = |since_us, partitions| Event::Rollback { what: String::new(), since_us, partitions };
        let record = |event, may_lose| Record {
            beginning: Beginning { may_lose, ..Beginning::default() },
            entries: vec![Entry { at_us: 500, event }],
            ..Record::default()
        };
        let some = record(rollback(Some(300), Some(vec![1, 2])), true);
        // Sent before, and told after everything was still passed on.
        assert!(some.may_be_lost((200, 400), Some(1)) && some.may_be_lost((200, 400), None));
        assert!(some.may_be_lost((499, 600), Some(2)));
        // Told before it, sent after it, and elsewhere.
        assert!(!some.may_be_lost((200, 299), Some(1)) && !some.may_be_lost((500, 600), Some(1)));
        assert!(!some.may_be_lost((200, 400), Some(0)));
        let any = record(rollback(None, None), true);
        assert!(any.may_be_lost((1, 2), Some(0)) && !any.may_be_lost((500, 501), None));
        assert!(!record(rollback(None, None), false).may_be_lost((1, 2), None));
    }
}
