//! The names of what the journal must know: the index of resources, the open payouts, and the names of keys.
//!
//! What the replay did not know when it was read is judged again once the replay has gone on.

use redis::{Pipeline, Value};

use tollgate::failure::Failure;
use tollgate::ids::{AccountId, CampaignId, CaseId, InventoryId, JobId};
use tollgate::keys::Keys;
use tollgate::link::Link;

use super::context::AuditContext;
use super::model::{ACCOUNT_FIELDS, Hold, Model};
use super::read::{ask_fields, fields_or_words, judge, number, pairs, scanned};
use super::report::Check;

/// Names in the index, and open payouts in `payouts`, that the journal does not have so far.
pub(super) async fn unknown(context: &mut AuditContext<'_>, model: &Model) -> Result<UnknownKeys, Failure> {
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
    } else if let Some(id) = name.strip_prefix("case:") {
        CaseId::parse(id).is_ok_and(|id| model.cases.contains_key(&id))
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

/// Which of the names (`campaign:<id>`, `account:<id>`, `inventory:<id>`, `case:<id>`, `hold:<id>`) the journal explains
/// neither by a line of the replay nor, their seq lying between the replay and the head as it is now, by a later one. One round trip, however many: beside
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
        let (key, field) = key_of(keys, name).map_or_else(|| (keys.head(), ""), |key| (key, "seq"));
        ask_fields(&mut pipeline, &key, name.starts_with("account:"), &[field]);
        pipeline.cmd("EXISTS").arg(key);
    }
    ask_fields(&mut pipeline, &keys.head(), false, &["seq"]);
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
        ("case", id) => Some(keys.case(&CaseId::parse(id).ok()?)),
        ("hold", id) => Some(keys.hold(&JobId::stored(id).ok()?)),
        _ => None,
    }
}
