//! What an audit answers: the verdict, what was looked at, and every violation with both values.
//!
//! Pure. `serde` names the fields as `tollgate-producer audit --json` prints them; that form is a contract.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

/// Most violations that a report lists; of the rest only their number is told.
pub const LISTED_MAX: usize = 200;

/// Whether everything that was looked at agrees with the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// No violation.
    Pass,
    /// At least one violation.
    Fail,
    /// No violation in what could be read, and not all of it could.
    Incomplete,
}

/// The promise (README.md, "What it promises") that a violation breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum Check {
    /// No over-issue; a case is decided once.
    G1,
    /// No overdraft, no double spend.
    G2,
    /// One effect for each id.
    G3,
    /// Same id, same answer.
    G4,
    /// Same id, other request: refused.
    G5,
    /// The journal is complete, and its sum is the state.
    G9,
    /// No accepted job is lost or invented.
    G10,
    /// A rollback is never silent.
    G13,
    /// A hold is resolved exactly once.
    G14,
    /// Outside effects: never voided while an attempt may have paid.
    G28,
}

/// One thing that is not as the journal says, or a journal that contradicts itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// The guarantee it breaks.
    pub check: Check,
    /// The partition it is in.
    pub partition: u16,
    /// `campaign:<id>`, `account:<id>`, `receipt:<job id>`, `parked:<job id>`, `journal`, `head`, …
    pub resource: String,
    /// The journal positions it is about, if any.
    pub positions: Vec<u64>,
    /// What should be there.
    pub expected: String,
    /// What is there.
    pub found: String,
    /// One sentence.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { check, partition, resource, positions, expected, found, what } = self;
        write!(f, "{check:?} {resource} (partition {partition}")?;
        match positions.as_slice() {
            [] => {}
            [one] => write!(f, ", seq {one}")?,
            several => write!(f, ", seqs {several:?}")?,
        }
        write!(f, "): {what}; expected {expected}, found {found}")
    }
}

/// How much was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[allow(missing_docs)] // counts of what their names say
pub struct Checked {
    pub partitions: u64,
    pub entries: u64,
    pub lines: u64,
    pub campaigns: u64,
    pub accounts: u64,
    pub inventories: u64,
    pub cases: u64,
    pub holds: u64,
    pub receipts: u64,
    pub holders: u64,
    pub orders: u64,
    pub codes: u64,
    pub parked: u64,
    /// Streams of jobs that no list of queues has: a worker finds them within ten minutes.
    pub streams_unlisted: u64,
    /// What could not be judged because it changed all the time while it was read; no damage.
    pub in_progress: u64,
}

impl Checked {
    fn add(&mut self, other: Self) {
        // All of them by name, so that a further one is not forgotten.
        let Self {
            partitions,
            entries,
            lines,
            campaigns,
            accounts,
            inventories,
            cases,
            holds,
            receipts,
            holders,
            orders,
            codes,
            parked,
            streams_unlisted,
            in_progress,
        } = other;
        self.partitions += partitions;
        self.entries += entries;
        self.lines += lines;
        self.campaigns += campaigns;
        self.accounts += accounts;
        self.inventories += inventories;
        self.cases += cases;
        self.holds += holds;
        self.receipts += receipts;
        self.holders += holders;
        self.orders += orders;
        self.codes += codes;
        self.parked += parked;
        self.streams_unlisted += streams_unlisted;
        self.in_progress += in_progress;
    }
}

/// Where the journal of a partition ended: what to pass to `--expect` next time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct Position {
    pub partition: u16,
    pub seq: u64,
    pub hash: String,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.partition, self.seq, self.hash)
    }
}

impl std::str::FromStr for Position {
    type Err = String;

    /// Reads `P:SEQ:HASH` as an audit printed it.
    fn from_str(text: &str) -> Result<Self, String> {
        let read = || {
            let (partition, rest) = text.split_once(':')?;
            let (seq, hash) = rest.split_once(':')?;
            let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            if !digits(partition) || !digits(seq) || !hash.bytes().all(hex) {
                return None;
            }
            let seq: u64 = seq.parse().ok()?;
            let length = if seq == 0 { 0 } else { 40 };
            (hash.len() == length).then_some(())?;
            Some(Self { partition: partition.parse().ok()?, seq, hash: hash.to_owned() })
        };
        read().ok_or_else(|| {
            "must be PARTITION:SEQ:HASH as an earlier audit printed it, the hash 40 hex digits; of seq 0, where \
             there is no entry yet, it is empty: 0:0:"
                .to_owned()
        })
    }
}

/// The result of an audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether there is any violation.
    pub verdict: Verdict,
    /// How much was looked at.
    pub checked: Checked,
    /// Where each partition's journal ended.
    pub head: Vec<Position>,
    /// The first [`LISTED_MAX`] violations.
    pub violations: Vec<Violation>,
    /// How many more there are.
    pub violations_unlisted: u64,
    /// Who asked for how many of the operations, by name; what workers settled is in none.
    pub by: Vec<Asked>,
    /// How many more there were of others than the first [`LISTED_MAX`] who asked.
    pub by_unlisted: u64,
    /// Partitions that could not be read, since the node of the cluster that has them was not there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<Unread>,
    /// The comparison with the gateway's list, if one was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bank: Option<Reconciled>,
    /// What an operator has accepted of this Redis, and is so: the verdict rests on less than it does elsewhere.
    pub accepted: Vec<String>,
}

impl Report {
    /// Adds what the comparison with the gateway's list has found.
    pub(super) fn join_bank(&mut self, reconciled: Reconciled, findings: Findings) {
        self.bank = Some(reconciled);
        if !findings.violations.is_empty() {
            self.verdict = Verdict::Fail;
        }
        self.violations.extend(findings.violations);
        self.violations_unlisted += findings.unlisted;
    }
}

/// A partition that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unread {
    /// Which.
    pub partition: u16,
    /// What its node, or the way to it, says.
    pub error: String,
}

/// What one person, or what stands for one, asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// The name, as the journal has it.
    pub by: String,
    /// How many lines of the journal.
    pub lines: u64,
}

/// What the comparison was about.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Reconciled {
    /// Payouts that the gateway says it has paid.
    pub paid_by_bank: u64,
    /// Of these, the ones whose hold waits for an operator or for an attempt's end.
    pub open: u64,
    /// Payments that the gateway made more than once, beyond the first of each.
    pub paid_again: u64,
    /// Lines of the gateway's list whose key is of another namespace, or has a prefix that ours never had.
    pub others: u64,
    /// Both books in sum.
    pub sums: Vec<Sums>,
}

/// Both books in one currency, in minor units.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Sums {
    /// As both name it.
    pub currency: String,
    /// What the gateway has paid.
    pub paid_by_bank: u128,
    /// What we posted.
    pub posted: u128,
    /// What the gateway has paid and we have not posted yet.
    pub open: u128,
}

/// What an audit has found so far.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) checked: Checked,
    head: Vec<Position>,
    violations: Vec<Violation>,
    unlisted: u64,
    asked: BTreeMap<String, u64>,
    asked_unlisted: u64,
    pub(super) unread: Vec<Unread>,
    /// The partition that is being audited.
    partition: u16,
}

impl Findings {
    pub(super) fn enter(&mut self, partition: u16) {
        self.partition = partition;
    }

    /// Adds a violation of the partition that is being audited.
    pub(super) fn violation(
        &mut self,
        check: Check,
        resource: impl Into<String>,
        positions: &[u64],
        expected: impl fmt::Display,
        found: impl fmt::Display,
        what: impl Into<String>,
    ) {
        if self.violations.len() == LISTED_MAX {
            self.unlisted += 1;
            return;
        }
        self.violations.push(Violation {
            check,
            partition: self.partition,
            resource: resource.into(),
            positions: positions.to_vec(),
            expected: expected.to_string(),
            found: found.to_string(),
            what: what.into(),
        });
    }

    /// Adds what was found in one more partition.
    pub(super) fn join(&mut self, other: Self) {
        self.checked.add(other.checked);
        self.head.extend(other.head);
        let room = LISTED_MAX - self.violations.len();
        self.unlisted += other.unlisted + other.violations.len().saturating_sub(room) as u64;
        self.violations.extend(other.violations.into_iter().take(room));
        self.asked_unlisted += other.asked_unlisted;
        for (by, lines) in other.asked {
            if let Some(known) = self.asked.get_mut(&by) {
                *known += lines;
            } else if self.asked.len() == LISTED_MAX {
                self.asked_unlisted += lines;
            } else {
                self.asked.insert(by, lines);
            }
        }
        self.unread.extend(other.unread);
    }

    /// Whether more details would not be listed any more.
    pub(super) fn is_full(&self) -> bool {
        self.violations.len() == LISTED_MAX
    }

    /// Counts a line that somebody asked for.
    pub(super) fn asked_by(&mut self, by: &str) {
        if by.is_empty() {
            return;
        }
        if let Some(lines) = self.asked.get_mut(by) {
            *lines += 1;
        } else if self.asked.len() == LISTED_MAX {
            self.asked_unlisted += 1;
        } else {
            self.asked.insert(by.to_owned(), 1);
        }
    }

    pub(super) fn head(&mut self, seq: u64, hash: &str) {
        self.head.push(Position { partition: self.partition, seq, hash: hash.to_owned() });
    }

    pub(super) fn report(self) -> Report {
        Report {
            verdict: match (self.violations.is_empty(), self.unread.is_empty()) {
                (false, _) => Verdict::Fail,
                (true, false) => Verdict::Incomplete,
                (true, true) => Verdict::Pass,
            },
            unread: self.unread,
            checked: self.checked,
            head: self.head,
            violations: self.violations,
            violations_unlisted: self.unlisted,
            by: self.asked.into_iter().map(|(by, lines)| Asked { by, lines }).collect(),
            by_unlisted: self.asked_unlisted,
            bank: None,
            accepted: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_read_back() {
        let hash = "0123456789abcdef0123456789abcdef01234567";
        for text in [format!("3:17:{hash}"), "0:0:".to_owned()] {
            assert_eq!(text.parse::<Position>().unwrap().to_string(), text);
        }
        for bad in ["", "1", "1:2", "1:2:xyz", "0:0:00", "x:1:", "+1:0:", "1:2:0123", "70000:0:"] {
            assert!(bad.parse::<Position>().is_err(), "{bad}");
        }
        assert!(format!("0:1:{}", hash.to_uppercase()).parse::<Position>().is_err());
    }
}
