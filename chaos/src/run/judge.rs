//! The verdict: numbered checks, written from the guarantees of the README and sharing nothing with the audit, over
//! the files of a run alone. Pure: the same directory is judged alike whenever it is judged again.

mod answers;
mod bank;
mod cases;
mod chain;
mod finding;
mod house;
mod outage;
mod queue;
mod record;
mod replay;
mod sales;
mod summary;

use std::path::Path;

use serde::Serialize;

pub(super) use self::finding::Finding;
pub(super) use self::record::Record;
pub(super) use self::summary::Summary;

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

/// Replays a journal, as `journal export` has it, against what there is.
#[cfg(feature = "explore")]
pub(crate) fn replay(
    journal: Vec<serde_json::Value>,
    there: serde_json::Value,
) -> anyhow::Result<Vec<String>> {
    let record = Record::of_journal(journal, there)?;
    let findings = [replay::check(&record), sales::check(&record)].concat();
    Ok(findings.into_iter().map(|found| format!("{}: {}", found.guarantee, found.what)).collect())
}

/// Judges what lies in a run's directory.
pub(super) fn judge(dir: &Path) -> anyhow::Result<(Record, Judgement)> {
    let record = Record::read(dir)?;
    let summary = Summary::of(&record);
    let findings: Vec<Finding> = [
        replay::check(&record),
        sales::check(&record),
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
