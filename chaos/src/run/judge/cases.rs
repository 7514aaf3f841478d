//! Check 1, of cases: each is decided once, by the first who names the version that there is. Pure.

use std::collections::BTreeMap;

use super::finding::Found;
use super::record::{Case, Line};

/// What the journal says of the cases, by partition and name.
#[derive(Default)]
pub(super) struct Cases(BTreeMap<(u64, String), Known>);

#[derive(Default)]
struct Known {
    options: Vec<String>,
    version: u64,
    /// The first decision.
    stands: Option<Word>,
}

struct Word {
    decision: String,
    by: String,
    seq: u64,
}

impl Cases {
    /// Takes a line of a case over, and tells what it should not say.
    pub(super) fn take(&mut self, line: &Line, once: &mut Found) {
        let name = line.case.clone().unwrap_or_default();
        if line.code == "case_opened" {
            let opened = Known { options: line.options.clone(), version: 1, stands: None };
            if self.0.insert((line.partition, name.clone()), opened).is_some() {
                once.add(format!("{name} is opened twice"), vec![line.place()]);
            }
            return;
        }
        let Some(case) = self.0.get_mut(&(line.partition, name.clone())) else { return };
        let mut wrong = |what: String| once.add(format!("{name}: {what}"), vec![line.place()]);
        let is_read = line.expect_version.is_none_or(|version| version == case.version);
        match (line.code.as_str(), &case.stands) {
            ("decided" | "case_amended", Some(Word { decision, by, seq })) => {
                wrong(format!("{decision} by {by} stood since seq {seq}, and was not the last word"));
            }
            ("decided" | "case_amended", None) if !is_read => {
                wrong(format!("version {:?} was named, and there was {}", line.expect_version, case.version));
            }
            ("decided", None) => {
                let decision = line.decision.clone().unwrap_or_default();
                if !case.options.contains(&decision) {
                    wrong(format!("{decision} was no option"));
                }
                let by = line.by.clone().unwrap_or_default();
                case.stands = Some(Word { decision, by, seq: line.seq });
            }
            ("case_amended", None) => {
                case.version += 1;
                if !line.options.is_empty() {
                    case.options = line.options.clone();
                }
            }
            ("already_decided", stands) => {
                let stood = stands.as_ref().map(|word| word.seq);
                if stood.is_none() || stood != line.decided_seq {
                    wrong(format!("told {:?}, and what stood was {stood:?}", line.decided_seq));
                }
            }
            ("version_mismatch", _) if is_read => wrong("refused, and the version was right".to_owned()),
            _ => {}
        }
        if line.version.is_some_and(|version| version != case.version) {
            wrong(format!("version {:?}, by replay {}", line.version, case.version));
        }
    }

    /// What is there at the end.
    pub(super) fn compare(&self, there: &[Case], once: &mut Found) {
        for case in there {
            let known = self.0.iter().find(|((_, name), _)| *name == case.case).map(|(_, known)| known);
            let stands = known.and_then(|known| known.stands.as_ref());
            let by_replay = stands.map(|word| (word.decision.as_str(), word.by.as_str(), word.seq));
            let decision = case.decision.as_deref();
            let found = decision.zip(case.by.as_deref()).zip(case.decided_seq);
            let found = found.map(|((decision, by), seq)| (decision, by, seq));
            if found != by_replay || case.version != known.map(|known| known.version) {
                let what = format!("{} is {case:?}; by the journal {by_replay:?}", case.case);
                once.add(what, Vec::new());
            }
        }
    }
}
