//! What the journal alone proves of a partition's keys: the model after its last line, without looking at them.
//!
//! Only a whole journal proves anything: its entries must follow one another and its chain of hashes must hold. A
//! resource of which a line was decided otherwise than the lines before it demand is proved by nothing.

use std::collections::{BTreeMap, HashMap, HashSet};

use tollgate::failure::Failure;
use tollgate::ids::{AccountId, CampaignId, CaseId, InventoryId, JobId};
use tollgate::journal::{self, Entry};
use tollgate::keys::Keys;
use tollgate::kinds::Fields;
use tollgate::link::Link;

use super::case::CASE_FIELDS;
use super::holders::left_to;
use super::inventory::{INVENTORY_FIELDS, Inventory};
use super::model::{ACCOUNT_FIELDS, CAMPAIGN_FIELDS, HOLD_FIELDS, Model};
use super::reservations;
use super::rules;
use super::stock;

/// Entries of one page.
const PAGE: usize = 200;

/// The fields of a key, in order.
pub(crate) type RowFields = Vec<(String, String)>;

/// What the keys of an inventory must hold, each its fields.
pub(crate) struct InventoryProof {
    pub(crate) fields: RowFields,
    pub(crate) items: BTreeMap<String, String>,
    pub(crate) buyers: BTreeMap<String, String>,
    pub(crate) orders: BTreeMap<String, String>,
    /// Its members of `reservations`, with their scores.
    pub(crate) members: BTreeMap<String, u64>,
}

/// The journal, replayed as far as it was read.
pub(crate) struct Proof {
    model: Model,
    pub(crate) seq: u64,
    pub(crate) hash: String,
    after: Option<String>,
    /// Resources of which the journal contradicts itself.
    doubtful: HashSet<String>,
    /// Inventories whose list of items is not what it was, and how.
    lists_lost: HashMap<InventoryId, String>,
    /// The campaign whose holders are counted, and what each has.
    holders_of: Option<CampaignId>,
    pub(crate) holders: BTreeMap<String, u64>,
}

impl Proof {
    pub(crate) fn new(holders_of: Option<CampaignId>, kept: Option<InventoryId>) -> Self {
        Self {
            model: Model { kept, ..Model::default() },
            seq: 0,
            hash: String::new(),
            after: None,
            doubtful: HashSet::new(),
            lists_lost: HashMap::new(),
            holders_of,
            holders: BTreeMap::new(),
        }
    }

    /// Replays to the end. The inner error says why the journal proves nothing.
    pub(crate) async fn go_on(
        &mut self,
        link: &mut Link,
        keys: &Keys,
    ) -> Result<Result<(), String>, Failure> {
        // Read first: by then the journal has at least so many lines, or what it had is gone.
        let head: Option<u64> = link.query(redis::cmd("HGET").arg(keys.head()).arg("seq")).await?;
        loop {
            let page = journal::page(link, keys, self.after.as_deref(), PAGE).await?;
            let is_last = page.len() < PAGE;
            for entry in page {
                let taken = match entry {
                    Ok(entry) => {
                        for damage in stock::read_loaded(link, keys, &mut self.model, &entry).await? {
                            self.lists_lost.insert(damage.inventory, damage.what);
                        }
                        self.take(&entry)
                    }
                    Err(damage) => Err(damage.to_string()),
                };
                if let Err(why) = taken {
                    return Ok(Err(why));
                }
            }
            if is_last {
                let gone = head.filter(|head| *head > self.seq);
                return Ok(gone.map_or(Ok(()), |head| {
                    Err(format!("the head says {head}, and the journal ends at {}", self.seq))
                }));
            }
        }
    }

    fn take(&mut self, entry: &Entry) -> Result<(), String> {
        let at = entry.stream_id();
        if entry.seq_first() != self.seq + 1 {
            return Err(format!("journal entry {at} does not follow line {}", self.seq));
        }
        if entry.expected_hash(&self.hash) != entry.hash {
            return Err(format!("the chain of hashes breaks at journal entry {at}"));
        }
        for line in entry.lines().map_err(|damage| damage.to_string())? {
            if rules::apply(&mut self.model, &line, &|_, _| 0).is_some() {
                let both = [Some(line.event.resource()), line.event.other_resource()];
                self.doubtful.extend(both.into_iter().flatten().map(|resource| resource.to_string()));
            }
            match left_to(&line) {
                Some((campaign, customer, 0)) if self.holders_of.as_ref() == Some(campaign) => {
                    self.holders.remove(customer.as_str());
                }
                Some((campaign, customer, held)) if self.holders_of.as_ref() == Some(campaign) => {
                    self.holders.insert(customer.to_string(), held);
                }
                _ => {}
            }
        }
        (self.seq, self.hash, self.after) = (entry.seq_last, entry.hash.clone(), Some(at));
        Ok(())
    }

    fn is_proved(&self, resource: &str, unknown: bool) -> Result<(), String> {
        if unknown {
            return Err(format!("the journal does not have the beginning of {resource}"));
        }
        if self.doubtful.contains(resource) {
            return Err(format!("the journal contradicts itself about {resource}"));
        }
        Ok(())
    }

    /// What the account's key must hold; `None` if there is no such account.
    pub(crate) fn account(&self, id: &AccountId) -> Result<Option<RowFields>, String> {
        let Some(account) = self.model.accounts.get(id) else { return Ok(None) };
        self.is_proved(&format!("account:{id}"), account.unknown)?;
        Ok(Some(named(&ACCOUNT_FIELDS, account.fields())))
    }

    /// What the campaign's key must hold; `None` if there is no such campaign.
    pub(crate) fn campaign(&self, id: &CampaignId) -> Result<Option<RowFields>, String> {
        let Some(campaign) = self.model.campaigns.get(id) else { return Ok(None) };
        self.is_proved(&format!("campaign:{id}"), campaign.unknown)?;
        Ok(Some(named(&CAMPAIGN_FIELDS, campaign.fields())))
    }

    /// What the keys of the inventory must hold; `None` if there is no such inventory.
    pub(crate) fn inventory(&self, id: &InventoryId) -> Result<Option<InventoryProof>, String> {
        let Some(inventory) = self.model.inventories.get(id) else { return Ok(None) };
        self.is_proved(&format!("inventory:{id}"), inventory.unknown)?;
        if let Some(what) = self.lists_lost.get(id) {
            return Err(format!(
                "stock:{id}, the list of its items, of which the journal has the hash alone: {what}; restore that key from a backup, then repair again"
            ));
        }
        let Inventory { items, kept, .. } = inventory;
        let kept = kept.as_deref().cloned().unwrap_or_default();
        let prefix = format!("{id}\t");
        let members = reservations::members(&self.model).into_iter();
        Ok(Some(InventoryProof {
            fields: named(&INVENTORY_FIELDS, inventory.fields()),
            items: items.as_ref().map(|items| items.texts()).unwrap_or_default(),
            buyers: kept.buyers,
            orders: kept.orders,
            members: members
                .filter(|(member, _)| member.starts_with(&prefix))
                .map(|(member, expected)| (member, expected.score))
                .collect(),
        }))
    }

    /// What the case's key must hold; `None` if there is no such case.
    pub(crate) fn case(&self, id: &CaseId) -> Result<Option<RowFields>, String> {
        let Some(case) = self.model.cases.get(id) else { return Ok(None) };
        self.is_proved(&format!("case:{id}"), case.unknown)?;
        Ok(Some(named(&CASE_FIELDS, case.fields())))
    }

    /// What the key of an open payout must hold, as far as the journal tells; `None` if no such payout is open.
    pub(crate) fn hold(&self, id: &JobId) -> Result<Option<RowFields>, String> {
        let Some(hold) = self.model.holds.get(id) else { return Ok(None) };
        self.is_proved(&format!("account:{}", hold.account), false)?;
        Ok(Some(named(&HOLD_FIELDS, hold.fields())))
    }

    /// The open payouts.
    pub(crate) fn holds(&self) -> Vec<JobId> {
        let mut ids: Vec<JobId> = self.model.holds.keys().cloned().collect();
        ids.sort();
        ids
    }

    /// The members of the index of resources.
    pub(crate) fn resources(&self) -> HashSet<String> {
        let campaigns = self.model.campaigns.keys().map(|id| format!("campaign:{id}"));
        let inventories = self.model.inventories.keys().map(|id| format!("inventory:{id}"));
        let accounts = self.model.accounts.keys().map(|id| format!("account:{id}"));
        let cases = self.model.cases.keys().map(|id| format!("case:{id}"));
        campaigns.chain(accounts).chain(inventories).chain(cases).collect()
    }
}

fn named<const N: usize>(names: &[&str; N], values: [String; N]) -> RowFields {
    names.iter().map(|name| (*name).to_owned()).zip(values).collect()
}
