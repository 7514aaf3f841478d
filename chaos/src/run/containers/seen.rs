//! What each fault looked like to a producer: what those were told who asked while it lasted and nothing else was
//! broken, and how long they waited.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use crate::run::history::{Event, Response};
use crate::run::judge::Record;

/// Of the calls that overlap with one fault and no other.
#[derive(Default)]
struct Seen {
    times: u64,
    calls: u64,
    answered: u64,
    not_applied: u64,
    unknown: u64,
    waited_ms: Vec<u64>,
    /// What was complained of, counted.
    words: BTreeMap<String, u64>,
}

/// One line for each kind of fault, as a table.
pub(super) fn by_fault(dir: &Path) -> anyhow::Result<String> {
    let record = Record::read(dir)?;
    let mut kinds: BTreeMap<String, Seen> = BTreeMap::new();
    let intervals = intervals(&record);
    for (fault, ..) in &intervals {
        kinds.entry(fault.clone()).or_default().times += 1;
    }
    for call in &record.calls {
        let Some((told_us, answer)) = &call.told else { continue };
        let during =
            intervals.iter().filter(|(_, from_us, to_us)| call.sent_us <= *to_us && *told_us >= *from_us);
        let during: Vec<&str> = during.map(|(fault, ..)| fault.as_str()).collect();
        // Of two faults at once nobody knows which it was.
        let [fault] = during.as_slice() else { continue };
        let Some(seen) = kinds.get_mut(*fault) else { continue };
        seen.calls += 1;
        seen.waited_ms.push((told_us - call.sent_us) / 1_000);
        match answer {
            Response::Told { .. } | Response::Accepted => seen.answered += 1,
            Response::NotApplied { why } | Response::Unknown { why } => {
                // What the program says is certain, whatever the run made of it.
                let certain =
                    why.contains("error: not applied") || matches!(answer, Response::NotApplied { .. });
                if certain {
                    seen.not_applied += 1
                } else {
                    seen.unknown += 1
                }
                *seen.words.entry(short(why)).or_default() += 1;
            }
        }
    }
    let mut text = format!(
        "  {:<29}{:>6}{:>8}{:>10}{:>13}{:>9}{:>11}{:>11}\n",
        "fault", "times", "calls", "answered", "not applied", "unknown", "p50", "longest"
    );
    for (fault, mut seen) in kinds {
        seen.waited_ms.sort_unstable();
        let at = |place: usize| seen.waited_ms.get(place).copied().unwrap_or(0);
        let (middle, longest) = (at(seen.waited_ms.len() / 2), at(seen.waited_ms.len().saturating_sub(1)));
        let _ = writeln!(
            text,
            "  {fault:<29}{:>6}{:>8}{:>10}{:>13}{:>9}{:>8} ms{:>8} ms",
            seen.times, seen.calls, seen.answered, seen.not_applied, seen.unknown, middle, longest
        );
        let mut words: Vec<(&String, &u64)> = seen.words.iter().collect();
        words.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        words.iter().take(2).for_each(|(words, count)| _ = writeln!(text, "      {count} times: {words}"));
    }
    Ok(text)
}

/// Name, beginning and end of each.
fn intervals(record: &Record) -> Vec<(String, u64, u64)> {
    let mut found: BTreeMap<usize, (String, u64, u64)> = BTreeMap::new();
    let end = record.entries.last().map_or(0, |entry| entry.at_us);
    for entry in &record.entries {
        match &entry.event {
            Event::FaultBegins { number, fault, .. } => {
                found.insert(*number, (fault.clone(), entry.at_us, end));
            }
            Event::FaultEnds { number } => {
                if let Some(interval) = found.get_mut(number) {
                    interval.2 = entry.at_us;
                }
            }
            _ => {}
        }
    }
    found.into_values().collect()
}

/// Without what differs from call to call.
fn short(why: &str) -> String {
    if why == "killed" {
        return "the sender was killed".to_owned();
    }
    if why.starts_with("exit Some(4): ") && !why.contains("error") {
        return "no outcome within 2 s; it says how to ask again under the same id".to_owned();
    }
    let words = why.split_once(": ").map_or(why, |(_, words)| words);
    // A port or an id is no other complaint.
    let mut words: Vec<&str> = words.split(' ').collect();
    words.iter_mut().filter(|word| word.len() > 20).for_each(|word| *word = "...");
    words.join(" ").chars().take(120).collect()
}
