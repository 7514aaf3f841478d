//! Which incidents are open and what is to be said of them. Pure: the clock is an argument, nothing is logged here.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use super::incident::{Incident, Open, Reporter};
use super::kind::{Impact, Kind};

/// How often what lasts is said again; also the window of [`BEGINS_MAX`].
const REMIND_EVERY: Duration = Duration::from_secs(60);
/// An incident that comes and goes is said to begin so often in a minute; its further beginnings and ends are only
/// counted, and said with the next line.
const BEGINS_MAX: u32 = 3;

/// Kind and subject.
type Key = (Kind, String);

/// A line of the log.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    Begun {
        kind: Kind,
        subject: String,
        reason: String,
        hint: Option<String>,
    },
    Lasts {
        kind: Kind,
        subject: String,
        reasons: Vec<String>,
        hint: Option<String>,
        age: Duration,
        reports: u64,
    },
    Ended {
        kind: Kind,
        subject: String,
        age: Duration,
    },
    /// Its last reporter has found something else.
    Changed {
        kind: Kind,
        subject: String,
        age: Duration,
        into: Kind,
    },
}

#[derive(Debug)]
struct Entry {
    opened_at: Instant,
    /// When a line was last written of it; `None` if it began too often to be said.
    said_at: Option<Instant>,
    /// Reports since the last line.
    reports: u64,
    /// The last word of each.
    by_reporter: BTreeMap<u64, (String, Impact)>,
    hint: Option<String>,
}

/// How often an incident began lately.
#[derive(Debug)]
struct Begins {
    since: Instant,
    count: u32,
}

#[derive(Debug, Default)]
pub(super) struct Register {
    open: HashMap<Key, Entry>,
    begins: HashMap<Key, Begins>,
}

impl Register {
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    pub(super) fn open(&mut self, reporter: Reporter, incident: Incident, now: Instant) -> Vec<Line> {
        let Incident { kind, subject, reason, hint, impact } = incident;
        let key = (kind, subject);
        let mut lines = Vec::new();
        for ((kind, subject), entry) in self.remove(reporter, Some(&key)) {
            let age = now.saturating_duration_since(entry.opened_at);
            if entry.said_at.is_some() {
                lines.push(Line::Changed { kind, subject, age, into: key.0 });
            }
        }
        if let Some(entry) = self.open.get_mut(&key) {
            entry.reports += 1;
            entry.by_reporter.insert(reporter.0, (reason, impact));
            lines.extend(entry.remind(&key, now));
            return lines;
        }
        let said_at = self.may_begin(&key, now).then_some(now);
        if said_at.is_some() {
            let (reason, hint) = (reason.clone(), hint.clone());
            lines.push(Line::Begun { kind, subject: key.1.clone(), reason, hint });
        }
        let by_reporter = BTreeMap::from([(reporter.0, (reason, impact))]);
        self.open.insert(key, Entry { opened_at: now, said_at, reports: 0, by_reporter, hint });
        lines
    }

    pub(super) fn resolve(&mut self, reporter: Reporter, now: Instant) -> Vec<Line> {
        let ended = self.remove(reporter, None).into_iter().filter(|(_, entry)| entry.said_at.is_some());
        let line = |((kind, subject), entry): (Key, Entry)| {
            let age = now.saturating_duration_since(entry.opened_at);
            Line::Ended { kind, subject, age }
        };
        ended.map(line).collect()
    }

    pub(super) fn withdraw(&mut self, reporter: Reporter) -> Vec<Line> {
        self.remove(reporter, None);
        Vec::new()
    }

    pub(super) fn remind(&mut self, now: Instant) -> Vec<Line> {
        self.open.iter_mut().filter_map(|(key, entry)| entry.remind(key, now)).collect()
    }

    pub(super) fn list(&self, now: Instant) -> Vec<Open> {
        let mut list: Vec<Open> = self
            .open
            .iter()
            .map(|((kind, subject), entry)| Open {
                kind: *kind,
                subject: subject.clone(),
                reasons: entry.reasons(),
                hint: entry.hint.clone(),
                impact: entry.impact(),
                age: now.saturating_duration_since(entry.opened_at),
            })
            .collect();
        list.sort_by(|a, b| b.age.cmp(&a.age).then_with(|| (a.kind, &a.subject).cmp(&(b.kind, &b.subject))));
        list
    }

    /// Takes a reporter out of everything but `kept`; answers the incidents that nobody reports any more.
    fn remove(&mut self, reporter: Reporter, kept: Option<&Key>) -> Vec<(Key, Entry)> {
        let mut ended = Vec::new();
        let keys: Vec<Key> = self.open.keys().filter(|key| kept != Some(*key)).cloned().collect();
        for key in keys {
            let Some(entry) = self.open.get_mut(&key) else { continue };
            if entry.by_reporter.remove(&reporter.0).is_some()
                && entry.by_reporter.is_empty()
                && let Some(entry) = self.open.remove(&key)
            {
                ended.push((key, entry));
            }
        }
        ended
    }

    fn may_begin(&mut self, key: &Key, now: Instant) -> bool {
        self.begins.retain(|_, begins| now.saturating_duration_since(begins.since) < REMIND_EVERY);
        let begins = self.begins.entry(key.clone()).or_insert(Begins { since: now, count: 0 });
        begins.count += 1;
        begins.count <= BEGINS_MAX
    }
}

impl Entry {
    fn remind(&mut self, key: &Key, now: Instant) -> Option<Line> {
        let silent_since = self.said_at.unwrap_or(self.opened_at);
        if now.saturating_duration_since(silent_since) < REMIND_EVERY {
            return None;
        }
        self.said_at = Some(now);
        Some(Line::Lasts {
            kind: key.0,
            subject: key.1.clone(),
            reasons: self.reasons(),
            hint: self.hint.clone(),
            age: now.saturating_duration_since(self.opened_at),
            reports: std::mem::take(&mut self.reports),
        })
    }

    /// The longest list of them that is shown.
    const REASONS_MAX: usize = 3;

    fn reasons(&self) -> Vec<String> {
        let mut reasons: Vec<String> = Vec::new();
        for (reason, _) in self.by_reporter.values() {
            if !reasons.contains(reason) {
                if reasons.len() == Self::REASONS_MAX {
                    reasons.push("…".to_owned());
                    break;
                }
                reasons.push(reason.clone());
            }
        }
        reasons
    }

    fn impact(&self) -> Impact {
        self.by_reporter.values().map(|(_, impact)| *impact).max().unwrap_or(Impact::Degraded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Reporter = Reporter(1);
    const B: Reporter = Reporter(2);

    fn incident(kind: Kind, subject: &str) -> Incident {
        Incident::new(kind, subject, format!("{kind} {subject}"))
    }

    fn words(lines: &[Line]) -> Vec<&'static str> {
        let word = |line: &Line| match line {
            Line::Begun { .. } => "begun",
            Line::Lasts { .. } => "lasts",
            Line::Ended { .. } => "ended",
            Line::Changed { .. } => "changed",
        };
        lines.iter().map(word).collect()
    }

    #[test]
    fn one_outage_is_one_incident_until_its_last_reporter_is_well() {
        let (mut register, now) = (Register::default(), Instant::now());
        let outage = || incident(Kind::RedisUnavailable, "");
        assert_eq!(words(&register.open(A, outage(), now)), ["begun"]);
        assert_eq!(words(&register.open(B, outage(), now)), [""; 0]);
        assert_eq!(words(&register.open(A, outage(), now)), [""; 0]);
        assert_eq!(register.len(), 1);
        let full = incident(Kind::OutOfMemory, "");
        assert_eq!(words(&register.open(B, full, now)), ["begun"], "out of memory is another cause");
        assert_eq!(words(&register.resolve(A, now)), ["ended"]);
        assert_eq!(words(&register.resolve(A, now)), [""; 0]);
        assert_eq!(words(&register.resolve(B, now)), ["ended"]);
        assert_eq!(register.len(), 0);
    }

    #[test]
    fn partitions_are_told_apart_and_a_changed_cause_is_said() {
        let (mut register, now) = (Register::default(), Instant::now());
        let damaged = |partition: &str| incident(Kind::CorruptPartition, partition);
        assert_eq!(words(&register.open(A, damaged("partition 0"), now)), ["begun"]);
        assert_eq!(words(&register.open(B, damaged("partition 1"), now)), ["begun"]);
        assert_eq!(register.len(), 2);
        let lines = register.open(B, incident(Kind::RedisUnavailable, ""), now);
        assert_eq!(words(&lines), ["changed", "begun"]);
        assert_eq!(words(&register.withdraw(B)), [""; 0], "who gives up does not say that it is over");
        assert_eq!(register.list(now).len(), 1);
    }

    #[test]
    fn what_lasts_is_said_once_a_minute_with_what_was_counted() {
        let (mut register, begun) = (Register::default(), Instant::now());
        let at = |seconds| begun + Duration::from_secs(seconds);
        register.open(A, incident(Kind::GatewayRefuses, ""), begun);
        for second in 1..60 {
            assert_eq!(register.open(A, incident(Kind::GatewayRefuses, ""), at(second)), []);
        }
        let lines = register.remind(at(60));
        let [Line::Lasts { age, reports, .. }] = lines.as_slice() else { panic!("{lines:?}") };
        assert_eq!((age.as_secs(), *reports), (60, 59));
        assert_eq!(register.remind(at(119)), []);
        assert_eq!(words(&register.open(A, incident(Kind::GatewayRefuses, ""), at(120))), ["lasts"]);
        let lines = register.resolve(A, at(121));
        assert!(matches!(lines.as_slice(), [Line::Ended { age, .. }] if age.as_secs() == 121), "{lines:?}");
    }

    #[test]
    fn what_comes_and_goes_is_not_a_flood() {
        let (mut register, begun) = (Register::default(), Instant::now());
        let mut lines = Vec::new();
        for turn in 0..600 {
            let now = begun + Duration::from_millis(100 * turn);
            lines.extend(register.open(A, incident(Kind::ErrorReply, "partition 0"), now));
            lines.extend(register.resolve(A, now));
        }
        assert_eq!(words(&lines), ["begun", "ended", "begun", "ended", "begun", "ended"]);
        let later = begun + Duration::from_secs(61);
        let lines = register.open(A, incident(Kind::ErrorReply, "partition 0"), later);
        assert_eq!(words(&lines), ["begun"]);
    }

    #[test]
    fn the_list_has_each_reason_once_and_the_worst_impact() {
        let (mut register, begun) = (Register::default(), Instant::now());
        let said = |reason: &str| Incident::new(Kind::ErrorReply, "partition 0", reason);
        register.open(A, said("promote").degraded(), begun);
        register.open(B, said("promote").degraded(), begun);
        let list = register.list(begun + Duration::from_secs(7));
        assert_eq!(
            (list[0].reasons.as_slice(), list[0].impact),
            (["promote".to_owned()].as_slice(), Impact::Degraded)
        );
        register.open(B, said("pay"), begun);
        let list = register.list(begun + Duration::from_secs(7));
        assert_eq!((list[0].reasons.len(), list[0].impact), (2, Impact::NotReady));
        assert_eq!(
            list[0].to_string(),
            "error_reply (partition 0) for 7 s: promote; also: pay\nhint: `tollgate-producer audit` names what is damaged"
        );
    }
}
