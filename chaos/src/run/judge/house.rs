//! Checks 16 and 19 to 23: what is left in Redis, what processes took and how they ended, what they said, and
//! whether the audit agrees.

use std::collections::HashSet;

use super::finding::{Finding, Found};
use super::record::Record;
use crate::run::history::Event;

/// What one worker may take: far above what any took, far below a leak.
const RESIDENT_KIB_MAX: u64 = 256 * 1024;
const DESCRIPTORS_MAX: u64 = 256;

pub(super) fn check(record: &Record) -> Vec<Finding> {
    [storage(record), footprints(record), said(record), audit(record), loss(record), locks(record)]
        .into_iter()
        .flat_map(Found::done)
        .collect()
}

/// The published formula: one receipt for each decided id, one parked row for each that is parked, locks that end.
fn storage(record: &Record) -> Found {
    let mut found = Found::new(16, "G20 storage is bounded");
    let sum =
        |of: &str| record.census.iter().filter(|key| key.key.contains(of)).map(|key| key.size).sum::<u64>();
    let decided: HashSet<(u64, &str)> =
        record.journal.iter().map(|line| (line.partition, line.id.as_str())).collect();
    if sum(":receipts:") != decided.len() as u64 {
        found.add(format!("{} receipts for {} decided ids", sum(":receipts:"), decided.len()), Vec::new());
    }
    let parked = |name: &str| {
        let keys = record.census.iter().filter(|key| key.key.ends_with(name));
        keys.map(|key| key.size).sum::<u64>()
    };
    if parked(":parked") != parked(":scheduled") + parked(":dead") {
        let what = format!(
            "{} parked rows for {} scheduled and {} dead",
            parked(":parked"),
            parked(":scheduled"),
            parked(":dead")
        );
        found.add(what, Vec::new());
    }
    for lock in record.census.iter().filter(|key| key.key.contains(":lock:") && key.ttl_ms < 0) {
        found.add(format!("{} has no end", lock.key), Vec::new());
    }
    let started = record
        .entries
        .iter()
        .filter(|entry| matches!(&entry.event, Event::Process { what, .. } if what == "started"));
    let (started, listed) = (started.count(), record.workers.len());
    if listed > started {
        found.add(format!("{listed} workers are listed, and only {started} were ever started"), Vec::new());
    }
    found
}

fn footprints(record: &Record) -> Found {
    let mut found = Found::new(19, "G20 memory and descriptors are bounded");
    for entry in &record.entries {
        let Event::Sample { footprints, .. } = &entry.event else { continue };
        for one in footprints {
            if one.resident_kib > RESIDENT_KIB_MAX || one.descriptors > DESCRIPTORS_MAX {
                let what = format!(
                    "worker {} took {} KiB and {} descriptors",
                    one.slot + 1,
                    one.resident_kib,
                    one.descriptors
                );
                found.add(what, vec![record.around(entry.at_us)]);
            }
        }
    }
    found
}

/// Unexpected ends, panics and errors in any log.
fn said(record: &Record) -> Found {
    let mut found = Found::new(20, "no unexpected error");
    for entry in &record.entries {
        if let Event::Unexpected { what } = &entry.event {
            // A rollback may have taken the queue itself.
            if record.beginning.may_lose && what.starts_with("queue resume") {
                continue;
            }
            found.add(what.clone(), vec![record.around(entry.at_us)]);
        }
    }
    let expected = |line: &str| record.beginning.expects.iter().any(|word| line.contains(word.as_str()));
    for (name, text) in
        record.logs.iter().filter(|(name, _)| name.starts_with("worker") || name.starts_with("bank"))
    {
        for line in text.lines().filter(|line| line.contains(" ERROR ") || line.contains("panicked at")) {
            if !expected(line) {
                found.add(format!("{name}: {line}"), Vec::new());
            }
        }
    }
    found
}

/// Two judges that share nothing must agree.
fn audit(record: &Record) -> Found {
    let mut found = Found::new(21, "G9 the audit agrees");
    if record.audit["verdict"] != "pass" {
        let violations = record.audit["violations"].as_array().map(Vec::as_slice).unwrap_or_default();
        let words = violations
            .iter()
            .take(4)
            .map(|one| format!("{} {}: {}", one["check"], one["resource"], one["what"]));
        found.add("the audit fails", words.collect());
    }
    found
}

/// Acknowledged decisions that a rollback took are named to whoever knew the journal's end.
fn loss(record: &Record) -> Found {
    let mut found = Found::new(22, "G13 a rollback is never silent");
    let named = record.entries.iter().filter_map(|entry| match &entry.event {
        Event::Counted { name, count } if name == "loss named by audit --expect" => Some(*count),
        _ => None,
    });
    if named.clone().next().is_some() && named.sum::<u64>() == 0 {
        found.add("the audit does not miss the end that it was told of", Vec::new());
    }
    found
}

/// Whoever has lost a lock leaves it to whoever has it now.
fn locks(record: &Record) -> Found {
    let mut found = Found::new(23, "G12 a lock is given back by its owner alone");
    for entry in &record.entries {
        if let Event::LockGivenAway { lock } = &entry.event {
            found.add(format!("{lock} was another's, and is not any more"), vec![record.around(entry.at_us)]);
        }
    }
    found
}
