//! Which campaigns, accounts and inventories moved within the last minute, by the lines of the journal that were seen. Pure.

use std::collections::{BTreeMap, VecDeque};

use tollgate::code::Class;
use tollgate::journal::Line;
use tollgate::kinds::{Event, Fields, JobRequest, Payout, Withdraw};
use tollgate::resource::Resource;

/// For how long a movement is remembered, by the server's clock.
const REMEMBERED_MS: u64 = 60_000;
/// Resources that one look remembers in each partition.
const RESOURCES_MAX: usize = 200;

/// The looks of the last minute, the newest last.
#[derive(Debug, Default)]
pub(super) struct Movements(VecDeque<Look>);

#[derive(Debug)]
struct Look {
    at_ms: u64,
    /// By partition.
    partitions: BTreeMap<u16, Sample>,
}

/// What one look saw of a partition.
#[derive(Debug, Default)]
struct Sample {
    moved: Moved,
    /// How many decisions it saw, of how many.
    seen: u64,
    decided: u64,
}

impl Sample {
    /// What a count of it stands for.
    fn scaled(&self, count: u64) -> u64 {
        match u128::from(count) * u128::from(self.decided) {
            _ if self.seen == 0 => count,
            product => u64::try_from(product / u128::from(self.seen)).unwrap_or(u64::MAX),
        }
    }
}

/// What moved in one partition.
#[derive(Debug, Default)]
pub(super) struct Moved {
    /// How many jobs each campaign had.
    pub(super) campaigns: BTreeMap<String, u64>,
    /// How many jobs each account had, and how much they took from it, in minor units.
    pub(super) accounts: BTreeMap<String, (u64, u64)>,
    /// How many jobs each inventory had.
    pub(super) inventories: BTreeMap<String, u64>,
}

/// Counts a job, unless too many others are counted.
fn count_job(jobs: &mut BTreeMap<String, u64>, id: &str) {
    if jobs.len() < RESOURCES_MAX || jobs.contains_key(id) {
        *jobs.entry(id.to_owned()).or_default() += 1;
    }
}

impl Movements {
    /// Begins a look at this server time; what is older than a minute is forgotten, and what a clock that has gone
    /// back makes newer than now.
    pub(super) fn begin(&mut self, at_ms: u64) {
        self.0.retain(|look| look.at_ms <= at_ms && look.at_ms + REMEMBERED_MS > at_ms);
        self.0.push_back(Look { at_ms, partitions: BTreeMap::new() });
    }

    /// Adds a line to the look that was begun last.
    pub(super) fn add(&mut self, partition: u16, line: &Line) {
        let Some(look) = self.0.back_mut() else { return };
        let moved = &mut look.partitions.entry(partition).or_default().moved;
        match line.event.resource() {
            Resource::Campaign(campaign) => count_job(&mut moved.campaigns, campaign.as_str()),
            Resource::Inventory(inventory) => count_job(&mut moved.inventories, inventory.as_str()),
            // The view has no table of cases; `case ls` has.
            Resource::Case(_) => {}
            Resource::Account(account) => {
                let id = account.as_str();
                if moved.accounts.len() < RESOURCES_MAX || moved.accounts.contains_key(id) {
                    let (jobs, taken) = moved.accounts.entry(id.to_owned()).or_default();
                    *jobs += 1;
                    *taken = taken.saturating_add(taken_by(line));
                }
            }
        }
    }

    /// Notes how many of a partition's decisions the look that was begun last has seen.
    pub(super) fn seen(&mut self, partition: u16, seen: u64, decided: u64) {
        if let Some(look) = self.0.back_mut() {
            let sample = look.partitions.entry(partition).or_default();
            (sample.seen, sample.decided) = (seen, decided);
        }
    }

    /// Whether a look of the last minute has not seen every decision.
    pub(super) fn is_estimate(&self) -> bool {
        self.0.iter().flat_map(|look| look.partitions.values()).any(|sample| sample.seen < sample.decided)
    }

    /// What moved most in a partition within the last minute, `count` campaigns, accounts and inventories at most. Where a look has
    /// seen only some of the decisions, those stand for all of them.
    pub(super) fn most_moved(&self, partition: u16, count: usize) -> Moved {
        let mut sum = Moved::default();
        for sample in self.0.iter().filter_map(|look| look.partitions.get(&partition)) {
            for (id, jobs) in &sample.moved.campaigns {
                *sum.campaigns.entry(id.clone()).or_default() += sample.scaled(*jobs);
            }
            for (id, jobs) in &sample.moved.inventories {
                *sum.inventories.entry(id.clone()).or_default() += sample.scaled(*jobs);
            }
            for (id, (jobs, taken)) in &sample.moved.accounts {
                let (jobs_sum, taken_sum) = sum.accounts.entry(id.clone()).or_default();
                *jobs_sum += sample.scaled(*jobs);
                *taken_sum = taken_sum.saturating_add(sample.scaled(*taken));
            }
        }
        keep_most(&mut sum.campaigns, count, |jobs| *jobs);
        keep_most(&mut sum.inventories, count, |jobs| *jobs);
        keep_most(&mut sum.accounts, count, |(jobs, _)| *jobs);
        sum
    }
}

/// What a line took from its account: withdrawn, or set aside for a payout.
fn taken_by(line: &Line) -> u64 {
    let happened = matches!(line.code.class(), Class::Applied | Class::Pending);
    match &line.event {
        Event::Job(
            JobRequest::Withdraw(Withdraw { amount, .. }) | JobRequest::Payout(Payout { amount, .. }),
        ) if happened => amount.minor(),
        _ => 0,
    }
}

fn keep_most<T>(map: &mut BTreeMap<String, T>, count: usize, jobs: impl Fn(&T) -> u64) {
    if map.len() > count {
        let mut all: Vec<u64> = map.values().map(&jobs).collect();
        all.sort_unstable_by(|a, b| b.cmp(a));
        let least = all[count - 1];
        map.retain(|_, value| jobs(value) >= least);
        // Of several with as many, the first by name.
        while map.len() > count {
            let last = map.iter().rev().find(|(_, value)| jobs(value) == least).map(|(id, _)| id.clone());
            if last.and_then(|id| map.remove(&id)).is_none() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tollgate::amount::{Amount, Currency};
    use tollgate::code::Code;
    use tollgate::ids::{AccountId, CampaignId, JobId};
    use tollgate::kinds::CampaignClose;

    use super::*;

    fn line(event: Event, code: Code) -> Line {
        Line {
            seq: 1,
            at_ms: 1,
            by: String::new(),
            id: JobId::parse("j").unwrap(),
            event,
            code,
            was: None,
            after: Vec::new(),
            told: None,
        }
    }

    fn withdrawal(account: &str, minor: u64, code: Code) -> Line {
        let (account, amount) = (AccountId::parse(account).unwrap(), Amount::from_minor(minor).unwrap());
        line(Withdraw { account, amount, currency: Currency::default() }.into(), code)
    }

    #[test]
    fn a_minute_is_remembered_and_refusals_take_nothing() {
        let mut movements = Movements::default();
        movements.begin(10_000);
        movements.add(0, &withdrawal("a1", 500, Code::Withdrawn));
        movements.add(0, &withdrawal("a1", 700, Code::InsufficientFunds));
        movements.add(1, &withdrawal("a2", 1, Code::Withdrawn));
        movements.begin(69_999);
        movements
            .add(0, &line(CampaignClose { campaign: CampaignId::parse("c").unwrap() }.into(), Code::Ended));
        let moved = movements.most_moved(0, 10);
        assert_eq!(moved.accounts.into_iter().collect::<Vec<_>>(), [("a1".to_owned(), (2, 500))]);
        assert_eq!(moved.campaigns.len(), 1);
        movements.begin(70_000);
        assert!(movements.most_moved(0, 10).accounts.is_empty());
        assert_eq!(movements.most_moved(0, 10).campaigns.len(), 1);
        // The clock went back: nothing is remembered from its future.
        movements.begin(1_000);
        assert!(movements.most_moved(0, 10).campaigns.is_empty());
    }

    #[test]
    fn what_was_seen_stands_for_what_was_not() {
        let mut movements = Movements::default();
        movements.begin(1);
        movements.add(0, &withdrawal("a1", 500, Code::Withdrawn));
        movements.seen(0, 1, 1);
        assert!(!movements.is_estimate());
        movements.begin(2);
        movements.add(0, &withdrawal("a1", 500, Code::Withdrawn));
        movements.add(0, &withdrawal("a2", 500, Code::Withdrawn));
        movements.seen(0, 2, 2_000);
        assert!(movements.is_estimate());
        assert_eq!(movements.most_moved(0, 1).accounts["a1"], (1_001, 500_500));
    }

    #[test]
    fn of_many_those_that_moved_most_stay() {
        let mut movements = Movements::default();
        movements.begin(1);
        for account in ["a", "b", "c", "d", "b", "d"] {
            movements.add(0, &withdrawal(account, 1, Code::Withdrawn));
        }
        let kept = |count| movements.most_moved(0, count).accounts.into_keys().collect::<Vec<_>>();
        assert_eq!(kept(1), ["b"]);
        assert_eq!(kept(3), ["a", "b", "d"]);
        assert_eq!(kept(9), ["a", "b", "c", "d"]);
    }
}
