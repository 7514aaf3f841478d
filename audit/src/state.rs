//! Campaigns, accounts, inventories, cases and open payouts as Redis holds them, against the model.
//!
//! A resource is read by one command (HMGET, an account by GET) with the seq of its last change. If that is not after the
//! replay, it is compared at once. If it is, what was read is kept as a *claim*, and compared when the replay arrives at
//! that seq: at that line the model is exactly what was read. So nothing that is in motion has to be read again, and
//! nothing remains undecided: a claim that no line resolves is damage.

use std::collections::HashMap;

use redis::{Pipeline, Value};

use tollgate::amount::money;
use tollgate::failure::Failure;
use tollgate::ids::{CampaignId, InventoryId, JobId};
use tollgate::journal::Line;
use tollgate::keys::Keys;
use tollgate::kinds::Fields;
use tollgate::resource::Resource;

use super::case::CASE_FIELDS;
use super::context::AuditContext;
use super::inventory::INVENTORY_FIELDS;
use super::model::{ACCOUNT_FIELDS, CAMPAIGN_FIELDS, HOLD_FIELDS, Model};
use super::read::{Field, ask_fields, fields_or_words, judge, number, shown};
use super::report::{Check, Findings};
use super::sums::{self, Sums};

/// Resources of one pipeline.
const CHUNK: usize = 500;

/// What was read of resources that are newer than the replay, by their name (see [`AuditedKey`]).
#[derive(Default)]
pub(super) struct Observed {
    values: HashMap<String, (u64, Vec<Field>)>,
    /// Holds that were not there, or not in `payouts`: they have ended since the replay, or are damage.
    gone: Vec<(JobId, &'static str)>,
    /// Of campaigns: the sum over the holders at that seq.
    holders: HashMap<String, (u64, u128)>,
    /// Of inventories: the sums over their keys at that seq.
    sales: HashMap<InventoryId, (u64, Sums)>,
    /// Campaigns whose holders differ from the model in sum.
    pub(super) differing: Vec<CampaignId>,
}

/// What the journal says of one resource.
struct Expected {
    seq: u64,
    names: &'static [&'static str],
    values: Vec<String>,
    /// What would have to be known to compare anything, if it is not.
    lacks: Option<Lacks>,
}

/// Without what nothing can be said of a resource.
#[derive(Clone, Copy)]
enum Lacks {
    /// The line that made it.
    Creation,
    /// The list that an inventory was loaded with, which the replay could not read.
    Items,
}

impl Lacks {
    fn creation(is_unknown: bool) -> Option<Self> {
        is_unknown.then_some(Self::Creation)
    }
}

/// What has a key of its own; shown as `campaign:<id>`, `account:<id>`, `inventory:<id>`, `case:<id>` or `hold:<id>`.
#[derive(Clone, Copy)]
enum AuditedKey<'a> {
    Resource(Resource<'a>),
    Hold(&'a JobId),
}

impl std::fmt::Display for AuditedKey<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Resource(resource) => write!(f, "{resource}"),
            Self::Hold(id) => write!(f, "hold:{id}"),
        }
    }
}

impl AuditedKey<'_> {
    fn key(self, keys: &Keys) -> String {
        match self {
            Self::Resource(resource) => keys.resource(resource),
            Self::Hold(id) => keys.hold(id),
        }
    }

    /// What its key is.
    fn form(self) -> &'static str {
        match self {
            Self::Resource(Resource::Account(_)) => "a string",
            _ => "a hash",
        }
    }

    /// Asks for what is under its key.
    fn ask(self, pipeline: &mut Pipeline, keys: &Keys) {
        let names: &[&str] = match self {
            Self::Resource(Resource::Campaign(_)) => &CAMPAIGN_FIELDS,
            Self::Resource(Resource::Inventory(_)) => &INVENTORY_FIELDS,
            Self::Resource(Resource::Account(_)) => &ACCOUNT_FIELDS,
            Self::Resource(Resource::Case(_)) => &CASE_FIELDS,
            Self::Hold(_) => &HOLD_FIELDS,
        };
        let is_text = matches!(self, Self::Resource(Resource::Account(_)));
        ask_fields(pipeline, &self.key(keys), is_text, names);
    }

    fn expected(self, model: &Model) -> Option<Expected> {
        Some(match self {
            Self::Resource(Resource::Campaign(id)) => {
                let campaign = model.campaigns.get(id)?;
                let (seq, lacks) = (campaign.seq, Lacks::creation(campaign.unknown));
                Expected { seq, names: &CAMPAIGN_FIELDS, values: campaign.fields().to_vec(), lacks }
            }
            Self::Resource(Resource::Account(id)) => {
                let account = model.accounts.get(id)?;
                let (seq, lacks) = (account.seq, Lacks::creation(account.unknown));
                Expected { seq, names: &ACCOUNT_FIELDS, values: account.fields().to_vec(), lacks }
            }
            Self::Resource(Resource::Inventory(id)) => {
                let inventory = model.inventories.get(id)?;
                let of_items = (!inventory.is_readable()).then_some(Lacks::Items);
                let (seq, lacks) = (inventory.seq, Lacks::creation(inventory.unknown).or(of_items));
                Expected { seq, names: &INVENTORY_FIELDS, values: inventory.fields().to_vec(), lacks }
            }
            Self::Resource(Resource::Case(id)) => {
                let case = model.cases.get(id)?;
                let (seq, lacks) = (case.seq, Lacks::creation(case.unknown));
                Expected { seq, names: &CASE_FIELDS, values: case.fields().to_vec(), lacks }
            }
            Self::Hold(id) => {
                let hold = model.holds.get(id)?;
                let (seq, values) = (hold.seq, hold.fields().to_vec());
                Expected { seq, names: &HOLD_FIELDS, values, lacks: None }
            }
        })
    }
}

impl Observed {
    /// Compares what was claimed for this line's seq, now that the model has taken the line over.
    pub(super) fn resolve(&mut self, findings: &mut Findings, model: &Model, line: &Line) {
        if self.values.is_empty() && self.holders.is_empty() && self.sales.is_empty() {
            return;
        }
        let resource = line.event.resource();
        for resource in [Some(resource), line.event.other_resource()].into_iter().flatten() {
            self.resolve_one(findings, model, line.seq, AuditedKey::Resource(resource));
        }
        if line.event.is_of_payout() {
            self.resolve_one(findings, model, line.seq, AuditedKey::Hold(&line.id));
        }
        if let Resource::Inventory(id) = resource
            && self.sales.get(id).is_some_and(|(seq, _)| *seq == line.seq)
            && let Some((_, sums)) = self.sales.remove(id)
        {
            sums::compare(findings, model, id, sums);
        }
        if let Resource::Campaign(id) = resource {
            let name = resource.to_string();
            if self.holders.get(&name).is_some_and(|(seq, _)| *seq == line.seq)
                && let Some((_, sum)) = self.holders.remove(&name)
            {
                self.compare_holders(model, id, sum);
            }
        }
    }

    /// Takes what was read of an inventory's keys at `seq`.
    pub(super) fn sales(
        &mut self,
        findings: &mut Findings,
        model: &Model,
        id: &InventoryId,
        seq: Option<u64>,
        sums: Sums,
    ) {
        match (seq, model.inventories.get(id)) {
            (Some(seq), Some(inventory)) if seq > inventory.seq => {
                self.sales.insert(id.clone(), (seq, sums));
            }
            _ => sums::compare(findings, model, id, sums),
        }
    }

    fn resolve_one(&mut self, findings: &mut Findings, model: &Model, seq: u64, subject: AuditedKey<'_>) {
        let name = subject.to_string();
        if self.values.get(&name).is_some_and(|(claimed, _)| *claimed == seq)
            && let Some((_, found)) = self.values.remove(&name)
        {
            match subject.expected(model) {
                Some(expected) if expected.seq == seq => compare(findings, &name, &expected, &found),
                // The line changed nothing, or ended it.
                _ => unfounded(findings, name, seq),
            }
        }
    }

    /// Takes what was read of a campaign's holders at `seq`.
    pub(super) fn holders(&mut self, model: &Model, id: &CampaignId, seq: Option<u64>, sum: u128) {
        match (seq, model.campaigns.get(id)) {
            (Some(seq), Some(campaign)) if seq > campaign.seq => {
                self.holders.insert(Resource::Campaign(id).to_string(), (seq, sum));
            }
            _ => self.compare_holders(model, id, sum),
        }
    }

    fn compare_holders(&mut self, model: &Model, id: &CampaignId, sum: u128) {
        if model.campaigns.get(id).is_some_and(|campaign| !campaign.unknown && campaign.holders != sum) {
            self.differing.push(id.clone());
        }
    }

    /// Tells what no line has resolved, the replay having passed every seq that was read.
    pub(super) fn unresolved(&mut self, findings: &mut Findings, model: &Model) {
        for (id, what) in self.gone.drain(..) {
            if let Some(hold) = model.holds.get(&id) {
                let expected = format!("an open payout, {}", hold.state);
                findings.violation(Check::G14, format!("hold:{id}"), &[hold.seq], expected, "nothing", what);
            }
        }
        for (name, (seq, _)) in self.values.drain() {
            unfounded(findings, name, seq);
        }
        // A seq that no line has is told by the values.
        self.holders.clear();
        self.sales.clear();
    }
}

fn unfounded(findings: &mut Findings, name: String, seq: u64) {
    let what = "its seq names no line that changed it";
    findings.violation(Check::G9, name, &[seq], "the seq of its last change", seq, what);
}

fn compare(findings: &mut Findings, name: &str, expected: &Expected, found: &[Field]) {
    if let Some(lacks) = expected.lacks {
        let (lacking, what) = match lacks {
            Lacks::Creation => ("its creation", "the journal does not have the line that made it"),
            Lacks::Items => {
                ("its list", "its sums are not compared, since the list of its items cannot be read")
            }
        };
        return findings.violation(Check::G9, name, &[expected.seq], lacking, "nothing", what);
    }
    if found.iter().all(Option::is_none) {
        let what = "the journal says that it exists, but its key is gone";
        let (positions, value) = ([expected.seq], expected.values.first().cloned().unwrap_or_default());
        let first = expected.names.first().copied().unwrap_or_default();
        return findings.violation(
            check_of(first),
            name,
            &positions,
            format!("{first} {value}"),
            "nothing",
            what,
        );
    }
    let currency = expected.names.iter().position(|name| *name == "currency");
    let currency = currency.and_then(|at| expected.values.get(at)).map_or("", String::as_str);
    for ((name_of_field, expected_value), found) in expected.names.iter().zip(&expected.values).zip(found) {
        if found.as_deref() != Some(expected_value.as_bytes()) {
            let what = format!("{name_of_field} is not what the journal says");
            let positions = [expected.seq];
            let in_words = |value: Option<u64>| match value {
                Some(value) if matches!(*name_of_field, "available" | "held" | "amount") => {
                    format!(" ({})", money(u128::from(value), currency))
                }
                _ => String::new(),
            };
            let expected_words = in_words(expected_value.parse().ok());
            let shown = format!("{}{}", shown(found), in_words(number(found)));
            findings.violation(
                check_of(name_of_field),
                name,
                &positions,
                format!("{expected_value:?}{expected_words}"),
                shown,
                what,
            );
        }
    }
}

fn check_of(field: &str) -> Check {
    match field {
        "limit" | "issued" | "per_customer" | "reversed" | "reserved" | "sold" | "decision" | "by" => {
            Check::G1
        }
        "available" | "held" => Check::G2,
        // Of a hold.
        "account" | "amount" | "destination" | "fingerprint" | "state" | "attempts" | "refused" | "fence" => {
            Check::G14
        }
        _ => Check::G9,
    }
}

/// Reads everything that the model has, and compares what is not newer than the replay.
pub(super) async fn read_all(context: &mut AuditContext<'_>, model: &Model) -> Result<Observed, Failure> {
    let mut observed = Observed::default();
    let campaigns = model.campaigns.keys().map(Resource::Campaign);
    let resources = campaigns
        .chain(model.accounts.keys().map(Resource::Account))
        .chain(model.inventories.keys().map(Resource::Inventory))
        .chain(model.cases.keys().map(Resource::Case))
        .map(AuditedKey::Resource);
    let mut subjects = resources.chain(model.holds.keys().map(AuditedKey::Hold)).peekable();
    while subjects.peek().is_some() {
        let chunk: Vec<AuditedKey<'_>> = subjects.by_ref().take(CHUNK).collect();
        read_chunk(context, model, &chunk, &mut observed).await?;
    }
    Ok(observed)
}

async fn read_chunk(
    context: &mut AuditContext<'_>,
    model: &Model,
    chunk: &[AuditedKey<'_>],
    observed: &mut Observed,
) -> Result<(), Failure> {
    let mut pipeline = Pipeline::with_capacity(2 * chunk.len());
    for subject in chunk {
        subject.ask(&mut pipeline, context.keys);
        match subject {
            AuditedKey::Resource(resource) => {
                pipeline.cmd("ZSCORE").arg(context.keys.resources()).arg(resource.to_string());
            }
            AuditedKey::Hold(id) => {
                let account = model.holds.get(id).map(|hold| hold.account.as_str()).unwrap_or_default();
                pipeline.cmd("ZSCORE").arg(context.keys.payouts()).arg(format!("{account}\t{id}"));
            }
        }
    }
    let mut replies = context.link.run_pipeline(&pipeline).await?.into_iter();
    for subject in chunk {
        let (Some(values), Some(index)) = (replies.next(), replies.next()) else {
            return Err(Failure::unknown("a reply is missing"));
        };
        let Some(expected) = subject.expected(model) else { continue };
        let (name, positions) = (subject.to_string(), [expected.seq]);
        // Of another type, an index holds nothing; that it cannot be read is told by `index_unknown`.
        let is_indexed = judge(index)?.is_ok_and(|score| score != Value::Nil);
        match (judge(values)?, subject) {
            (Ok(value), _) => {
                let found = fields_or_words(value, expected.names.len());
                match (found.last().and_then(number), subject) {
                    (Some(seq), _) if seq > expected.seq => {
                        _ = observed.values.insert(name.clone(), (seq, found))
                    }
                    (None, AuditedKey::Hold(id)) if found.iter().all(Option::is_none) => {
                        observed.gone.push(((*id).clone(), "the payout is open, but its hold is gone"));
                    }
                    _ => compare(context.findings, &name, &expected, &found),
                }
            }
            (Err(found), _) => {
                let check = check_of(expected.names.first().copied().unwrap_or_default());
                let what = "its key cannot be read";
                context.findings.violation(check, name.as_str(), &positions, subject.form(), found, what);
            }
        }
        match subject {
            _ if is_indexed => {}
            AuditedKey::Hold(id) => {
                observed.gone.push((
                    (*id).clone(),
                    "the payout is open, but not in payouts: nobody would go on with it",
                ));
            }
            AuditedKey::Resource(_) => {
                let (expected, found) = ("a member of resources", "no member of resources");
                let what = "the journal says that it exists, but it is not in the index";
                context.findings.violation(Check::G9, name, &positions, expected, found, what);
            }
        }
    }
    Ok(())
}
