//! Campaigns, accounts, inventories and open payouts as Redis holds them, against the model; and the index of the names.
//!
//! A resource is read by one command (HMGET, an account by GET) with the seq of its last change. If that is not after the
//! replay, it is compared at once. If it is, what was read is kept as a *claim*, and compared when the replay arrives at that seq: at that
//! line the model is exactly what was read. So nothing that is in motion has to be read again, and nothing remains
//! undecided: a claim that no line resolves is damage.

use std::collections::HashMap;

use redis::{Pipeline, Value};

use tollgate::amount::money;
use tollgate::failure::Failure;
use tollgate::ids::{AccountId, CampaignId, InventoryId, JobId};
use tollgate::journal::Line;
use tollgate::keys::Keys;
use tollgate::kinds::Fields;
use tollgate::link::Link;
use tollgate::resource::Resource;

use super::context::AuditContext;
use super::inventory::INVENTORY_FIELDS;
use super::model::{ACCOUNT_FIELDS, CAMPAIGN_FIELDS, HOLD_FIELDS, Hold, Model};
use super::read::{Field, fields_or_words, judge, number, pairs, scanned, shown};
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
    is_unknown: bool,
}

/// What has a key of its own; shown as `campaign:<id>`, `account:<id>`, `inventory:<id>` or `hold:<id>`.
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
            Self::Hold(_) => &HOLD_FIELDS,
            Self::Resource(Resource::Account(_)) => {
                pipeline.cmd("GET").arg(self.key(keys));
                return;
            }
        };
        pipeline.cmd("HMGET").arg(self.key(keys)).arg(names);
    }

    fn expected(self, model: &Model) -> Option<Expected> {
        Some(match self {
            Self::Resource(Resource::Campaign(id)) => {
                let campaign = model.campaigns.get(id)?;
                let (seq, is_unknown) = (campaign.seq, campaign.unknown);
                Expected { seq, names: &CAMPAIGN_FIELDS, values: campaign.fields().to_vec(), is_unknown }
            }
            Self::Resource(Resource::Account(id)) => {
                let account = model.accounts.get(id)?;
                let (seq, is_unknown) = (account.seq, account.unknown);
                Expected { seq, names: &ACCOUNT_FIELDS, values: account.fields().to_vec(), is_unknown }
            }
            Self::Resource(Resource::Inventory(id)) => {
                let inventory = model.inventories.get(id)?;
                let (seq, is_unknown) = (inventory.seq, inventory.unknown || !inventory.is_readable());
                Expected { seq, names: &INVENTORY_FIELDS, values: inventory.fields().to_vec(), is_unknown }
            }
            Self::Hold(id) => {
                let hold = model.holds.get(id)?;
                let (seq, values) = (hold.seq, hold.fields().to_vec());
                Expected { seq, names: &HOLD_FIELDS, values, is_unknown: false }
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
    if expected.is_unknown {
        let what = "the journal does not have the line that made it";
        return findings.violation(Check::G9, name, &[expected.seq], "its creation", "nothing", what);
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
        "limit" | "issued" | "per_customer" | "reversed" | "reserved" | "sold" => Check::G1,
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

/// Names in the index, and open payouts in `payouts`, that the journal does not have so far.
pub(super) async fn index_unknown(
    context: &mut AuditContext<'_>,
    model: &Model,
) -> Result<UnknownKeys, Failure> {
    let (resources, payouts) = (context.keys.resources(), context.keys.payouts());
    let names = scan(context, &resources, "index", |member| !is_known(model, member)).await?;
    let payouts = scan(context, &payouts, "payouts", |member| open_payout(model, member).is_none()).await?;
    Ok(UnknownKeys { names, payouts })
}

/// Members of the two indexes that the replay did not know when they were read.
pub(super) struct UnknownKeys {
    names: Vec<String>,
    payouts: Vec<String>,
}

/// The members of a sorted set that are strange, each once.
pub(super) async fn scan(
    context: &mut AuditContext<'_>,
    key: &str,
    name: &str,
    is_strange: impl Fn(&str) -> bool,
) -> Result<Vec<String>, Failure> {
    let mut unknown = Vec::new();
    let mut cursor = b"0".to_vec();
    loop {
        let mut command = redis::cmd("ZSCAN");
        command.arg(key).arg(&cursor).arg("COUNT").arg(1000);
        let value = match judge(context.link.run(&command).await)? {
            Ok(value) => value,
            Err(found) => {
                let what = "it cannot be read";
                context.findings.violation(Check::G9, name, &[], "a sorted set", found, what);
                return Ok(unknown);
            }
        };
        let (next, items) = scanned(value);
        for (member, _) in pairs(items) {
            let member = String::from_utf8_lossy(&member).into_owned();
            if is_strange(&member) {
                unknown.push(member);
            }
        }
        if next == b"0" {
            unknown.sort_unstable();
            unknown.dedup();
            return Ok(unknown);
        }
        cursor = next;
    }
}

/// The open payout that a member of `payouts` names, `<account> TAB <id>`.
fn open_payout<'a>(model: &'a Model, member: &str) -> Option<&'a Hold> {
    let (account, id) = member.split_once('\t')?;
    let hold = JobId::stored(id).ok().and_then(|id| model.holds.get(&id));
    hold.filter(|hold| hold.account.as_str() == account)
}

/// Whether the journal has a resource or an open payout of this name.
fn is_known(model: &Model, name: &str) -> bool {
    if let Some(id) = name.strip_prefix("campaign:") {
        CampaignId::parse(id).is_ok_and(|id| model.campaigns.contains_key(&id))
    } else if let Some(id) = name.strip_prefix("account:") {
        AccountId::parse(id).is_ok_and(|id| model.accounts.contains_key(&id))
    } else if let Some(id) = name.strip_prefix("inventory:") {
        InventoryId::parse(id).is_ok_and(|id| model.inventories.contains_key(&id))
    } else if let Some(id) = name.strip_prefix("hold:") {
        JobId::stored(id).is_ok_and(|id| model.holds.contains_key(&id))
    } else {
        false
    }
}

/// Tells the members that no line explains, now that the replay has gone on.
pub(super) async fn judge_unknown(
    context: &mut AuditContext<'_>,
    model: &Model,
    replayed: u64,
    unknown: UnknownKeys,
) -> Result<(), Failure> {
    for name in unexplained(context.link, context.keys, (model, replayed), unknown.names).await? {
        let what = "a name in the index that the journal does not know";
        context.findings.violation(Check::G9, name, &[], "nothing", "a member of resources", what);
    }
    for member in unknown.payouts {
        // It was there before the replay went on: if it is there still, it was open all the time.
        let mut command = redis::cmd("ZSCORE");
        command.arg(context.keys.payouts()).arg(&member);
        let is_there = judge(context.link.run(&command).await)?.is_ok_and(|score| score != Value::Nil);
        if is_there && open_payout(model, &member).is_none() {
            let what = "a payout that the journal does not know as open";
            let name = format!("hold:{}", member.split_once('\t').map_or(member.as_str(), |(_, id)| id));
            context.findings.violation(Check::G14, name, &[], "nothing", "a member of payouts", what);
        }
    }
    Ok(())
}

/// Which of the names (`campaign:<id>`, `account:<id>`, `inventory:<id>`, `hold:<id>`) the journal explains neither by a line of the replay nor, their
/// seq lying between the replay and the head as it is now, by a later one. One round trip, however many: beside
/// workers that create resources, this must be faster than they are.
pub(super) async fn unexplained(
    link: &mut Link,
    keys: &Keys,
    (model, replayed): (&Model, u64),
    names: Vec<String>,
) -> Result<Vec<String>, Failure> {
    let mut unknown: Vec<String> = names.into_iter().filter(|name| !is_known(model, name)).collect();
    if unknown.is_empty() {
        return Ok(unknown);
    }
    let mut pipeline = Pipeline::with_capacity(unknown.len() + 1);
    for name in &unknown {
        // Another name has no key of ours: that of the head stands for it, with a field it does not have.
        let key = key_of(keys, name);
        match &key {
            Some(key) if name.starts_with("account:") => pipeline.cmd("GET").arg(key),
            Some(key) => pipeline.cmd("HMGET").arg(key).arg("seq"),
            None => pipeline.cmd("HMGET").arg(keys.head()).arg(""),
        };
        pipeline.cmd("EXISTS").arg(key.unwrap_or_else(|| keys.head()));
    }
    pipeline.cmd("HMGET").arg(keys.head()).arg("seq");
    let mut numbers = Vec::with_capacity(pipeline.len());
    for reply in link.run_pipeline(&pipeline).await? {
        // Of whatever is read the seq is the last field.
        let value = judge(reply)?.ok();
        numbers.push(
            value.and_then(|value| fields_or_words(value, ACCOUNT_FIELDS.len()).last().and_then(number)),
        );
    }
    let head = numbers.pop().flatten().unwrap_or_default();
    let mut found = numbers.chunks(2);
    unknown.retain(|name| {
        let (seq, exists) = found.next().map_or((None, None), |found| (found[0], found[1]));
        let is_newer = seq.is_some_and(|seq| seq > replayed && seq <= head);
        // Only holds go away again.
        let has_ended = exists == Some(0) && name.starts_with("hold:");
        !is_newer && !has_ended
    });
    Ok(unknown)
}

fn key_of(keys: &Keys, name: &str) -> Option<String> {
    match name.split_once(':')? {
        ("campaign", id) => Some(keys.campaign(&CampaignId::parse(id).ok()?)),
        ("account", id) => Some(keys.account(&AccountId::parse(id).ok()?)),
        ("inventory", id) => Some(keys.inventory(&InventoryId::parse(id).ok()?)),
        ("hold", id) => Some(keys.hold(&JobId::stored(id).ok()?)),
        _ => None,
    }
}
