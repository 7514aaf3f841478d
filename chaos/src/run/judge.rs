//! The verdict: numbered checks, written from the guarantees of the README and sharing nothing with the audit, over
//! the files of a run alone. Pure: the same directory is judged alike whenever it is judged again.

mod answers;
mod bank;
mod chain;
mod house;
mod queue;
mod record;
mod replay;
mod summary;

use std::path::Path;

use serde::Serialize;

pub(super) use self::record::Record;
pub(super) use self::summary::Summary;

/// How much evidence of one kind is shown: the shortest first.
const SHOWN: usize = 4;

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// The check's number, as docs/chaos.md lists them.
    pub(super) check: u8,
    /// The guarantee that is broken.
    pub(super) guarantee: &'static str,
    pub(super) what: String,
    /// Ids, journal positions, and events around them.
    pub(super) evidence: Vec<String>,
    /// How many more of this kind there are.
    pub(super) more: usize,
}

/// Collects what one check finds.
pub(super) struct Found {
    check: u8,
    guarantee: &'static str,
    list: Vec<(String, Vec<String>)>,
}

impl Found {
    fn new(check: u8, guarantee: &'static str) -> Self {
        Self { check, guarantee, list: Vec::new() }
    }

    fn add(&mut self, what: impl Into<String>, evidence: Vec<String>) {
        self.list.push((what.into(), evidence));
    }

    fn done(mut self) -> Vec<Finding> {
        // The shortest evidence says the most.
        self.list.sort_by_key(|(_, evidence)| evidence.len());
        let more = self.list.len().saturating_sub(SHOWN);
        let Self { check, guarantee, list } = self;
        list.into_iter()
            .take(SHOWN)
            .map(|(what, evidence)| Finding { check, guarantee, what, evidence, more })
            .collect()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    Pass,
    Fail,
    /// Nothing is wrong, and too little happened to show anything.
    Invalid,
}

impl Verdict {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Fail => "FAIL",
            Self::Invalid => "INVALID",
        }
    }

    pub(super) fn exit_code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Fail => 5,
            Self::Invalid => 4,
        }
    }
}

/// Something that should have happened, and how often it did.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Bitten {
    pub(super) name: String,
    pub(super) count: u64,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct Judgement {
    pub(super) verdict: Verdict,
    pub(super) findings: Vec<Finding>,
    pub(super) bites: Vec<Bitten>,
    pub(super) summary: Summary,
}

/// Replays a journal, as `journal export` has it, against the campaigns and accounts that there are.
#[cfg(feature = "explore")]
pub(crate) fn replay(
    journal: Vec<serde_json::Value>,
    campaigns: Vec<serde_json::Value>,
    accounts: Vec<serde_json::Value>,
) -> anyhow::Result<Vec<String>> {
    let findings = replay::check(&Record::of_journal(journal, campaigns, accounts)?);
    Ok(findings.into_iter().map(|found| format!("{}: {}", found.guarantee, found.what)).collect())
}

/// Judges what lies in a run's directory.
pub(super) fn judge(dir: &Path) -> anyhow::Result<(Record, Judgement)> {
    let record = Record::read(dir)?;
    let summary = Summary::of(&record);
    let findings: Vec<Finding> = [
        replay::check(&record),
        answers::check(&record),
        queue::check(&record),
        bank::check(&record),
        house::check(&record),
        chain::check(&record),
    ]
    .concat();
    let bites: Vec<Bitten> = record
        .beginning
        .bites
        .iter()
        .map(|name| Bitten { name: name.clone(), count: summary.count(name) })
        .chain([Bitten { name: "decided".to_owned(), count: summary.decided }])
        .collect();
    let verdict = if !findings.is_empty() {
        Verdict::Fail
    } else if bites.iter().any(|bite| bite.count == 0) {
        Verdict::Invalid
    } else {
        Verdict::Pass
    };
    let judgement = Judgement { verdict, findings, bites, summary };
    Ok((record, judgement))
}
