//! One look at Redis: everything that the screen shows. What it costs is bounded, however large the namespace is: the
//! newest lines of the journal say which campaigns, accounts and inventories move, and only those are read,
//! beside the first campaigns and inventories of the index.

mod movement;

use std::collections::{BTreeMap, BTreeSet};

use tollgate::Tollgate;
use tollgate::amount::money;
use tollgate::code::Class;
use tollgate::ids::AccountId;
use tollgate::inventory::InventoryState;
use tollgate::journal;
use tollgate::keys::Keys;
use tollgate::link::Link;
use tollgate::partition::Partition;
use tollgate::resources::{self, AccountState, CampaignState, Held, Listed, Status};
use tollgate::scripts::payout::{self, ForReview};

use crate::each::Failed;
use crate::overview::Overview;
use crate::problems::{self, Problem};
use crate::workers;
use movement::{Moved, Movements};

/// Journal entries that one look reads in each partition: at more decisions than these hold, the share of
/// refusals is an estimate from them.
const ENTRIES_SAMPLED: usize = 20;
/// Campaigns of the index that one look reads, over all partitions.
const CAMPAIGNS_MAX: usize = 100;
/// Inventories, likewise.
const INVENTORIES_MAX: usize = 100;
/// Campaigns, accounts and inventories that one look reads because they moved, in each partition.
const MOVED_MAX: usize = 20;
/// Payouts for a person that one look reads in each partition.
const REVIEWS_MAX: usize = 20;
/// Payouts due first among which one look searches for damaged ones in each partition.
const SEARCHED_MAX: usize = 100;

/// What one look found.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    pub(super) overview: Overview,
    pub(super) workers: Vec<workers::Row>,
    /// Of the decisions since the look before, how many were looked at, and how many of them were refusals.
    pub(super) sampled: Sampled,
    /// What is wrong, worst first.
    pub(super) problems: Vec<Problem>,
    pub(super) campaigns: Vec<CampaignRow>,
    /// Whether the namespace has no more campaigns than these.
    pub(super) campaigns_complete: bool,
    pub(super) inventories: Vec<InventoryRow>,
    /// Whether the namespace has no more inventories than these.
    pub(super) inventories_complete: bool,
    /// Those that moved within the last minute.
    pub(super) accounts: Vec<AccountRow>,
    pub(super) payouts: Payouts,
    /// Whether some decisions of the last minute were not looked at: then movement is an estimate from the others.
    pub(super) is_estimate: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sampled {
    pub(super) decided: u64,
    pub(super) refused: u64,
}

/// A campaign, and how it has moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CampaignRow {
    pub(super) campaign: String,
    /// `None` if it cannot be read.
    pub(super) left: Option<u64>,
    pub(super) limit: Option<u64>,
    pub(super) is_open: bool,
    /// How many jobs it had within the last minute.
    pub(super) jobs: u64,
}

/// An inventory, and how it has moved; its numbers are `None` if it cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct InventoryRow {
    pub(super) inventory: String,
    pub(super) left: Option<u64>,
    pub(super) reserved: Option<u64>,
    pub(super) sold: Option<u64>,
    /// Its status, or `damaged`.
    pub(super) status: &'static str,
    /// How many jobs it had within the last minute.
    pub(super) jobs: u64,
}

/// An account, and how it has moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AccountRow {
    pub(super) account: String,
    /// In minor units, to sort by; `None` if it cannot be read.
    pub(super) available: Option<u64>,
    /// The same for people.
    pub(super) available_text: String,
    /// What was taken from it within the last minute, likewise.
    pub(super) taken_text: String,
    pub(super) jobs: u64,
}

/// Open payouts, and those that a person has to look at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Payouts {
    /// Damaged ones included.
    pub(super) open: u64,
    /// Without those that are known to be damaged.
    pub(super) for_review: u64,
    pub(super) damaged: u64,
    /// Whether there may be more damaged ones than were found.
    pub(super) is_sample: bool,
    /// Damaged ones first.
    pub(super) rows: Vec<PayoutRow>,
}

/// A payout that a person has to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PayoutRow {
    /// One that nobody but a person can decide.
    Review { id: String, amount: String, since_ms: u64, reason: String },
    /// One that cannot be read: nobody goes on with it until it is repaired.
    Damaged { id: String, what: String },
}

/// Looks again and again, and remembers what the next look needs.
pub(super) struct Reader {
    tollgate: Tollgate,
    /// The end of each partition's journal at the look before.
    seqs: BTreeMap<u16, u64>,
    movements: Movements,
}

impl Reader {
    pub(super) fn new(tollgate: Tollgate) -> Self {
        Self { tollgate, seqs: BTreeMap::new(), movements: Movements::default() }
    }

    /// Reads everything.
    pub(super) async fn look(&mut self) -> anyhow::Result<Reading> {
        let tollgate = self.tollgate.clone();
        let overview = Overview::read(&tollgate).await?;
        let (workers, _) = workers::read(&tollgate, &overview).await?;
        let mut link = tollgate.server().link().await?;
        let problems = problems::of(&overview, &workers, Vec::new());
        self.movements.begin(overview.at_ms);
        let mut reading = Reading {
            overview,
            workers,
            sampled: Sampled::default(),
            problems,
            campaigns: Vec::new(),
            campaigns_complete: true,
            inventories: Vec::new(),
            inventories_complete: true,
            accounts: Vec::new(),
            payouts: Payouts::default(),
            is_estimate: false,
        };
        // What cannot be read in one partition is among the problems.
        let mut failed = Failed::default();
        for partition in tollgate.partitions().iter() {
            let read = self.partition(partition, &mut link, &mut reading).await;
            failed.note(partition, read)?;
        }
        reading.is_estimate = self.movements.is_estimate();
        let ends = reading.overview.partitions.iter();
        self.seqs.extend(ends.map(|partition| (partition.partition, partition.counts.decided)));
        Ok(reading)
    }

    async fn partition(
        &mut self,
        partition: Partition,
        link: &mut Link,
        reading: &mut Reading,
    ) -> anyhow::Result<()> {
        let tollgate = self.tollgate.clone();
        let keys = tollgate.keys(partition);
        let counts = reading.overview.partitions.iter().find(|counts| counts.partition == partition.number());
        let Some(head) = counts.map(|counts| counts.counts.decided) else { return Ok(()) };
        self.sample(partition, keys, head, link, &mut reading.sampled).await?;
        let moved = self.movements.most_moved(partition.number(), MOVED_MAX);
        let room = CAMPAIGNS_MAX.saturating_sub(reading.campaigns.len());
        let (rows, is_complete) = listed(keys, link, &moved.campaigns, room).await?;
        reading.campaigns_complete &= is_complete;
        reading.campaigns.extend(rows.iter().map(|(id, held, jobs)| CampaignRow::of(id, held, *jobs)));
        let room = INVENTORIES_MAX.saturating_sub(reading.inventories.len());
        let (rows, is_complete) = listed(keys, link, &moved.inventories, room).await?;
        reading.inventories_complete &= is_complete;
        reading.inventories.extend(rows.iter().map(|(id, held, jobs)| InventoryRow::of(id, held, *jobs)));
        accounts(keys, link, &moved, reading).await?;
        reading.payouts.add(payout::for_review(link, keys, REVIEWS_MAX, SEARCHED_MAX).await?);
        Ok(())
    }

    /// Reads the beginning of what the partition has decided since the look before.
    async fn sample(
        &mut self,
        partition: Partition,
        keys: &Keys,
        head: u64,
        link: &mut Link,
        sampled: &mut Sampled,
    ) -> anyhow::Result<()> {
        let before = self.seqs.get(&partition.number()).copied();
        let Some(before) = before.filter(|before| *before < head) else { return Ok(()) };
        let sampled_before = sampled.decided;
        // Damage is the audit's to tell; here it only goes uncounted.
        let entries = journal::read(link, keys, before + 1, ENTRIES_SAMPLED).await?.unwrap_or_default();
        for line in entries.iter().filter_map(|entry| entry.lines().ok()).flatten() {
            if line.seq > before && line.seq <= head {
                sampled.decided += 1;
                sampled.refused += u64::from(line.code.class() == Class::Refused);
                self.movements.add(partition.number(), &line);
            }
        }
        self.movements.seen(partition.number(), sampled.decided - sampled_before, head - before);
        Ok(())
    }
}

/// Of one type, those that moved and of the others the first, with how many jobs each had; and whether there are no more
/// than the first.
async fn listed<T: Listed>(
    keys: &Keys,
    link: &mut Link,
    moved: &BTreeMap<String, u64>,
    room: usize,
) -> anyhow::Result<(Vec<(String, Held<T>, u64)>, bool)> {
    let page = resources::page::<T>(link, keys, None, room.max(1)).await?;
    let is_complete = page.next.is_none() && page.resources.len() <= room;
    let jobs = |id: &str| moved.get(id).copied().unwrap_or_default();
    let mut rows = Vec::new();
    let mut first: BTreeSet<String> = BTreeSet::new();
    for (id, held) in page.resources.into_iter().take(room) {
        first.insert(id.clone());
        let jobs = jobs(&id);
        rows.push((id, held, jobs));
    }
    let more = moved.keys().filter(|id| !first.contains(*id));
    let (names, ids): (Vec<&String>, Vec<T::Id>) = more.filter_map(|id| Some((id, T::id(id)?))).unzip();
    let states = resources::read::<T>(link, keys, &ids).await?;
    rows.extend(names.into_iter().zip(states).map(|(id, held)| (id.clone(), held, jobs(id))));
    Ok((rows, is_complete))
}

async fn accounts(keys: &Keys, link: &mut Link, moved: &Moved, reading: &mut Reading) -> anyhow::Result<()> {
    let ids: Vec<AccountId> =
        moved.accounts.keys().filter_map(|id| AccountId::parse(id.as_str()).ok()).collect();
    let states = resources::read::<AccountState>(link, keys, &ids).await?;
    for (id, held) in ids.iter().zip(&states) {
        let Some((jobs, taken)) = moved.accounts.get(id.as_str()) else { continue };
        let state = held.state();
        let text = |minor: u64| match state {
            Some(state) => money(u128::from(minor), state.currency.code()),
            None => "-".to_owned(),
        };
        reading.accounts.push(AccountRow {
            account: id.to_string(),
            available: state.map(|state| state.available.minor()),
            available_text: state.map_or_else(
                || "cannot be read".to_owned(),
                |state| state.available.in_currency(state.currency),
            ),
            taken_text: text(*taken),
            jobs: *jobs,
        });
    }
    Ok(())
}

impl CampaignRow {
    fn of(id: &str, held: &Held<CampaignState>, jobs: u64) -> Self {
        let state = held.state();
        Self {
            campaign: id.to_owned(),
            left: state.map(|state| state.limit.get().saturating_sub(state.issued)),
            limit: state.map(|state| state.limit.get()),
            is_open: state.is_some_and(|state| state.status == Status::Open),
            jobs,
        }
    }
}

impl InventoryRow {
    fn of(id: &str, held: &Held<InventoryState>, jobs: u64) -> Self {
        let state = held.state();
        Self {
            inventory: id.to_owned(),
            left: state.map(|state| state.available),
            reserved: state.map(|state| state.reserved),
            sold: state.map(|state| state.sold),
            status: state.map_or("damaged", |state| state.status.name()),
            jobs,
        }
    }
}

impl Payouts {
    fn add(&mut self, found: ForReview) {
        self.open += found.open;
        self.for_review += found.count;
        self.damaged += found.damaged.len() as u64;
        self.is_sample |= !found.is_complete;
        let damaged =
            found.damaged.into_iter().map(|payout| PayoutRow::Damaged { id: payout.id, what: payout.what });
        self.rows.splice(0..0, damaged);
        self.rows.extend(found.holds.into_iter().map(|hold| PayoutRow::Review {
            id: hold.id.to_string(),
            amount: money(u128::from(hold.amount), &hold.currency),
            since_ms: hold.since_ms,
            reason: hold.reason,
        }));
    }
}
