//! Records as Tollgate's campaigns, accounts, cases and items of inventories, requests as jobs that real workers settle; a
//! decision of a case is none, and whoever asks settles it.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use tollgate::Tollgate;
use tollgate::amount::Amount;
use tollgate::case::CaseState;
use tollgate::code::{Class, Code};
use tollgate::connect::{Endpoint, RESPONSE_TIMEOUT, Server};
use tollgate::fingerprint::Fingerprint;
use tollgate::ids::{AccountId, CampaignId, CaseId, InventoryId, ItemId, JobId, Namespace, QueueName};
use tollgate::inventory::{self, InventoryState};
use tollgate::job::Job;
use tollgate::journal;
use tollgate::kinds::{
    AccountOpen, CampaignCreate, CaseOpen, Decide, Event, Fields, InventoryCreate, JobRequest, Operation,
    Purchase, Redeem, Withdraw,
};
use tollgate::lines::Lines;
use tollgate::link::Link;
use tollgate::options::Options;
use tollgate::outcome::OutcomeClass;
use tollgate::partition::Partition;
use tollgate::quantity::Limit;
use tollgate::quantity::Quantity;
use tollgate::resources::{self, AccountState, CampaignState, Listed};
use tollgate::scripts::settle::{Answer as Settled, BATCH_MAX, Item, settle};
use tollgate::stock::Stock;

use super::super::scenario::{Record, Request, Role, Round, Take};
use super::super::trace::{Reply, State};

/// Between two looks at what became of a job.
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// How long a job may take.
const SETTLED_WITHIN: Duration = Duration::from_secs(30);
const CURRENCY: &str = "USD";

/// One client of the job system: enqueues, and asks what became of it.
pub(in crate::race) struct Jobs {
    tollgate: Tollgate,
    link: Link,
    /// Where the journal ended when the records were made.
    seq: u64,
}

impl Jobs {
    /// Opens the namespace on the Redis behind this socket.
    pub(in crate::race) async fn open(socket: &Path) -> anyhow::Result<Self> {
        let server = Server::open(Endpoint::unix(socket, RESPONSE_TIMEOUT)?);
        let link = server.link().await?;
        Ok(Self { tollgate: Tollgate::open(server, Namespace::default()).await?, link, seq: 0 })
    }

    fn partition(&self) -> anyhow::Result<Partition> {
        self.tollgate.partitions().iter().next().context("a namespace without partitions")
    }

    /// Creates the campaigns, opens the accounts and the cases, and loads the inventories.
    pub(in crate::race) async fn set_up(&mut self, records: &[Record]) -> anyhow::Result<()> {
        let mut wanted: Vec<(JobId, Operation)> = Vec::new();
        let mut stocks: BTreeMap<InventoryId, Vec<(ItemId, Limit)>> = BTreeMap::new();
        for Record { key, quantity, role, .. } in records {
            wanted.push(match role {
                Role::Account => {
                    let account = AccountId::parse(key.as_str())?;
                    let (balance, currency) = (amount(*quantity)?, CURRENCY.parse()?);
                    (JobId::create_account(&account), AccountOpen { account, balance, currency }.into())
                }
                Role::Campaign { per_customer } => {
                    let campaign = CampaignId::parse(key.as_str())?;
                    let limit = limit(*quantity)?;
                    let per_customer = per_customer.map(pieces).transpose()?;
                    let id = JobId::create_campaign(&campaign);
                    (id, CampaignCreate { per_customer, ..CampaignCreate::new(campaign, limit) }.into())
                }
                Role::Case => {
                    let case = CaseId::parse(key.as_str())?;
                    (JobId::open_case(&case), CaseOpen { case, options: Options::default() }.into())
                }
                Role::Item { inventory } => {
                    let item = (ItemId::parse(key.as_str())?, limit(*quantity)?);
                    stocks.entry(InventoryId::parse(inventory.as_str())?).or_default().push(item);
                    continue;
                }
                // Part of the campaign's terms.
                Role::Allowance { .. } => continue,
            });
        }
        self.make(&wanted).await?;
        for (inventory, items) in stocks {
            let stock = Stock::new(items)?;
            let id = JobId::create_inventory(&inventory);
            self.make(&[(id, InventoryCreate::new(inventory.clone()).into())]).await?;
            let keys = self.tollgate.keys(self.partition()?);
            stock.upload(&mut self.link, keys, &inventory, |_| ()).await?;
            self.make(&[(JobId::fresh(), stock.request(inventory).into())]).await?;
        }
        Ok(())
    }

    /// Settles operations, each of which must be applied.
    async fn make(&mut self, wanted: &[(JobId, Operation)]) -> anyhow::Result<()> {
        let keys = self.tollgate.keys(self.partition()?);
        let queue = QueueName::default();
        for chunk in wanted.chunks(BATCH_MAX) {
            let items: Vec<Item<'_>> = chunk
                .iter()
                .map(|(id, request)| Item { entry: None, id, request, fingerprint: Fingerprint::of(request) })
                .collect();
            let settlement = settle(&mut self.link, keys, &queue, &items).await?;
            let made = |answer: &Settled| answer.direct_code().class() == Class::Applied;
            ensure!(settlement.answers.iter().all(made), "not created: {:?}", settlement.answers);
            self.seq = settlement.seq_before;
        }
        Ok(())
    }

    /// What campaigns and accounts say, and how many lines of the journal changed each.
    pub(in crate::race) async fn states(&mut self, records: &[Record]) -> anyhow::Result<Vec<State>> {
        let spent = self.journal().await?;
        let taken = |resource: &str, customer: &str| {
            let of = |((id, who), _): &(&(String, String), &i64)| {
                id == resource && (customer.is_empty() || who == customer)
            };
            spent.iter().filter(of).map(|(_, times)| *times).sum::<i64>()
        };
        let mut states = Vec::with_capacity(records.len());
        for record in records {
            let version = match &record.role {
                Role::Allowance { campaign, customer } => taken(&records[*campaign].key, customer),
                Role::Account | Role::Campaign { .. } | Role::Case | Role::Item { .. } => {
                    taken(&record.key, "")
                }
            };
            let quantity = match &record.role {
                Role::Account => {
                    let account: AccountState = self.resource(AccountId::parse(record.key.as_str())?).await?;
                    i64::try_from(account.available.minor())?
                }
                Role::Campaign { .. } => {
                    let campaign: CampaignState =
                        self.resource(CampaignId::parse(record.key.as_str())?).await?;
                    i64::try_from(campaign.limit.get())? - i64::try_from(campaign.issued)?
                }
                Role::Case => {
                    let case: CaseState = self.resource(CaseId::parse(record.key.as_str())?).await?;
                    record.quantity - i64::from(case.word.is_some())
                }
                Role::Item { inventory } => {
                    let name = InventoryId::parse(inventory.as_str())?;
                    let state: InventoryState = self.resource(name.clone()).await?;
                    let item = ItemId::parse(record.key.as_str())?;
                    let keys = self.tollgate.keys(self.partition()?);
                    let items = inventory::items(&mut self.link, keys, (&name, &state), &[item]).await?;
                    let item = items.first().copied().flatten().context("an item cannot be read")?;
                    i64::try_from(item.available())?
                }
                Role::Allowance { .. } => record.quantity - version,
            };
            states.push(State { quantity, version });
        }
        Ok(states)
    }

    async fn resource<T: Listed + Clone>(&mut self, id: T::Id) -> anyhow::Result<T> {
        let keys = self.tollgate.keys(self.partition()?);
        let name = id.to_string();
        let found = resources::read::<T>(&mut self.link, keys, &[id]).await?;
        found.first().and_then(|held| held.state().cloned()).with_context(|| format!("{name} cannot be read"))
    }

    /// How often each customer was given something of each resource since the records were made.
    async fn journal(&mut self) -> anyhow::Result<HashMap<(String, String), i64>> {
        const PAGE: usize = 500;
        let keys = self.tollgate.keys(self.partition()?);
        let mut spent = HashMap::new();
        let mut next = self.seq + 1;
        loop {
            let entries = journal::read(&mut self.link, keys, next, PAGE).await??;
            let Some(last) = entries.last() else { return Ok(spent) };
            next = last.seq_last + 1;
            for entry in &entries {
                for line in entry.lines()?.into_iter().filter(|line| line.code.class() == Class::Applied) {
                    let id = line.event.resource().id().to_owned();
                    let taken = match &line.event {
                        Event::Job(JobRequest::Redeem(redeem)) => vec![(id, redeem.customer.to_string())],
                        Event::Job(JobRequest::Withdraw(_)) => vec![(id, String::new())],
                        Event::Operation(Operation::Decide(word)) => vec![(id, word.by.to_string())],
                        Event::Job(JobRequest::Purchase(order)) => {
                            let items = order.lines.iter();
                            items.map(|(item, _)| (item.to_string(), order.customer.to_string())).collect()
                        }
                        _ => continue,
                    };
                    taken.into_iter().for_each(|taken| *spent.entry(taken).or_default() += 1);
                }
            }
        }
    }

    /// Sends the request as a job and waits until it is decided. Its receipt is the journal line that decided it.
    pub(in crate::race) async fn ask(&mut self, round: &Round, request: &Request) -> anyhow::Result<Reply> {
        if let Some(decision) = &request.decision {
            return self.decide(round, request, decision).await;
        }
        let job = job(round, request)?;
        let (id, jobs) = (job.id.clone(), [job]);
        let sent = self.tollgate.enqueue(&mut self.link, &QueueName::default(), &jobs).await?;
        sent.into_iter().collect::<Result<Vec<()>, _>>()?;
        let (partition, asked_at) = (self.partition()?, Instant::now());
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let (_, outcomes) =
                self.tollgate.lookup_in(&mut self.link, partition, std::slice::from_ref(&id)).await?;
            let outcome = outcomes.first().context("no outcome")?;
            match outcome.class {
                OutcomeClass::Applied => {
                    return Ok(Reply::Granted { receipt: outcome.seq.map(|seq| seq.to_string()) });
                }
                OutcomeClass::Refused => return Ok(Reply::Refused),
                OutcomeClass::NotDecided => {}
                OutcomeClass::Pending | OutcomeClass::Dead | OutcomeClass::Expired => {
                    bail!("{id}: {} {}", outcome.class, outcome.code.unwrap_or(Code::CorruptState.name()))
                }
            }
            ensure!(asked_at.elapsed() < SETTLED_WITHIN, "{id} is not decided after {SETTLED_WITHIN:?}");
        }
    }
}

impl Jobs {
    /// Decides a case: settled by this call.
    async fn decide(&mut self, round: &Round, request: &Request, decision: &str) -> anyhow::Result<Reply> {
        let take = request.takes.first().context("a request for nothing")?;
        let word = Decide {
            case: CaseId::parse(round.records[take.record].key.as_str())?,
            decision: decision.parse()?,
            by: request.customer.parse()?,
            expect_version: None,
            reason: None,
        };
        let id = JobId::parse(request.id.as_str())?;
        let answer = self.tollgate.settle_one(&mut self.link, &id, &word).await?;
        match (answer.code(), answer.decided()) {
            (Some(Code::Decided), (Some(seq), _)) => Ok(Reply::Granted { receipt: Some(seq.to_string()) }),
            (Some(Code::AlreadyDecided), _) => Ok(Reply::Refused),
            _ => bail!("{id}: {answer:?}"),
        }
    }
}

fn job(round: &Round, request: &Request) -> anyhow::Result<Job> {
    // An allowance is part of the campaign's terms.
    let take = request.takes.first().context("a request for nothing")?;
    let record = &round.records[take.record];
    let asked = match &record.role {
        Role::Account => Withdraw {
            account: AccountId::parse(record.key.as_str())?,
            amount: amount(take.amount)?,
            currency: CURRENCY.parse()?,
        }
        .into(),
        Role::Item { inventory } => {
            let line = |take: &Take| {
                Ok((ItemId::parse(round.records[take.record].key.as_str())?, pieces(take.amount)?))
            };
            Purchase {
                inventory: InventoryId::parse(inventory.as_str())?,
                customer: request.customer.replace(' ', "-").parse()?,
                lines: Lines::new(request.takes.iter().map(line).collect::<anyhow::Result<Vec<_>>>()?)?,
            }
            .into()
        }
        Role::Case => bail!("a case is decided, and not by a job"),
        Role::Campaign { .. } | Role::Allowance { .. } => Redeem {
            campaign: CampaignId::parse(record.key.as_str())?,
            customer: request.customer.parse()?,
            quantity: pieces(take.amount)?,
        }
        .into(),
    };
    Ok(Job { id: JobId::parse(request.id.as_str())?, at: None, request: asked })
}

fn amount(number: i64) -> anyhow::Result<Amount> {
    u64::try_from(number).ok().and_then(Amount::from_minor).with_context(|| format!("{number} is no amount"))
}

fn limit(number: i64) -> anyhow::Result<Limit> {
    u64::try_from(number).ok().and_then(Limit::new).with_context(|| format!("{number} is no limit"))
}

fn pieces(number: i64) -> anyhow::Result<Quantity> {
    u64::try_from(number).ok().and_then(Quantity::new).with_context(|| format!("{number} is no quantity"))
}
