//! What the loss of a server costs: for how long its partitions stood still, and what of the acknowledged work is gone.

use std::collections::{HashMap, HashSet};

use super::record::{Line, Record};
use crate::run::history::{Event, Response};

/// In milliseconds, for each time at which the server of some partitions was gone or gave them away: the longest time
/// within which none of them decided anything, from then on; of those pauses that began before the fault had ended.
pub(super) fn stood_still(record: &Record) -> Vec<f64> {
    let mut times = Vec::new();
    for (place, entry) in record.entries.iter().enumerate() {
        let Event::Interrupted { partitions, at_ms } = &entry.event else { continue };
        let ends =
            record.entries[place..].iter().find(|entry| matches!(entry.event, Event::FaultEnds { .. }));
        let lasts_ms = ends.map_or(0, |ends| (ends.at_us - entry.at_us) / 1_000);
        let of = record.journal.iter().filter(|line| partitions.contains(&line.partition));
        let mut decided: Vec<u64> = of.map(|line| line.at_ms).filter(|at| at > at_ms).collect();
        decided.sort_unstable();
        let before = [*at_ms].into_iter().chain(decided.iter().copied());
        let pauses = before.zip(&decided).filter(|(from, _)| *from <= at_ms + lasts_ms);
        times.extend(pauses.map(|(from, to)| (to - from) as f64).reduce(f64::max));
    }
    times
}

/// How much of what was acknowledged is not where it was, and how much of that is decided all the same.
pub(super) fn lost(record: &Record) -> (u64, u64) {
    let at: HashMap<(u64, u64), &Line> =
        record.journal.iter().map(|line| ((line.partition, line.seq), line)).collect();
    let decided: HashSet<&str> = record.journal.iter().map(|line| line.id.as_str()).collect();
    let dead: HashSet<&str> = record.dead.iter().map(|dead| dead.id.as_str()).collect();
    let (mut lost, mut again) = (0, 0);
    for call in &record.calls {
        match &call.told {
            Some((_, Response::Told { code, seq: Some(seq), partition, .. })) if code != "id_mismatch" => {
                let Some(job) = call.jobs.first() else { continue };
                let there = partition.and_then(|partition| at.get(&(partition, *seq)));
                let is_decided = decided.contains(job.id.as_str());
                let is_there = if partition.is_some() {
                    there.is_some_and(|line| line.id == job.id && line.code == *code)
                } else {
                    is_decided
                };
                lost += u64::from(!is_there);
                again += u64::from(!is_there && is_decided);
            }
            Some((_, Response::Accepted)) => {
                let is_gone = |id: &str| !decided.contains(id) && !dead.contains(id);
                lost += call.jobs.iter().filter(|job| is_gone(&job.id)).count() as u64;
            }
            _ => {}
        }
    }
    (lost, again)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::history::{Entry, Job, Request};
    use crate::run::judge::record::Call;

    fn line(partition: u64, seq: u64, at_ms: u64, id: &str) -> Line {
        Line { partition, seq, at_ms, id: id.to_owned(), code: "withdrawn".to_owned(), ..Line::default() }
    }

    #[test]
    fn the_longest_pause_of_what_was_hit_counts_up_to_the_first_decision_after_the_fault() {
        let entries = [
            (0, Event::Interrupted { partitions: vec![1], at_ms: 1_000 }),
            (3_000_000, Event::FaultEnds { number: 0 }),
        ];
        let record = |lines: &[(u64, u64)]| Record {
            entries: entries.iter().cloned().map(|(at_us, event)| Entry { at_us, event }).collect(),
            journal: lines.iter().map(|(partition, at_ms)| line(*partition, 1, *at_ms, "a")).collect(),
            ..Record::default()
        };
        // Before it, elsewhere, twice during the fault, after its end, and a pause that began after that.
        let lines = [(1, 900), (0, 1_400), (1, 1_500), (1, 3_900), (1, 5_000), (1, 9_000)];
        assert_eq!(stood_still(&record(&lines)), [2_400.0]);
        assert_eq!(stood_still(&record(&[(1, 1_000), (1, 4_100), (1, 4_200)])), [3_100.0]);
        assert!(stood_still(&record(&[(1, 900), (0, 4_100)])).is_empty());
    }

    #[test]
    fn lost_is_what_is_not_where_it_was_told() {
        let call = |id: &str, told| {
            let request = Request::Withdraw { account: "a".to_owned(), amount: 1, destination: None };
            Call { sent_us: 0, jobs: vec![Job { id: id.to_owned(), request }], told: Some((1, told)) }
        };
        let told = |seq| Response::Told {
            class: "applied".to_owned(),
            code: "withdrawn".to_owned(),
            seq: Some(seq),
            partition: Some(0),
            replayed: false,
        };
        let record = Record {
            journal: vec![line(0, 1, 0, "kept"), line(0, 2, 0, "again")],
            calls: vec![
                call("kept", told(1)),
                call("again", told(5)),
                call("gone", told(6)),
                call("kept", Response::Accepted),
                call("nowhere", Response::Accepted),
            ],
            ..Record::default()
        };
        assert_eq!(lost(&record), (3, 1));
    }
}
