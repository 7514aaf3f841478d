//! What happened, in numbers.

use std::collections::{BTreeMap, HashSet};

use serde::Serialize;

use super::outage;
use super::record::Record;
use crate::run::history::{Event, FAULT, Response};

#[derive(Debug, Clone, Default, Serialize)]
pub(in crate::run) struct Summary {
    pub(in crate::run) jobs: u64,
    pub(in crate::run) calls: u64,
    pub(in crate::run) decided: u64,
    pub(in crate::run) ok: u64,
    pub(in crate::run) fail: u64,
    pub(in crate::run) unknown: u64,
    /// Of the ids that somebody did not hear of, how many are decided.
    pub(in crate::run) unknown_decided: u64,
    /// What was acknowledged and is gone: told as decided, and not so where it was; or accepted, and nowhere.
    pub(in crate::run) lost: u64,
    /// Of these, what is decided all the same, since it was asked for again.
    pub(in crate::run) decided_again: u64,
    /// How long partitions stood still whose server was gone or gave them away, p50 and the longest.
    pub(in crate::run) stood_still_ms: [f64; 2],
    pub(in crate::run) outcomes: BTreeMap<String, u64>,
    pub(in crate::run) faults: BTreeMap<String, u64>,
    pub(in crate::run) counts: BTreeMap<String, u64>,
    pub(in crate::run) rate_with_faults: f64,
    pub(in crate::run) rate_without: f64,
    pub(in crate::run) latency_ms: [f64; 2],
    pub(in crate::run) recovery_ms: [f64; 2],
    pub(in crate::run) drain_ms: u64,
    pub(in crate::run) resident_kib_most: u64,
    pub(in crate::run) descriptors_most: u64,
}

impl Summary {
    pub(super) fn of(record: &Record) -> Self {
        let mut summary = Self { decided: record.journal.len() as u64, ..Self::default() };
        summary.count_calls(record);
        summary.count_events(record);
        for line in record.journal.iter() {
            *summary.outcomes.entry(line.code.clone()).or_default() += 1;
        }
        let count =
            |summary: &mut Self, name: &str, count: u64| _ = summary.counts.insert(name.to_owned(), count);
        let replayed = record.stats["replayed"].as_u64().unwrap_or(0);
        count(&mut summary, "replayed", replayed);
        let unknown = summary.unknown;
        count(&mut summary, "unknown", unknown);
        let paid = summary.outcomes.get("paid").copied().unwrap_or(0);
        count(&mut summary, "payouts paid", paid);
        summary.rates(record);
        summary.recovery(record);
        (summary.lost, summary.decided_again) = outage::lost(record);
        let stood_still = outage::stood_still(record);
        let longest = stood_still.iter().copied().fold(0.0, f64::max);
        summary.stood_still_ms = [quantiles(stood_still)[0], longest];
        summary
    }

    /// How often something happened, a fault included.
    pub(in crate::run) fn count(&self, name: &str) -> u64 {
        self.counts.get(name).or(self.faults.get(name)).copied().unwrap_or(0)
    }

    fn count_calls(&mut self, record: &Record) {
        let decided: HashSet<&str> = record.journal.iter().map(|line| line.id.as_str()).collect();
        let mut latencies = Vec::new();
        let mut unheard = HashSet::new();
        for call in &record.calls {
            self.calls += 1;
            self.jobs += call.jobs.len() as u64;
            match &call.told {
                Some((told_us, Response::Told { .. })) => {
                    self.ok += 1;
                    latencies.push((told_us - call.sent_us) as f64 / 1e3);
                }
                Some((_, Response::Accepted)) => self.ok += 1,
                Some((_, Response::NotApplied { .. })) => self.fail += 1,
                Some((_, Response::Unknown { .. })) | None => {
                    self.unknown += 1;
                    unheard.extend(call.jobs.iter().map(|job| job.id.as_str()));
                }
            }
        }
        self.unknown_decided = unheard.iter().filter(|id| decided.contains(**id)).count() as u64;
        self.latency_ms = quantiles(latencies);
    }

    fn count_events(&mut self, record: &Record) {
        for entry in &record.entries {
            match &entry.event {
                Event::Counted { name, count } if name.starts_with(FAULT) => {
                    *self.faults.entry(name[FAULT.len()..].to_owned()).or_default() += count;
                }
                Event::Sample { footprints, .. } => {
                    for one in footprints {
                        self.resident_kib_most = self.resident_kib_most.max(one.resident_kib);
                        self.descriptors_most = self.descriptors_most.max(one.descriptors);
                    }
                }
                event => {
                    if let Some((name, count)) = event.counts() {
                        *self.counts.entry(name.to_owned()).or_default() += count;
                    }
                }
            }
        }
    }

    /// Decisions a second, between samples during which some fault ran, and between the others.
    fn rates(&mut self, record: &Record) {
        let (mut running, mut before) = (0_i64, None::<(u64, u64)>);
        let mut stained = false;
        let (mut with, mut without) = ((0, 0), (0, 0));
        for entry in &record.entries {
            match &entry.event {
                Event::FaultBegins { .. } => (running, stained) = (running + 1, true),
                Event::FaultEnds { .. } => running -= 1,
                Event::Sample { decided, .. } => {
                    if let Some((at_us, then)) = before {
                        let sum = if stained { &mut with } else { &mut without };
                        sum.0 += decided.saturating_sub(then);
                        sum.1 += entry.at_us - at_us;
                    }
                    (before, stained) = (Some((entry.at_us, *decided)), running > 0);
                }
                _ => {}
            }
        }
        let rate = |(count, us): (u64, u64)| if us == 0 { 0.0 } else { count as f64 * 1e6 / us as f64 };
        (self.rate_with_faults, self.rate_without) = (rate(with), rate(without));
    }

    /// From the end of a fault to the next answer that somebody got; and from the last one to nothing being left.
    fn recovery(&mut self, record: &Record) {
        let mut told: Vec<u64> = record
            .calls
            .iter()
            .filter_map(|call| match &call.told {
                Some((at_us, Response::Told { .. } | Response::Accepted)) => Some(*at_us),
                _ => None,
            })
            .collect();
        told.sort_unstable();
        let mut times = Vec::new();
        let (mut healed, mut drained) = (0, 0);
        for entry in &record.entries {
            match entry.event {
                Event::FaultEnds { .. } => {
                    let next = told.partition_point(|at_us| *at_us < entry.at_us);
                    times.extend(told.get(next).map(|at_us| (at_us - entry.at_us) as f64 / 1e3));
                }
                Event::Healed => healed = entry.at_us,
                Event::Drained => drained = entry.at_us,
                _ => {}
            }
        }
        self.recovery_ms = quantiles(times);
        self.drain_ms = drained.saturating_sub(healed) / 1_000;
    }
}

/// p50 and p99.
fn quantiles(mut values: Vec<f64>) -> [f64; 2] {
    values.sort_by(f64::total_cmp);
    let at = |part: f64| {
        let place = ((values.len() as f64 * part).ceil() as usize).clamp(1, values.len().max(1)) - 1;
        values.get(place).copied().unwrap_or(0.0)
    };
    [at(0.5), at(0.99)]
}
