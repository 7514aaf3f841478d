//! What came of one operation, in words and as JSON.
//!
//! Reading only, after the decision: it explains and decides nothing.

use std::fmt;

use serde::Serialize;
use tollgate::Tollgate;
use tollgate::case::CaseState;
use tollgate::code::{Class, Code};
use tollgate::failure::Failure;
use tollgate::ids::{CaseId, JobId};
use tollgate::inventory::InventoryState;
use tollgate::journal;
use tollgate::kinds::{CampaignCreate, CaseOpen, Fields, InventoryCreate, Operation, first_difference};
use tollgate::link::Link;
use tollgate::partition::Partition;
use tollgate::resource::Resource;
use tollgate::resources::{self, AccountState, CampaignState, Held};
use tollgate::scripts::settle::Answer;

use crate::exit::Exit;
use crate::{missing, now, original};

/// What came of one operation, as JSON `{id, partition, class, code, seq, replayed, field?}`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Decision {
    id: String,
    partition: u16,
    class: &'static str,
    #[serde(serialize_with = "name_of")]
    pub(crate) code: Code,
    seq: Option<u64>,
    replayed: bool,
    /// The first field in which what exists differs from what was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'static str>,
    /// What does not exist, where that is the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<String>,
    /// What is there now, in words that may change.
    #[serde(skip_serializing_if = "Option::is_none")]
    now: Option<String>,
    /// The version that the line of a case shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    /// What stands, where a case was decided before.
    #[serde(skip_serializing_if = "Option::is_none")]
    stands: Option<Stands>,
    /// Whether what was asked for is so, by this request or by an earlier one.
    #[serde(skip)]
    is_so: bool,
}

/// What stands of a case.
#[derive(Debug, Clone, Serialize)]
struct Stands {
    decision: String,
    by: String,
    reason: Option<String>,
    seq: u64,
}

fn name_of<S: serde::Serializer>(code: &Code, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(code.name())
}

impl Decision {
    pub(crate) fn exit(&self) -> Exit {
        if self.is_so { Exit::Done } else { Exit::Refused }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        match (self.field, self.code.class()) {
            (Some(field), _) => write!(f, ": {}, and its {field} differs", self.code.meaning())?,
            (None, Class::Applied) => {}
            (None, _) => write!(f, ": {}", self.code.meaning())?,
        }
        if let Some(missing) = &self.missing {
            write!(f, ": {missing}")?;
        }
        if let Some(now) = &self.now {
            write!(f, "; {now}")?;
        }
        if self.is_so && self.code.class() != Class::Applied {
            f.write_str(" (by an earlier request: nothing is left to do)")?;
        }
        if self.replayed {
            f.write_str(" (replayed: decided before)")?;
        }
        Ok(())
    }
}

/// Turns an answer into words: names the field that differs where something else is there. What was decided
/// stands: if the details cannot be read, only they are missing.
pub(crate) async fn explain(
    tollgate: &Tollgate,
    link: &mut Link,
    id: &JobId,
    request: &Operation,
    answer: Answer,
) -> Decision {
    let partition = tollgate.partition_of(request.resource());
    let (seq, replayed) = answer.decided();
    let (code, field) = match answer {
        Answer::Mismatch { seq } => {
            let line = journal::line_at(link, tollgate.keys(partition), seq).await;
            let line = line.ok().and_then(Result::ok).flatten();
            let field = line.and_then(|line| first_difference(request, &line.event));
            (exists_code(id, request).unwrap_or(Code::IdMismatch), field)
        }
        other => match other.direct_code() {
            code
            @ (Code::CampaignExists | Code::AccountExists | Code::InventoryExists | Code::CaseExists) => {
                (code, difference_to_what_exists(tollgate, link, partition, request).await.ok().flatten())
            }
            code => (code, None),
        },
    };
    let id = id.to_string();
    // Who asks to close what is closed has what was asked for.
    let was_closed = matches!(
        (request, code),
        (Operation::AccountClose(_), Code::AccountClosed)
            | (Operation::CampaignClose(_) | Operation::InventoryClose(_), Code::Ended)
            | (Operation::InventoryCancel(_), Code::InventoryCancelled)
            | (Operation::InventoryArchive(_), Code::InventoryArchived)
    );
    let class = if seq.is_some() { code.class_of_decision() } else { code.class() };
    let missing = missing::of(tollgate, link, code, request).await;
    let now = match now::of(tollgate, link, (code, missing.as_deref()), replayed, request).await {
        None => original::of(tollgate, link, code, seq, request).await,
        now => now,
    };
    let (version, stands) = match request.resource() {
        Resource::Case(case) => {
            let is_over = code == Code::AlreadyDecided;
            let stands = if is_over { stands(tollgate, link, case).await } else { None };
            (version_at(tollgate, link, partition, seq).await, stands)
        }
        _ => (None, None),
    };
    let is_so = class == Class::Applied || was_closed;
    Decision {
        id,
        partition: partition.number(),
        class: class.name(),
        code,
        seq,
        replayed,
        field,
        missing,
        now,
        version,
        stands,
        is_so,
    }
}

/// The version that a line of a case shows.
async fn version_at(
    tollgate: &Tollgate,
    link: &mut Link,
    partition: Partition,
    seq: Option<u64>,
) -> Option<u64> {
    let line = journal::line_at(link, tollgate.keys(partition), seq?).await;
    line.ok()?.ok()??.after("version")
}

/// What a case was decided as: once it is, nothing changes it.
async fn stands(tollgate: &Tollgate, link: &mut Link, case: &CaseId) -> Option<Stands> {
    let keys = tollgate.keys(tollgate.partition_of(Resource::Case(case)));
    let mut read = resources::read::<CaseState>(link, keys, std::slice::from_ref(case)).await.ok()?;
    let Held::State(CaseState { word: Some(word), seq, .. }) = read.pop()? else { return None };
    let reason = word.reason.map(|reason| reason.to_string());
    Some(Stands { decision: word.decision.to_string(), by: word.by.to_string(), reason, seq })
}

/// What a mismatch means under an id that the resource itself gives: the resource exists, on other terms.
fn exists_code(id: &JobId, request: &Operation) -> Option<Code> {
    match request {
        Operation::CampaignCreate(create) if *id == JobId::create_campaign(&create.campaign) => {
            Some(Code::CampaignExists)
        }
        Operation::AccountOpen(open) if *id == JobId::create_account(&open.account) => {
            Some(Code::AccountExists)
        }
        Operation::InventoryCreate(create) if *id == JobId::create_inventory(&create.inventory) => {
            Some(Code::InventoryExists)
        }
        Operation::CaseOpen(open) if *id == JobId::open_case(&open.case) => Some(Code::CaseExists),
        Operation::InventoryLoad(load) if *id == JobId::load_inventory(&load.inventory) => {
            Some(Code::AlreadyLoaded)
        }
        _ => None,
    }
}

/// The field in which a resource that was made under another id differs; at least that id.
async fn difference_to_what_exists(
    tollgate: &Tollgate,
    link: &mut Link,
    partition: Partition,
    request: &Operation,
) -> Result<Option<&'static str>, Failure> {
    let keys = tollgate.keys(partition);
    let made_under_another = Some("id");
    Ok(match (request, request.resource()) {
        (Operation::CampaignCreate(create), Resource::Campaign(id)) => {
            match resources::read::<CampaignState>(link, keys, std::slice::from_ref(id)).await?.pop() {
                Some(Held::State(state)) => {
                    let there = CampaignCreate {
                        campaign: id.clone(),
                        limit: state.limit,
                        per_customer: state.per_customer,
                        opens_at: state.opens_at,
                        closes_at: state.closes_at,
                        codes: state.codes,
                    };
                    first_difference(create, &there).or(made_under_another)
                }
                _ => None,
            }
        }
        (Operation::AccountOpen(open), Resource::Account(id)) => {
            match resources::read::<AccountState>(link, keys, std::slice::from_ref(id)).await?.pop() {
                Some(Held::State(state)) if state.currency != open.currency => Some("currency"),
                Some(Held::State(_)) => made_under_another,
                _ => None,
            }
        }
        (Operation::InventoryCreate(create), Resource::Inventory(id)) => {
            match resources::read::<InventoryState>(link, keys, std::slice::from_ref(id)).await?.pop() {
                Some(Held::State(state)) => {
                    let InventoryState { per_customer, opens_at, closes_at, codes, codes_count, .. } = state;
                    let inventory = id.clone();
                    let there =
                        InventoryCreate { inventory, per_customer, opens_at, closes_at, codes, codes_count };
                    first_difference(create, &there).or(made_under_another)
                }
                _ => None,
            }
        }
        (Operation::CaseOpen(open), Resource::Case(id)) => {
            match resources::read::<CaseState>(link, keys, std::slice::from_ref(id)).await?.pop() {
                Some(Held::State(state)) => {
                    let there = CaseOpen { case: id.clone(), options: state.options };
                    first_difference(open, &there).or(made_under_another)
                }
                _ => None,
            }
        }
        _ => None,
    })
}
