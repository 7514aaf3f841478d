//! Repairs of what was changed past the scripts: each key is set to what the journal proves, by one step that checks
//! that the history is still the one that proves it, and notes who did it and why.
//!
//! Relies on the audit's model for what is right, and on the `repair` script for its being right still. Must not
//! guess: where the journal does not tell, nothing is written and the reason is the answer.

use std::collections::BTreeMap;

use crate::model::ACCOUNT_FIELDS;
use crate::proof::{Proof, RowFields};
use tollgate::Tollgate;
use tollgate::failure::Failure;
use tollgate::ids::{AccountId, CampaignId, CaseId, InventoryId, JobId};
use tollgate::keys::Keys;
use tollgate::link::Link;
use tollgate::partition::Partition;
use tollgate::scripts::ScriptError;
use tollgate::scripts::queue::Apply;
use tollgate::scripts::repair::{At, IDS_MAX, ParkedRepair, Write, Written, parked, write};

mod found;
mod inventory;
mod plan;

use found::{FIELDS, Found, parsed};
pub use plan::Change;
use plan::Plan;

/// How often a repair is tried while the history goes on.
const TRIES: usize = 50;
/// Writes of one call.
const WRITES_MAX: usize = 400;
/// For how long an attempt whose lease was lost may still be on its way: longer than any time-out of a gateway.
const LEASE_MS: u64 = 15 * 60 * 1000;
/// The fields of a hold that the journal does not have, in the order in which they are made up.
const UNPROVED_HOLD_FIELDS: [&str; 4] = ["begin_key", "lease_until_ms", "expires_at_ms", "reason"];

/// What is repaired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Noun {
    /// The key of one account, and its place in the index.
    Account(AccountId),
    /// The key of one campaign, and its place in the index.
    Campaign(CampaignId),
    /// The key of one case, and its place in the index.
    Case(CaseId),
    /// Who holds how much of one campaign.
    Holders(CampaignId),
    /// The keys of one inventory, its place in the index, and its open reservations.
    Inventory(InventoryId),
    /// The key of one open payout, and its place among them.
    Hold(JobId),
    /// The open payouts of the partition: their keys and the set of them.
    Payouts,
    /// The index of campaigns, accounts, inventories and cases of the partition.
    Resources,
}

impl Noun {
    /// What it is called in commands, notes and JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Account(_) => "account",
            Self::Campaign(_) => "campaign",
            Self::Case(_) => "case",
            Self::Holders(_) => "holders",
            Self::Inventory(_) => "inventory",
            Self::Hold(_) => "hold",
            Self::Payouts => "payouts",
            Self::Resources => "resources",
        }
    }

    fn id(&self) -> &str {
        match self {
            Self::Account(id) => id.as_str(),
            Self::Campaign(id) | Self::Holders(id) => id.as_str(),
            Self::Inventory(id) => id.as_str(),
            Self::Case(id) => id.as_str(),
            Self::Hold(id) => id.as_str(),
            Self::Payouts | Self::Resources => "",
        }
    }
}

/// Why nothing was repaired.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// Redis, or the partition as a whole.
    #[error(transparent)]
    Script(#[from] ScriptError),
    /// The journal does not tell what is right.
    #[error("not proved: {0}")]
    NotProved(String),
    /// The history went on each time.
    #[error("the partition decides all the time: pause its queues, then repair")]
    Busy,
}

impl From<Failure> for RepairError {
    fn from(failure: Failure) -> Self {
        Self::Script(failure.into())
    }
}

/// Repairs one thing of one partition, or says what would be changed. Answers the changes; none if nothing is wrong.
///
/// # Errors
/// [`RepairError`]; after an unknown failure the same call is safe.
///
/// # Cancel safety
/// As after an unknown failure. What is large may leave a key `repair` behind, which the next repair replaces.
pub async fn repair(
    tollgate: &Tollgate,
    link: &mut Link,
    partition: Partition,
    noun: &Noun,
    reason: &str,
    apply: Apply,
) -> Result<Vec<Change>, RepairError> {
    let keys = tollgate.keys(partition);
    let holders_of = match noun {
        Noun::Holders(id) => Some(id.clone()),
        _ => None,
    };
    let kept = match noun {
        Noun::Inventory(id) => Some(id.clone()),
        _ => None,
    };
    let mut proof = Proof::new(holders_of, kept);
    let (mut all, mut tries) = (Vec::new(), 0);
    loop {
        proof.go_on(link, keys).await?.map_err(RepairError::NotProved)?;
        let mut plan = Plan::new(keys);
        plan.make(link, &proof, noun).await?;
        if plan.changes.is_empty() || apply == Apply::DryRun {
            all.append(&mut plan.changes);
            return Ok(all);
        }
        if let Some(fields) = &plan.staged {
            stage(link, keys, fields).await?;
        }
        let note = note(noun.name(), noun.id(), reason);
        let at = At { seq: proof.seq, hash: &proof.hash };
        plan.writes.truncate(WRITES_MAX);
        match write(link, keys, at, tollgate.by(), &note, &plan.writes).await? {
            // There may be more than one call takes: what is left is found by the next round.
            Written::Repaired => {
                plan.changes.retain(|change| !all.contains(change));
                all.append(&mut plan.changes);
                tries = 0;
            }
            Written::Moved if tries == TRIES => return Err(RepairError::Busy),
            Written::Moved => tries += 1,
        }
    }
}

/// The text of a note: what, of which key, why.
pub fn note(noun: &str, id: &str, reason: &str) -> String {
    format!("{noun}\t{id}\t{reason}")
}

impl Plan<'_> {
    async fn make(&mut self, link: &mut Link, proof: &Proof, noun: &Noun) -> Result<(), RepairError> {
        match noun {
            Noun::Account(id) => {
                let proved = proof.account(id).map_err(RepairError::NotProved)?;
                self.account(link, id, proved).await?;
            }
            Noun::Case(id) => {
                let proved = proof.case(id).map_err(RepairError::NotProved)?;
                self.resource(link, self.keys.case(id), format!("case:{id}"), proved).await?;
            }
            Noun::Campaign(id) => {
                let proved = proof.campaign(id).map_err(RepairError::NotProved)?;
                self.resource(link, self.keys.campaign(id), format!("campaign:{id}"), proved).await?;
            }
            Noun::Holders(id) => {
                proof.campaign(id).map_err(RepairError::NotProved)?;
                let holders = proof.holders.iter().map(|(name, count)| (name.clone(), count.to_string()));
                let key = self.keys.holders(id);
                self.whole(link, (key, &format!("holders:{id}")), &holders.collect()).await?;
            }
            Noun::Inventory(id) => {
                let proved = proof.inventory(id).map_err(RepairError::NotProved)?;
                inventory::plan(self, link, id, proved).await?;
            }
            Noun::Hold(id) => self.hold(link, proof, id).await?,
            Noun::Payouts => self.payouts(link, proof).await?,
            Noun::Resources => self.resources(link, proof).await?,
        }
        Ok(())
    }

    async fn resource(
        &mut self,
        link: &mut Link,
        key: String,
        member: String,
        proved: Option<RowFields>,
    ) -> Result<(), Failure> {
        let found = Found::read(link, &key).await?;
        if self.compare(&member, &found, proved.as_ref()) {
            self.writes.push(Write::Hash(key, proved.clone().unwrap_or_default()));
        }
        self.member(link, self.keys.resources(), "resources", member, proved.map(|_| 0)).await
    }

    async fn account(
        &mut self,
        link: &mut Link,
        id: &AccountId,
        proved: Option<RowFields>,
    ) -> Result<(), Failure> {
        let (key, member) = (self.keys.account(id), format!("account:{id}"));
        let found = Found::read_words(link, &key, &ACCOUNT_FIELDS).await?;
        if self.compare(&member, &found, proved.as_ref()) {
            let words = |fields: &RowFields| {
                fields.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(" ")
            };
            self.writes.push(match &proved {
                Some(fields) => Write::Text(key, words(fields)),
                None => Write::Hash(key, Vec::new()),
            });
        }
        self.member(link, self.keys.resources(), "resources", member, proved.map(|_| 0)).await
    }

    async fn hold(&mut self, link: &mut Link, proof: &Proof, id: &JobId) -> Result<(), RepairError> {
        let proved = proof.hold(id).map_err(RepairError::NotProved)?;
        let key = self.keys.hold(id);
        let found = Found::read(link, &key).await?;
        let Some(mut fields) = proved else {
            if self.compare(&format!("hold:{id}"), &found, None) {
                self.writes.push(Write::Hash(key, Vec::new()));
            }
            return Ok(());
        };
        let now_ms = now_ms(link).await?;
        let lease_until_ms = add_unproved(&mut fields, &found, now_ms);
        let account = fields.iter().find(|(name, _)| name == "account").map(|(_, value)| value.clone());
        if self.compare(&format!("hold:{id}"), &found, Some(&fields)) {
            self.writes.push(Write::Hash(key, fields));
        }
        let member = format!("{}\t{id}", account.unwrap_or_default());
        let score = lease_until_ms.max(now_ms);
        Ok(self.member(link, self.keys.payouts(), "payouts", member, Some(score)).await?)
    }

    async fn payouts(&mut self, link: &mut Link, proof: &Proof) -> Result<(), RepairError> {
        let mut members = std::collections::HashSet::new();
        for id in proof.holds() {
            let account = proof.hold(&id).map_err(RepairError::NotProved)?.unwrap_or_default();
            let account = account.into_iter().find(|(name, _)| name == "account").map(|(_, value)| value);
            members.insert(format!("{}\t{id}", account.unwrap_or_default()));
            self.hold(link, proof, &id).await?;
        }
        let key = self.keys.payouts();
        Ok(self.unknown(link, key, "payouts", &members).await?)
    }

    async fn resources(&mut self, link: &mut Link, proof: &Proof) -> Result<(), Failure> {
        let proved = proof.resources();
        let mut members: Vec<&String> = proved.iter().collect();
        members.sort();
        for chunk in members.chunks(FIELDS) {
            let mut command = redis::cmd("ZMSCORE");
            command.arg(self.keys.resources()).arg(chunk);
            let scores: Vec<Option<String>> = link.query(&command).await?;
            for (member, _) in chunk.iter().zip(scores).filter(|(_, score)| score.is_none()) {
                self.differ("resources", member, None, Some(&"listed".to_owned()));
                let (key, member) = (self.keys.resources(), (*member).clone());
                self.writes.push(Write::Add { key, score: 0, member });
            }
        }
        self.unknown(link, self.keys.resources(), "resources", &proved).await
    }

    /// Takes members out that nothing proves.
    async fn unknown(
        &mut self,
        link: &mut Link,
        key: String,
        shown: &str,
        proved: &std::collections::HashSet<String>,
    ) -> Result<(), Failure> {
        let members: Vec<String> = link.query(redis::cmd("ZRANGE").arg(&key).arg(0).arg(-1)).await?;
        for member in members.into_iter().filter(|member| !proved.contains(member)) {
            self.differ(shown, &member, Some(&"listed".to_owned()), None);
            self.writes.push(Write::Remove { key: key.clone(), member });
        }
        Ok(())
    }
}

/// Adds the fields that the journal does not have: as they are, where they can be; else so that nobody acts too
/// early: the lease of an attempt that has begun is taken to run, and the hold does not expire.
fn add_unproved(fields: &mut RowFields, found: &Found, now_ms: u64) -> u64 {
    let has_begun = fields.iter().any(|(name, value)| name == "fence" && value != "0");
    let is_number = |text: &String| text.parse::<u64>().is_ok();
    let mut lease_until_ms = 0;
    for name in UNPROVED_HOLD_FIELDS {
        let there = match found {
            Found::Hash(fields) => fields.get(name).cloned(),
            Found::OtherType(_) => None,
        };
        let value = match name {
            "lease_until_ms" => {
                let made_up = if has_begun { (now_ms + LEASE_MS).to_string() } else { "0".to_owned() };
                let value = there.filter(is_number).unwrap_or(made_up);
                lease_until_ms = value.parse().unwrap_or_default();
                value
            }
            "expires_at_ms" => there.filter(is_number).unwrap_or_default(),
            _ => there.unwrap_or_default(),
        };
        fields.push((name.to_owned(), value));
    }
    lease_until_ms
}

async fn now_ms(link: &mut Link) -> Result<u64, Failure> {
    let (seconds, micros): (u64, u64) = link.query(&redis::cmd("TIME")).await?;
    Ok(seconds.saturating_mul(1000).saturating_add(micros / 1000))
}

/// Fills the key that is then moved over another: nobody reads it, so it may be filled in several calls.
async fn stage(link: &mut Link, keys: &Keys, fields: &BTreeMap<String, String>) -> Result<(), Failure> {
    link.run(redis::cmd("DEL").arg(keys.repair())).await?;
    let all: Vec<(&String, &String)> = fields.iter().collect();
    for chunk in all.chunks(FIELDS) {
        let mut command = redis::cmd("HSET");
        command.arg(keys.repair());
        chunk.iter().for_each(|(name, text)| _ = command.arg(*name).arg(*text));
        link.run(&command).await?;
    }
    Ok(())
}

/// Puts every parked job of a partition where its row says. Answers those of which something was wrong.
///
/// # Errors
/// As [`repair`].
pub async fn repair_parked(
    tollgate: &Tollgate,
    link: &mut Link,
    partition: Partition,
    reason: &str,
    apply: Apply,
) -> Result<Vec<(JobId, ParkedRepair)>, RepairError> {
    let keys = tollgate.keys(partition);
    let note = note("parked", "", reason);
    let mut wrong = Vec::new();
    for (command, key) in [("HSCAN", keys.parked()), ("ZSCAN", keys.scheduled()), ("ZSCAN", keys.dead())] {
        let mut cursor = "0".to_owned();
        loop {
            let mut scan = redis::cmd(command);
            scan.arg(&key).arg(&cursor).arg("COUNT").arg(IDS_MAX);
            let (next, page): (String, Vec<Vec<u8>>) = parsed(link.run(&scan).await?)?;
            let ids = page.into_iter().step_by(2).filter_map(|id| String::from_utf8(id).ok());
            let ids: Vec<JobId> = ids.filter_map(|id| JobId::stored(&id).ok()).collect();
            for chunk in ids.chunks(IDS_MAX) {
                let results = parked(link, keys, tollgate.by(), &note, apply, chunk).await?;
                for (id, result) in chunk.iter().zip(results) {
                    if result != ParkedRepair::Intact && !wrong.iter().any(|(known, _)| known == id) {
                        wrong.push((id.clone(), result));
                    }
                }
            }
            if next == "0" {
                break;
            }
            cursor = next;
        }
    }
    Ok(wrong)
}

/// Notes in the journal that a queue is repaired, before it is.
///
/// # Errors
/// As [`repair`].
pub async fn note_queue(
    tollgate: &Tollgate,
    link: &mut Link,
    partition: Partition,
    queue: &str,
    reason: &str,
) -> Result<(), RepairError> {
    let keys = tollgate.keys(partition);
    for _ in 0..TRIES {
        let (seq, hash): (Option<u64>, Option<String>) =
            link.query(redis::cmd("HMGET").arg(keys.head()).arg("seq").arg("hash")).await?;
        let (seq, hash) = (seq.unwrap_or_default(), hash.unwrap_or_default());
        let at = At { seq, hash: &hash };
        let text = note("queue", queue, reason);
        if write(link, keys, at, tollgate.by(), &text, &[]).await? == Written::Repaired {
            return Ok(());
        }
    }
    Err(RepairError::Busy)
}
