//! The jobs of a load, each a function of the load and its number: whoever generates the same load again sends
//! the same jobs under the same ids, so nothing of it happens twice.
//!
//! Pure. Chance is SHA-256, not a generator of random numbers: it has no state, so any job can be made alone,
//! and no release of a library changes what a seed means.

use sha2::{Digest, Sha256};
use tollgate::amount::{Amount, Currency, NUMBER_MAX};
use tollgate::ids::{AccountId, CampaignId, CustomerId, InventoryId, ItemId, JobId};
use tollgate::input::InputError;
use tollgate::job::Job;
use tollgate::kinds::{AccountOpen, CampaignCreate, InventoryCreate, Purchase, Redeem, Withdraw};
use tollgate::lines::Lines;
use tollgate::quantity::Limit;
use tollgate::quantity::Quantity;
use tollgate::stock::Stock;

use crate::sender::NamedOperation;

/// Withdrawals are of 1 to this many minor units.
const AMOUNT_MAX: u64 = 1_000;
/// Parts in a whole for [`Load::duplicates`].
pub(crate) const WHOLE: u64 = 10_000;

/// What the jobs do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// Redeem from campaigns, each with this limit.
    Redeem { limit: Limit },
    /// Withdraw from accounts, each with this balance.
    Withdraw { balance: Amount },
    /// Buy from inventories with so many items, each of which there is so often, in orders of so many lines.
    Purchase { items: u64, each: Limit, lines: u64 },
}

/// A load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) kind: Kind,
    pub(crate) seed: u64,
    pub(crate) jobs: u64,
    pub(crate) resources: u64,
    pub(crate) customers: u64,
    /// How many of 10,000 jobs are followed by the repetition of an earlier one.
    pub(crate) duplicates: u64,
}

impl Load {
    /// Half of what its jobs will ask of each resource, so that about half of them are refused.
    pub(crate) fn half_each(jobs: u64, resources: u64, each: u64) -> u64 {
        (jobs.saturating_mul(each) / resources / 2).clamp(1, NUMBER_MAX)
    }

    /// The mean of a withdrawal, in minor units.
    pub(crate) const AMOUNT_MEAN: u64 = AMOUNT_MAX.div_ceil(2);

    /// What all its names begin with: two loads that differ in anything share none.
    pub(crate) fn name(&self) -> String {
        let (kind, bound) = match self.kind {
            Kind::Redeem { limit } => ("redeem", limit.get().to_string()),
            Kind::Withdraw { balance } => ("withdraw", balance.minor().to_string()),
            Kind::Purchase { items, each, lines } => ("purchase", format!("{items} {} {lines}", each.get())),
        };
        let Self { seed, jobs, resources, customers, duplicates, .. } = self;
        let text = format!("{kind} {bound} {seed} {jobs} {resources} {customers} {duplicates}");
        let digest = Sha256::digest(text.as_bytes());
        format!("burst-{}", digest[..5].iter().map(|byte| format!("{byte:02x}")).collect::<String>())
    }
}

/// Makes the jobs of one load.
#[derive(Debug)]
pub(crate) struct Generator {
    load: Load,
    name: String,
}

impl Generator {
    pub(crate) fn new(load: Load) -> Self {
        Self { load, name: load.name() }
    }

    /// What creates resource number `n`, from 0.
    pub(crate) fn resource(&self, n: u64) -> Result<NamedOperation, InputError> {
        Ok(match self.load.kind {
            Kind::Redeem { limit } => {
                let campaign = self.campaign(n)?;
                let id = JobId::create_campaign(&campaign);
                let terms = CampaignCreate::new(campaign, limit);
                NamedOperation { id, request: terms.into() }
            }
            Kind::Withdraw { balance } => {
                let account = self.account(n)?;
                let id = JobId::create_account(&account);
                NamedOperation {
                    id,
                    request: AccountOpen { account, balance, currency: Currency::default() }.into(),
                }
            }
            Kind::Purchase { .. } => {
                let inventory = self.inventory(n)?;
                let id = JobId::create_inventory(&inventory);
                NamedOperation { id, request: InventoryCreate::new(inventory).into() }
            }
        })
    }

    /// The items of inventory number `n`, from 0; `None` of a load without inventories.
    pub(crate) fn stock(&self, n: u64) -> Result<Option<(InventoryId, Stock)>, InputError> {
        let Kind::Purchase { items, each, .. } = self.load.kind else { return Ok(None) };
        let items = (0..items).map(|n| Ok((item(n)?, each))).collect::<Result<Vec<_>, InputError>>()?;
        Ok(Some((self.inventory(n)?, Stock::new(items)?)))
    }

    /// Job number `n`, from 0.
    pub(crate) fn job(&self, n: u64) -> Result<Job, InputError> {
        let Load { kind, jobs, resources, customers, .. } = self.load;
        let [resource, customer, amount, _] = self.chance(n);
        let request = match kind {
            Kind::Redeem { .. } => {
                // As many customers as jobs: one job each.
                let customer = if customers >= jobs { n } else { customer % customers };
                Redeem {
                    campaign: self.campaign(resource % resources)?,
                    customer: CustomerId::parse(format!("customer-{customer}"))?,
                    quantity: Quantity::ONE,
                }
                .into()
            }
            Kind::Withdraw { .. } => Withdraw {
                account: self.account(resource % resources)?,
                amount: Amount::from_minor(1 + amount % AMOUNT_MAX)
                    .unwrap_or_else(|| unreachable!("it is small")),
                currency: Currency::default(),
            }
            .into(),
            Kind::Purchase { items, lines, .. } => {
                // Neighbours, as people sit.
                let line = |line: u64| Ok((item((amount + line) % items)?, Quantity::ONE));
                Purchase {
                    inventory: self.inventory(resource % resources)?,
                    customer: CustomerId::parse(format!("customer-{}", customer % customers))?,
                    lines: Lines::new((0..lines).map(line).collect::<Result<Vec<_>, InputError>>()?)?,
                }
                .into()
            }
        };
        Ok(Job { id: JobId::parse(format!("{}-j{n}", self.name))?, at: None, request })
    }

    /// The number of the earlier job that is sent once more after job `n`, if one is.
    pub(crate) fn duplicate_after(&self, n: u64) -> Option<u64> {
        let [.., chance] = self.chance(n);
        (chance % WHOLE < self.load.duplicates).then(|| (chance >> 32) % (n + 1))
    }

    fn campaign(&self, n: u64) -> Result<CampaignId, InputError> {
        CampaignId::parse(format!("{}-{n}", self.name))
    }

    fn account(&self, n: u64) -> Result<AccountId, InputError> {
        AccountId::parse(format!("{}-{n}", self.name))
    }

    fn inventory(&self, n: u64) -> Result<InventoryId, InputError> {
        InventoryId::parse(format!("{}-{n}", self.name))
    }

    fn chance(&self, n: u64) -> [u64; 4] {
        let mut hash = Sha256::new();
        hash.update(self.name.as_bytes());
        hash.update(n.to_be_bytes());
        let digest = hash.finalize();
        let word = |i: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&digest[8 * i..8 * (i + 1)]);
            u64::from_be_bytes(bytes)
        };
        [word(0), word(1), word(2), word(3)]
    }
}

fn item(n: u64) -> Result<ItemId, InputError> {
    ItemId::parse(format!("item-{n}"))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use tollgate::kinds::JobRequest;

    use super::*;

    fn load() -> Load {
        let kind = Kind::Withdraw { balance: Amount::from_minor(7).unwrap() };
        Load { kind, seed: 1, jobs: 10_000, resources: 7, customers: 3, duplicates: 500 }
    }

    #[test]
    fn a_load_is_the_same_every_time_and_no_other_shares_its_names() {
        let (one, again) = (Generator::new(load()), Generator::new(load()));
        assert!((0..100).all(|n| one.job(n).unwrap() == again.job(n).unwrap()));
        let others = [
            Load { seed: 2, ..load() },
            Load { jobs: 9_999, ..load() },
            Load { resources: 8, ..load() },
            Load { duplicates: 0, ..load() },
            Load { kind: Kind::Redeem { limit: Limit::new(7).unwrap() }, ..load() },
        ];
        let names: HashSet<String> = others.iter().chain([&load()]).map(Load::name).collect();
        assert_eq!(names.len(), 6);
    }

    #[test]
    fn chance_is_as_wide_as_it_should_be() {
        let generator = Generator::new(load());
        let (mut accounts, mut total, mut duplicates) = (HashSet::new(), 0, 0);
        for n in 0..load().jobs {
            let JobRequest::Withdraw(Withdraw { account, amount, .. }) = generator.job(n).unwrap().request
            else {
                panic!()
            };
            accounts.insert(account);
            total += amount.minor();
            if let Some(earlier) = generator.duplicate_after(n) {
                assert!(earlier <= n);
                duplicates += 1;
            }
        }
        assert_eq!(accounts.len(), 7);
        let mean = total / load().jobs;
        assert!(mean.abs_diff(Load::AMOUNT_MEAN) < 20, "{mean}");
        assert!((400..600).contains(&duplicates), "{duplicates}");
        let redeem = Kind::Redeem { limit: Limit::new(7).unwrap() };
        let distinct = Generator::new(Load { kind: redeem, customers: load().jobs, ..load() });
        let customers: HashSet<CustomerId> = (0..load().jobs)
            .map(|n| match distinct.job(n).unwrap().request {
                JobRequest::Redeem(Redeem { customer, .. }) => customer,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(customers.len(), 10_000);
    }
}
