//! Checks 10, 14, 15 and 18: nothing accepted is lost, poison is apart, recovery is bounded, nothing is left.

use std::collections::{HashMap, HashSet};

use super::finding::{Finding, Found};
use super::record::Record;
use crate::run::history::{Event, Response};

pub(super) fn check(record: &Record) -> Vec<Finding> {
    [total(record), poison(record), recovery(record), left(record)]
        .into_iter()
        .flat_map(Found::done)
        .collect()
}

/// Whatever was accepted is decided, or dead, by the end.
fn total(record: &Record) -> Found {
    let mut found = Found::new(10, "G10 no accepted job is lost");
    let known: HashSet<&str> = record
        .journal
        .iter()
        .map(|line| line.id.as_str())
        .chain(record.dead.iter().map(|dead| dead.id.as_str()))
        .collect();
    let mut lost: HashMap<&str, u64> = HashMap::new();
    for call in &record.calls {
        let Some((told_us, Response::Accepted)) = call.told else { continue };
        for job in call.jobs.iter().filter(|job| !known.contains(job.id.as_str())) {
            if !record.may_be_lost((call.sent_us, told_us), None) {
                lost.entry(&job.id).or_insert(told_us);
            }
        }
    }
    let mut lost: Vec<(&str, u64)> = lost.into_iter().collect();
    lost.sort_by_key(|(_, told_us)| *told_us);
    for (id, told_us) in lost {
        found.add(format!("{id} was accepted and is nowhere"), vec![record.around(told_us)]);
    }
    if record.stats["conservation"]["holds"] == false {
        found.add("the conservation law does not hold", vec![record.stats["conservation"].to_string()]);
    }
    found
}

/// Bytes that are no job are among the dead, and decide nothing.
fn poison(record: &Record) -> Found {
    let mut found = Found::new(14, "G18 poison is isolated");
    let dead = marks(record);
    let decided: HashSet<&str> = record.journal.iter().map(|line| line.id.as_str()).collect();
    for entry in &record.entries {
        let Event::Poisoned { mark, arrived } = &entry.event else { continue };
        if decided.contains(mark.as_str()) {
            found.add(format!("{mark} was decided"), vec![record.around(entry.at_us)]);
        }
        let there = dead.contains(mark.as_str());
        if *arrived && !there && !record.may_be_lost((entry.at_us, entry.at_us), None) {
            found.add(format!("{mark} is not among the dead"), vec![record.around(entry.at_us)]);
        }
    }
    found
}

/// Every word among the ids and the bytes of the dead.
fn marks(record: &Record) -> HashSet<&str> {
    let ids = record.dead.iter().map(|dead| dead.id.as_str());
    let texts = ids.chain([record.dead_shown.as_str()]);
    texts
        .flat_map(|text| text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-'))
        .collect()
}

/// After the last fault everything ends within the published bound.
fn recovery(record: &Record) -> Found {
    let mut found = Found::new(15, "G19 recovery is bounded");
    let at = |is: fn(&Event) -> bool| {
        record.entries.iter().find(|entry| is(&entry.event)).map(|entry| entry.at_us)
    };
    let healed = at(|event| matches!(event, Event::Healed)).unwrap_or(0);
    let bound_us = record.beginning.drains_within_ms * 1_000;
    match at(|event| matches!(event, Event::Drained)) {
        Some(drained) if drained.saturating_sub(healed) <= bound_us => {}
        _ => {
            let left = record.entries.iter().rev().find_map(|entry| match &entry.event {
                Event::NotDrained { left } => Some(left.clone()),
                _ => None,
            });
            found.add(
                format!("not drained within {} ms of the last fault", record.beginning.drains_within_ms),
                left.into_iter().collect(),
            );
        }
    }
    found
}

/// At the end nothing waits, nowhere, and no payout is on its way.
fn left(record: &Record) -> Found {
    let mut found = Found::new(18, "G29 nothing accepted is invisible");
    for name in ["waiting", "in_flight", "scheduled"] {
        if record.stats[name].as_u64().is_some_and(|left| left > 0) {
            found.add(format!("{} {name} at the end", record.stats[name]), Vec::new());
        }
    }
    for payout in record.payouts.iter().filter(|payout| payout["state"] != "needs_review") {
        found.add(format!("payout {} is still {}", payout["id"], payout["state"]), Vec::new());
    }
    found
}
