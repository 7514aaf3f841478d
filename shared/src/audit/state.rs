//! Campaigns and accounts as Redis holds them, against the model; and the index of their names.
//!
//! A resource is read in one HMGET with the seq of its last change. If that is not after the replay, it is compared
//! at once. If it is, what was read is kept as a *claim*, and compared when the replay arrives at that seq: at that
//! line the model is exactly what was read. So nothing that is in motion has to be read again, and nothing remains
//! undecided: a claim that no line resolves is damage.

use std::collections::HashMap;

use redis::{Pipeline, Value};

use crate::failure::Failure;
use crate::ids::{AccountId, CampaignId};
use crate::job::Resource;
use crate::journal::{self, Line};
use crate::keys::Keys;

use super::Room;
use super::model::{ACCOUNT_FIELDS, CAMPAIGN_FIELDS, Model};
use super::read::{Field, fields, judge, number, pairs, scanned, shown};
use super::replay::Replay;
use super::report::{Check, Findings};

/// Resources of one pipeline.
const CHUNK: usize = 500;

/// What was read of resources that are newer than the replay, by their name (`campaign:<id>`, `account:<id>`).
#[derive(Default)]
pub(super) struct Claims {
    values: HashMap<String, (u64, Vec<Field>)>,
    /// Of campaigns: the sum over the holders at that seq.
    holders: HashMap<String, (u64, u128)>,
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

fn expected(model: &Model, resource: Resource<'_>) -> Option<Expected> {
    Some(match resource {
        Resource::Campaign(id) => {
            let campaign = model.campaigns.get(id)?;
            let (seq, is_unknown) = (campaign.seq, campaign.unknown);
            Expected { seq, names: &CAMPAIGN_FIELDS, values: campaign.fields().to_vec(), is_unknown }
        }
        Resource::Account(id) => {
            let account = model.accounts.get(id)?;
            let (seq, is_unknown) = (account.seq, account.unknown);
            Expected { seq, names: &ACCOUNT_FIELDS, values: account.fields().to_vec(), is_unknown }
        }
    })
}

impl Claims {
    /// Compares what was claimed for this line's seq, now that the model has taken the line over.
    pub(super) fn resolve(&mut self, findings: &mut Findings, model: &Model, line: &Line) {
        if self.values.is_empty() && self.holders.is_empty() {
            return;
        }
        let resource = line.request.resource();
        let name = resource.to_string();
        if self.values.get(&name).is_some_and(|(seq, _)| *seq == line.seq)
            && let Some((_, found)) = self.values.remove(&name)
        {
            match expected(model, resource) {
                Some(expected) if expected.seq == line.seq => compare(findings, &name, &expected, &found),
                // The line changed nothing.
                _ => unfounded(findings, name.clone(), line.seq),
            }
        }
        if let Resource::Campaign(id) = resource
            && self.holders.get(&name).is_some_and(|(seq, _)| *seq == line.seq)
            && let Some((_, sum)) = self.holders.remove(&name)
        {
            self.compare_holders(model, id, sum);
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
    pub(super) fn unresolved(&mut self, findings: &mut Findings) {
        for (name, (seq, _)) in self.values.drain() {
            unfounded(findings, name, seq);
        }
        // A seq that no line has is told by the values.
        self.holders.clear();
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
    for ((field, expected_value), found) in expected.names.iter().zip(&expected.values).zip(found) {
        if found.as_deref() != Some(expected_value.as_bytes()) {
            let what = format!("{field} is not what the journal says");
            let (positions, shown) = ([expected.seq], shown(found));
            findings.violation(check_of(field), name, &positions, format!("{expected_value:?}"), shown, what);
        }
    }
}

fn check_of(field: &str) -> Check {
    match field {
        "limit" | "issued" | "per_customer" => Check::G1,
        "available" | "held" => Check::G2,
        _ => Check::G9,
    }
}

/// Reads every resource that the model has, and compares what is not newer than the replay.
pub(super) async fn read_all(room: &mut Room<'_>, model: &Model) -> Result<Claims, Failure> {
    let mut claims = Claims::default();
    let resources =
        model.campaigns.keys().map(Resource::Campaign).chain(model.accounts.keys().map(Resource::Account));
    let mut chunk: Vec<Resource<'_>> = Vec::with_capacity(CHUNK);
    let mut index_damage = None;
    for resource in resources {
        chunk.push(resource);
        if chunk.len() == CHUNK {
            read_chunk(room, model, &chunk, &mut claims, &mut index_damage).await?;
            chunk.clear();
        }
    }
    if !chunk.is_empty() {
        read_chunk(room, model, &chunk, &mut claims, &mut index_damage).await?;
    }
    if let Some(found) = index_damage {
        room.findings.violation(Check::G9, "index", &[], "a sorted set", found, "the index cannot be read");
    }
    Ok(claims)
}

async fn read_chunk(
    room: &mut Room<'_>,
    model: &Model,
    chunk: &[Resource<'_>],
    claims: &mut Claims,
    index_damage: &mut Option<String>,
) -> Result<(), Failure> {
    let mut pipeline = Pipeline::with_capacity(chunk.len() + 1);
    for resource in chunk {
        let names: &[&str] = match resource {
            Resource::Campaign(_) => &CAMPAIGN_FIELDS,
            Resource::Account(_) => &ACCOUNT_FIELDS,
        };
        pipeline.cmd("HMGET").arg(room.keys.resource(*resource)).arg(names);
    }
    pipeline.cmd("ZMSCORE").arg(room.keys.resources());
    chunk.iter().for_each(|resource| _ = pipeline.arg(resource.to_string()));
    let mut replies = room.link.run_pipeline(&pipeline).await?.into_iter();
    for (resource, reply) in chunk.iter().zip(replies.by_ref()) {
        let Some(expected) = expected(model, *resource) else { continue };
        let name = resource.to_string();
        match judge(reply)? {
            Ok(value) => {
                let found = fields(value);
                match found.last().and_then(number) {
                    Some(seq) if seq > expected.seq => _ = claims.values.insert(name, (seq, found)),
                    _ => compare(room.findings, &name, &expected, &found),
                }
            }
            Err(found) => {
                let check = check_of(expected.names.first().copied().unwrap_or_default());
                let what = "its key cannot be read";
                room.findings.violation(check, name, &[expected.seq], "a hash", found, what);
            }
        }
    }
    let index = judge(replies.next().ok_or_else(|| Failure::unknown("a reply is missing"))?)?;
    match index {
        Ok(Value::Array(scores)) => {
            for (resource, score) in chunk.iter().zip(scores) {
                if score == Value::Nil {
                    let seq = expected(model, *resource).map_or(0, |expected| expected.seq);
                    let what = "the journal says that it exists, but it is not in the index";
                    let found = "no member of resources";
                    room.findings.violation(
                        Check::G9,
                        resource.to_string(),
                        &[seq],
                        "a member of resources",
                        found,
                        what,
                    );
                }
            }
        }
        Ok(_) => {}
        Err(what) => *index_damage = Some(what),
    }
    Ok(())
}

/// Names in the index that the journal does not have so far.
pub(super) async fn index_strays(room: &mut Room<'_>, model: &Model) -> Result<Vec<String>, Failure> {
    let mut strays = Vec::new();
    let mut cursor = b"0".to_vec();
    loop {
        let mut command = redis::cmd("ZSCAN");
        command.arg(room.keys.resources()).arg(&cursor).arg("COUNT").arg(1000);
        // Of another type: told when it was asked for each resource, or there is none.
        let Ok(value) = judge(room.link.run(&command).await)? else { return Ok(strays) };
        let (next, items) = scanned(value);
        for (member, _) in pairs(items) {
            let name = String::from_utf8_lossy(&member).into_owned();
            if !is_known(model, &name) {
                strays.push(name);
            }
        }
        if next == b"0" {
            strays.sort_unstable();
            strays.dedup();
            return Ok(strays);
        }
        cursor = next;
    }
}

/// Whether the journal has a resource of this name (`campaign:<id>` or `account:<id>`).
pub(super) fn is_known(model: &Model, name: &str) -> bool {
    if let Some(id) = name.strip_prefix("campaign:") {
        CampaignId::parse(id).is_ok_and(|id| model.campaigns.contains_key(&id))
    } else if let Some(id) = name.strip_prefix("account:") {
        AccountId::parse(id).is_ok_and(|id| model.accounts.contains_key(&id))
    } else {
        false
    }
}

/// Tells the index members that are in no line, now that the replay has gone on.
pub(super) async fn judge_strays(
    room: &mut Room<'_>,
    replay: &Replay,
    strays: Vec<String>,
) -> Result<(), Failure> {
    for name in strays {
        if is_known(&replay.model, &name) || is_newer(room.link, room.keys, replay, &name).await? {
            continue;
        }
        let what = "a name in the index that the journal does not know";
        room.findings.violation(Check::G9, name, &[], "nothing", "a member of resources", what);
    }
    Ok(())
}

/// Whether a resource that the replay does not know was made after it: then a later line says so.
pub(super) async fn is_newer(
    link: &mut crate::link::Link,
    keys: &Keys,
    replay: &Replay,
    name: &str,
) -> Result<bool, Failure> {
    let key = if let Some(id) = name.strip_prefix("campaign:") {
        CampaignId::parse(id).ok().map(|id| keys.campaign(&id))
    } else {
        name.strip_prefix("account:").and_then(|id| AccountId::parse(id).ok()).map(|id| keys.account(&id))
    };
    let Some(key) = key else { return Ok(false) };
    let mut command = redis::cmd("HGET");
    command.arg(key).arg("seq");
    let Ok(value) = judge(link.run(&command).await)? else { return Ok(false) };
    let Some(seq) = number(&super::read::field(value)).filter(|seq| *seq > replay.seq) else {
        return Ok(false);
    };
    let line = journal::line_at(link, keys, seq).await?;
    Ok(matches!(line, Ok(Some(line)) if line.request.resource().to_string() == name))
}
