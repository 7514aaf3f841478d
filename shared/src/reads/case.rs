//! Cases as they are in Redis now, judged as `settle` judges them. Reading only.

use super::resources::{Listed, number, optional};
use crate::protocol::ids::{Actor, CaseId, CaseOption};
use crate::protocol::keys::Keys;
use crate::protocol::options::Options;
use crate::protocol::quantity::Version;
use crate::protocol::reason::Reason;

/// A case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseState {
    /// What it can be decided as.
    pub options: Options,
    /// 1, and one more for each amendment.
    pub version: Version,
    /// What stands; `None` while nobody has decided.
    pub word: Option<Word>,
    /// The journal line of its last change; of what stands, where something does.
    pub seq: u64,
}

/// What stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// One of the options.
    pub decision: CaseOption,
    /// Who decided.
    pub by: Actor,
    /// Why.
    pub reason: Option<Reason>,
}

impl Listed for CaseState {
    type Id = CaseId;
    const PREFIX: &'static str = "case:";
    const FIELDS: &'static [&'static str] = &["options", "version", "decision", "by", "reason", "seq"];
    const IS_TEXT: bool = false;

    fn key(keys: &Keys, id: &CaseId) -> String {
        keys.case(id)
    }

    fn text(id: &CaseId) -> &str {
        id.as_str()
    }

    fn id(text: &str) -> Option<CaseId> {
        CaseId::parse(text).ok()
    }

    fn read(fields: &[Option<&str>]) -> Result<Self, &'static str> {
        let field = |i: usize| fields.get(i).copied().flatten();
        let options: Options = field(0).and_then(|text| text.parse().ok()).ok_or("options")?;
        let decision =
            optional(field(2), |text| CaseOption::parse(text).ok().filter(|one| options.contains(one)));
        let by = optional(field(3), |text| Actor::parse(text).ok()).ok_or("by")?;
        let reason = optional(field(4), |text| Reason::parse(text).ok()).ok_or("reason")?;
        let word = match (decision.ok_or("decision")?, by) {
            (Some(decision), Some(by)) => Some(Word { decision, by, reason }),
            (None, None) if reason.is_none() => None,
            (None, None) => return Err("reason"),
            _ => return Err("by"),
        };
        let version = number(field(1)).and_then(Version::new).ok_or("version")?;
        Ok(Self { options, version, word, seq: number(field(5)).ok_or("seq")? })
    }
}
