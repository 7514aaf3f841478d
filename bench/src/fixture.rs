//! Tollgate's side of a run: a namespace on a private server, its resources, and its jobs.
//!
//! Relies on the library alone; what binaries do is measured by running them (see `process.rs`).

use anyhow::{Context, Result};
use tokio::runtime::{Builder, Runtime};
use tollgate::Tollgate;
use tollgate::amount::{Amount, Currency};
use tollgate::connect::{RedisOptions, connect};
use tollgate::fingerprint::Fingerprint;
use tollgate::ids::{
    AccountId, CampaignId, CustomerId, Destination, InventoryId, ItemId, JobId, Namespace, QueueName,
};
use tollgate::job::Job;
use tollgate::keys::Keys;
use tollgate::kinds::{
    AccountOpen, CampaignCreate, InventoryCreate, Operation, Payout, Purchase, Redeem, Settle, Withdraw,
};
use tollgate::lines::Lines;
use tollgate::link::Link;
use tollgate::quantity::Limit;
use tollgate::quantity::Quantity;
use tollgate::scripts::settle::{Answer, Item, settle};
use tollgate::stock::Stock;

use crate::private::Private;

/// How many accounts withdrawals are spread over.
pub(crate) const ACCOUNTS: u64 = 10_000;

/// How many jobs are sent in one pipeline while a backlog is built.
const LOAD_CHUNK: u64 = 1_000;
const CAMPAIGN: &str = "bench";
const INVENTORY: &str = "shop";

/// How many items purchases are spread over.
pub(crate) const ITEMS: u64 = 10_000;

/// The workloads that are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Workload {
    /// One campaign, every customer another, one coupon each; never exhausted.
    Redeem,
    /// This many accounts, taken by a fixed stride; never empty.
    Withdraw { accounts: u64 },
    /// One inventory of this many items, every customer another, so many lines of one unit each; never sold out.
    Purchase { items: u64, lines: u64 },
}

impl Workload {
    /// The n-th job. Every id and name has a fixed length, so that all envelopes of a workload have one too.
    pub(crate) fn job(self, n: u64) -> Result<Job> {
        let request = match self {
            Self::Redeem => Redeem {
                campaign: CampaignId::parse(CAMPAIGN)?,
                customer: CustomerId::parse(format!("c{n:07}"))?,
                quantity: Quantity::ONE,
            }
            .into(),
            Self::Withdraw { accounts } => Withdraw {
                account: account(strided(n, accounts))?,
                amount: Amount::from_minor(125).context("an amount")?,
                currency: Currency::default(),
            }
            .into(),
            Self::Purchase { items, lines } => Purchase {
                inventory: InventoryId::parse(INVENTORY)?,
                customer: CustomerId::parse(format!("c{n:07}"))?,
                lines: Lines::new(
                    (0..lines)
                        .map(|line| Ok((item(strided(n * lines + line, items))?, Quantity::ONE)))
                        .collect::<Result<Vec<_>>>()?,
                )?,
            }
            .into(),
        };
        Ok(Job { id: JobId::fresh(), at: None, request })
    }

    /// In a sentence.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Redeem => "redemptions".to_owned(),
            Self::Withdraw { accounts } => format!("withdrawals over {accounts} accounts"),
            Self::Purchase { items, lines } => format!("purchases of {lines} lines over {items} items"),
        }
    }

    /// The campaign that is redeemed, if one is.
    pub(crate) fn campaign(self) -> Result<Option<CampaignId>> {
        Ok(if self == Self::Redeem { Some(CampaignId::parse(CAMPAIGN)?) } else { None })
    }

    fn resources(self) -> Result<Vec<(JobId, Operation)>> {
        match self {
            Self::Redeem => {
                let campaign = CampaignId::parse(CAMPAIGN)?;
                let limit = Limit::new(1_000_000_000).context("a limit")?;
                let terms = CampaignCreate::new(campaign.clone(), limit);
                let terms = CampaignCreate { per_customer: Quantity::new(1), ..terms };
                Ok(vec![(JobId::create_campaign(&campaign), terms.into())])
            }
            Self::Withdraw { accounts } => (0..accounts).map(open_account).collect(),
            Self::Purchase { .. } => {
                let inventory = InventoryId::parse(INVENTORY)?;
                Ok(vec![(JobId::create_inventory(&inventory), InventoryCreate::new(inventory).into())])
            }
        }
    }
}

/// The n-th of so many: a stride that shares no factor with their number visits each of them in turn.
fn strided(n: u64, of: u64) -> u64 {
    n.wrapping_mul(7_919) % of
}

fn item(n: u64) -> Result<ItemId> {
    Ok(ItemId::parse(format!("i{n:07}"))?)
}

fn account(n: u64) -> Result<AccountId> {
    Ok(AccountId::parse(format!("a{n:07}"))?)
}

fn open_account(n: u64) -> Result<(JobId, Operation)> {
    let account = account(n)?;
    let id = JobId::create_account(&account);
    let balance = Amount::from_minor(1_000_000_000).context("an amount")?;
    Ok((id, AccountOpen { account, balance, currency: Currency::default() }.into()))
}

/// The n-th payout: the accounts in turn.
fn payout(n: u64, accounts: u64) -> Result<(JobId, Payout)> {
    let request = Payout {
        account: account(n % accounts)?,
        amount: Amount::from_minor(125).context("an amount")?,
        currency: Currency::default(),
        destination: Destination::parse("DE02120300000000202051")?,
    };
    Ok((JobId::fresh(), request))
}

/// A namespace in use.
pub(crate) struct Fixture {
    runtime: Runtime,
    link: Link,
    tollgate: Tollgate,
    queue: QueueName,
}

impl Fixture {
    /// Initialises the namespace and creates the resources of `workload`.
    pub(crate) fn open(private: &Private, workload: Workload) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (tollgate, link) = runtime.block_on(async {
            let options = RedisOptions { url: Some(private.url()), ..RedisOptions::default() };
            let (server, _) = connect(options).await?;
            let link = server.link().await?;
            anyhow::Ok((Tollgate::open_or_init(server, Namespace::default()).await?, link))
        })?;
        let queue = QueueName::default();
        let mut fixture = Self { runtime, link, tollgate, queue };
        fixture.admit(&workload.resources()?)?;
        if let Workload::Purchase { items, .. } = workload {
            fixture.stock(items)?;
        }
        Ok(fixture)
    }

    /// Puts this many items on sale.
    fn stock(&mut self, items: u64) -> Result<()> {
        let plenty = Limit::new(1_000_000).context("a limit")?;
        let stock = Stock::new((0..items).map(|n| Ok((item(n)?, plenty))).collect::<Result<Vec<_>>>()?)?;
        let inventory = InventoryId::parse(INVENTORY)?;
        let keys = self.tollgate.keys(first_partition(&self.tollgate));
        self.runtime.block_on(stock.upload(&mut self.link, keys, &inventory, |_| ()))?;
        self.admit(&[(JobId::fresh(), stock.request(inventory))])
    }

    /// Likewise with these accounts, and this many payouts whose money is held and that nobody has begun to pay.
    pub(crate) fn holding(private: &Private, accounts: u64, payouts: u64) -> Result<Self> {
        let mut fixture = Self::open(private, Workload::Withdraw { accounts })?;
        fixture.admit(&(0..payouts).map(|n| payout(n, accounts)).collect::<Result<Vec<_>>>()?)?;
        Ok(fixture)
    }

    /// Decides these without a queue.
    pub(crate) fn settle_directly(&mut self, jobs: &[Job]) -> Result<()> {
        self.admit(&jobs.iter().map(|job| (job.id.clone(), job.request.clone())).collect::<Vec<_>>())
    }

    /// Settles these without a queue.
    fn admit<R: Settle>(&mut self, requests: &[(JobId, R)]) -> Result<()> {
        for requests in requests.chunks(100) {
            let items: Vec<Item<'_>> = requests
                .iter()
                .map(|(id, request)| Item { entry: None, id, request, fingerprint: Fingerprint::of(request) })
                .collect();
            let keys = self.tollgate.keys(first_partition(&self.tollgate));
            let settlement = self.runtime.block_on(settle(&mut self.link, keys, &self.queue, &items))?;
            let decided = |answer: &Answer| matches!(answer, Answer::Decided { .. });
            anyhow::ensure!(settlement.answers.iter().all(decided), "{:?}", settlement.answers);
        }
        Ok(())
    }

    pub(crate) fn keys(&self) -> &Keys {
        self.tollgate.keys(first_partition(&self.tollgate))
    }

    pub(crate) fn queue(&self) -> &QueueName {
        &self.queue
    }

    /// Builds a backlog.
    pub(crate) fn load(&mut self, workload: Workload, jobs: u64) -> Result<()> {
        for first in (0..jobs).step_by(LOAD_CHUNK as usize) {
            let chunk: Vec<Job> =
                (first..jobs.min(first + LOAD_CHUNK)).map(|n| workload.job(n)).collect::<Result<_>>()?;
            self.enqueue(&chunk)?;
        }
        Ok(())
    }

    /// Enqueues these, all of which must be accepted.
    pub(crate) fn enqueue(&mut self, jobs: &[Job]) -> Result<()> {
        let sent = self.runtime.block_on(self.tollgate.enqueue(&mut self.link, &self.queue, jobs))?;
        sent.into_iter().collect::<Result<Vec<()>, _>>()?;
        Ok(())
    }
}

fn first_partition(tollgate: &Tollgate) -> tollgate::partition::Partition {
    tollgate.partitions().iter().next().expect("there is at least one partition")
}
