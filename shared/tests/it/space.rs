//! A namespace of one partition for one test: its calls with short names, and every key of it as a value
//! that can be compared.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use redis::Value;
use tollgate::Tollgate;
use tollgate::amount::Amount;
use tollgate::code::Code;
use tollgate::connect::Server;
use tollgate::fetch::{Row, Take};
use tollgate::fingerprint::Fingerprint;
use tollgate::ids::{AccountId, CampaignId, CustomerId, JobId, QueueName};
use tollgate::instant::Instant;
use tollgate::job::Job;
use tollgate::keys::Keys;
use tollgate::kinds::{
    AccountClose, AccountOpen, CampaignClose, CampaignCreate, CampaignSetLimit, Deposit, JobRequest, Payout,
    Redeem, Refund, Request, Reverse, Settle, Transfer, Withdraw,
};
use tollgate::link::Link;
use tollgate::partition::Partitions;
use tollgate::quantity::Limit;
use tollgate::quantity::Quantity;
use tollgate::scripts::init::Parameters;
use tollgate::scripts::park::{Destination, Parked, Parking, park};
use tollgate::scripts::recover::{Company, HeldRow, Recovered, Recovery, recover};
use tollgate::scripts::settle::{Answer, Item, Policy, Settlement, Source, settle_with};
use tollgate::scripts::stats::{self, PartitionStats};
use tollgate::scripts::{ScriptError, queue};

use crate::harness::{cmd, servers, shared};

/// A week, the default.
pub(crate) const RETENTION: std::time::Duration = tollgate::RETENTION_DEFAULT;

pub(crate) struct Space {
    pub(crate) server: Server,
    pub(crate) tollgate: Tollgate,
    pub(crate) keys: Keys,
    pub(crate) link: Link,
    pub(crate) queue: QueueName,
    /// The row that each entry was last read from.
    rows: HashMap<String, Row>,
    /// What is known to be left of each row.
    left: HashMap<Row, Vec<String>>,
}

impl Space {
    /// On the server that all tests share.
    pub(crate) async fn new() -> Self {
        Self::on(shared()).await
    }

    pub(crate) async fn on(server: Server) -> Self {
        let namespace = servers::namespace();
        let tollgate = Tollgate::init(server.clone(), namespace, Partitions::ONE, RETENTION).await.unwrap();
        let keys = tollgate.keys(Partitions::ONE.get(0).unwrap()).clone();
        let link = server.link().await.unwrap();
        let (rows, left) = Default::default();
        Self { server, tollgate, keys, link, queue: QueueName::default(), rows, left }
    }

    /// What it was initialised with, but for the retention.
    pub(crate) fn parameters(&self, retention: std::time::Duration) -> Parameters {
        Parameters { identity: self.tollgate.identity().clone(), partitions: Partitions::ONE, retention }
    }

    pub(crate) async fn run(&mut self, words: &[&str]) -> Value {
        self.link.run(&cmd(words)).await.unwrap_or_else(|failure| panic!("{words:?}: {failure}"))
    }

    pub(crate) async fn text(&mut self, words: &[&str]) -> Option<String> {
        self.link.query(&cmd(words)).await.unwrap_or_else(|failure| panic!("{words:?}: {failure}"))
    }

    pub(crate) async fn number(&mut self, words: &[&str]) -> i64 {
        self.link.query(&cmd(words)).await.unwrap_or_else(|failure| panic!("{words:?}: {failure}"))
    }

    /// Settles one request directly, under an id of its own.
    pub(crate) async fn make(&mut self, request: Request) -> Code {
        self.settle_as(&JobId::fresh(), &request).await.code().unwrap()
    }

    pub(crate) async fn settle_as<R: Settle>(&mut self, id: &JobId, request: &R) -> Answer {
        let settlement = self.settle(&[(None, id, request)]).await.unwrap();
        settlement.answers[0]
    }

    pub(crate) async fn settle<R: Settle>(
        &mut self,
        jobs: &[(Option<&str>, &JobId, &R)],
    ) -> Result<Settlement, ScriptError> {
        self.settle_with(jobs, Policy::default()).await
    }

    /// Settles jobs as a worker does: those of a row name it, and what else is in it.
    pub(crate) async fn settle_with<R: Settle>(
        &mut self,
        jobs: &[(Option<&str>, &JobId, &R)],
        policy: Policy<'_>,
    ) -> Result<Settlement, ScriptError> {
        let Some(entry) = jobs.first().and_then(|(entry, ..)| *entry) else {
            return settle_with(&mut self.link, &self.keys, &self.queue, &items(jobs), policy).await;
        };
        let row = self.row(entry);
        let named: Vec<&str> = jobs.iter().filter_map(|(entry, ..)| *entry).collect();
        let all = self.left.get(&row).cloned().unwrap_or_default();
        let left: Vec<&str> = all.iter().map(String::as_str).filter(|entry| !named.contains(entry)).collect();
        let policy = Policy { source: Some(Source { row: &row, left: &left }), ..policy };
        let settled = settle_with(&mut self.link, &self.keys, &self.queue, &items(jobs), policy).await?;
        let undecided = |entry: &str| {
            let at = named.iter().position(|named| *named == entry);
            at.is_some_and(|at| matches!(settled.answers[at], Answer::Undecided(_)))
        };
        let now = all.iter().filter(|entry| left.contains(&entry.as_str()) || undecided(entry)).cloned();
        self.left.insert(row, now.collect());
        Ok(settled)
    }

    /// What is known of rows, to be put back later.
    pub(crate) fn known(&self) -> (HashMap<String, Row>, HashMap<Row, Vec<String>>) {
        (self.rows.clone(), self.left.clone())
    }

    pub(crate) fn know_again(&mut self, known: &(HashMap<String, Row>, HashMap<Row, Vec<String>>)) {
        (self.rows, self.left) = known.clone();
    }

    /// The row that an entry was last read from.
    pub(crate) fn row(&self, entry: &str) -> Row {
        self.rows.get(entry).cloned().unwrap_or(Row { key: "0-0".to_owned(), token: "0".to_owned() })
    }

    /// From now on the entries are those of the row, as whoever read it knows it.
    pub(crate) fn know(&mut self, row: &Row, entries: impl IntoIterator<Item = String>) {
        let entries: Vec<String> = entries.into_iter().collect();
        entries.iter().for_each(|entry| _ = self.rows.insert(entry.clone(), row.clone()));
        self.left.insert(row.clone(), entries);
    }

    /// Settles fetched entries as a worker does.
    pub(crate) async fn settle_entries(&mut self, entries: &[(String, Job)]) -> Settlement {
        let mut all: Option<Settlement> = None;
        for of_row in entries
            .chunk_by(|(a, _), (b, _)| self.row(a) == self.row(b))
            .map(<[_]>::to_vec)
            .collect::<Vec<_>>()
        {
            let jobs: Vec<_> =
                of_row.iter().map(|(entry, job)| (Some(entry.as_str()), &job.id, &job.request)).collect();
            let settled = self.settle(&jobs).await.unwrap();
            match &mut all {
                Some(all) => all.answers.extend(settled.answers),
                empty => *empty = Some(settled),
            }
        }
        match all {
            Some(all) => all,
            None => self.settle::<Request>(&[]).await.unwrap(),
        }
    }

    pub(crate) async fn enqueue(&mut self, jobs: &[Job]) {
        let queue = self.queue.clone();
        for sent in self.tollgate.enqueue(&mut self.link, &queue, jobs).await.unwrap() {
            sent.unwrap();
        }
    }

    /// Another client of the same namespace, with a connection of its own.
    pub(crate) async fn another(&self) -> Self {
        let (rows, left) = Default::default();
        let (server, link) = (self.server.clone(), self.server.link().await.unwrap());
        let (tollgate, keys, queue) = (self.tollgate.clone(), self.keys.clone(), self.queue.clone());
        Self { server, tollgate, keys, link, queue, rows, left }
    }

    /// Takes up to `count` entries as `worker`, whatever they hold.
    pub(crate) async fn take(&mut self, worker: &str, count: usize) -> Vec<tollgate::fetch::Delivered> {
        let taken = Take::new(&self.keys, &self.queue, worker, count).run(&mut self.link).await.unwrap();
        let Some(taken) = taken else { return Vec::new() };
        self.know(&taken.row, taken.entries.iter().map(|delivered| delivered.entry.clone()));
        taken.entries
    }

    /// Takes up to `count` entries as `worker`.
    pub(crate) async fn fetch(&mut self, worker: &str, count: usize) -> Vec<(String, Job)> {
        let decode = |job: &[u8]| tollgate::envelope::Envelope::decode_job(job).unwrap();
        self.take(worker, count)
            .await
            .into_iter()
            .map(|delivered| (delivered.entry, decode(&delivered.job)))
            .collect()
    }

    /// Takes over, as `worker`, one row that another has held for `idle`, and reads it.
    pub(crate) async fn take_over(
        &mut self,
        worker: &str,
        idle: Duration,
        company: Company,
    ) -> Option<(Recovered, Vec<(String, Job)>)> {
        let recovery = Recovery::Others(idle);
        let held: Vec<HeldRow> = Vec::new();
        let rows =
            recover(&mut self.link, &self.keys, &self.queue, worker, recovery, company, &held).await.unwrap();
        let row = rows.rows.into_iter().find(|row| row.was_taken_over)?;
        let (link, keys, queue) = (&mut self.link, &self.keys, &self.queue);
        let read = tollgate::fetch::read_row(link, keys, queue, &row, None, 1_000).await.unwrap();
        self.know(&row.row, read.iter().map(|delivered| delivered.entry.clone()));
        let decode = |job: &[u8]| tollgate::envelope::Envelope::decode_job(job).unwrap();
        Some((row, read.into_iter().map(|delivered| (delivered.entry, decode(&delivered.job))).collect()))
    }

    /// Enqueues and fetches: entries that are pending under `consumer`.
    pub(crate) async fn deliver(&mut self, consumer: &str, jobs: &[Job]) -> Vec<(String, Job)> {
        self.enqueue(jobs).await;
        let entries = self.fetch(consumer, jobs.len()).await;
        assert_eq!(entries.len(), jobs.len());
        entries
    }

    pub(crate) async fn park(
        &mut self,
        (entry, job): &(String, Job),
        destination: Destination,
    ) -> Result<Parked, ScriptError> {
        let envelope = job.encode();
        let parking = Parking {
            entry,
            id: &job.id,
            fingerprint: Fingerprint::of(&job.request),
            attempts: 0,
            envelope: envelope.as_bytes(),
            destination,
        };
        self.park_as(parking).await
    }

    pub(crate) async fn park_as(&mut self, parking: Parking<'_>) -> Result<Parked, ScriptError> {
        let row = self.row(parking.entry);
        let all = self.left.get(&row).cloned().unwrap_or_default();
        let left: Vec<&str> =
            all.iter().map(String::as_str).filter(|entry| *entry != parking.entry).collect();
        let source = Source { row: &row, left: &left };
        let parked = park(&mut self.link, &self.keys, &self.queue, source, &[parking]).await?[0];
        if !matches!(parked, Parked::Due | Parked::DeadFull) {
            self.left.insert(row, left.into_iter().map(str::to_owned).collect());
        }
        Ok(parked)
    }

    pub(crate) async fn queues(&mut self) -> Vec<QueueName> {
        queue::known(&mut self.link, &self.keys).await.unwrap()
    }

    /// The counters, with the conservation law checked.
    pub(crate) async fn stats(&mut self) -> PartitionStats {
        let stats = stats::read(&mut self.link, &self.keys).await.unwrap();
        let (accepted, found) = stats.conservation();
        assert_eq!(accepted, found, "the conservation law: {stats:#?}");
        assert_eq!(stats.contradicted_queue(), None, "{stats:#?}");
        stats
    }

    /// Server time in milliseconds.
    pub(crate) async fn now_ms(&mut self) -> u64 {
        let (seconds, micros): (u64, u64) = self.link.query(&cmd(&["TIME"])).await.unwrap();
        seconds * 1000 + micros / 1000
    }

    /// Parks an entry as scheduled, to be due at once: behind the scripts' backs, who would not park what is due.
    pub(crate) async fn park_due(&mut self, entry: &(String, Job)) {
        let later = Instant::from_ms(self.now_ms().await + 3_600_000).unwrap();
        assert_eq!(self.park(entry, Destination::Scheduled(later)).await.unwrap(), Parked::Moved);
        let scheduled = self.keys.scheduled();
        self.run(&["ZADD", &scheduled, "XX", "1", entry.1.id.as_str()]).await;
    }

    /// Raises or lowers the floor behind the scripts' backs, in hours from now.
    pub(crate) async fn set_floor(&mut self, hours_from_now: i64) -> u64 {
        let hour = (self.now_ms().await / 3_600_000).saturating_add_signed(hours_from_now);
        let head = self.keys.head();
        self.run(&["HSET", &head, "receipts_floor", &hour.to_string()]).await;
        hour
    }

    /// Every key of the partition, its name without the tag.
    pub(crate) async fn dump(&mut self) -> Dump {
        let tag = self.keys.head().trim_end_matches("head").to_owned();
        let names: Vec<String> = self.link.query(&cmd(&["KEYS", &format!("{tag}*")])).await.unwrap();
        let mut types = redis::pipe();
        names.iter().for_each(|name| _ = types.cmd("TYPE").arg(name));
        let types = self.link.run_pipeline(&types).await.unwrap();
        let types: Vec<String> =
            types.into_iter().map(|reply| redis::from_redis_value(reply.unwrap()).unwrap()).collect();
        let mut reads = redis::pipe();
        for (name, kind) in names.iter().zip(&types) {
            match kind.as_str() {
                "hash" => _ = reads.cmd("HGETALL").arg(name),
                "string" => _ = reads.cmd("GET").arg(name),
                "zset" => _ = reads.cmd("ZRANGE").arg(name).arg(&["0", "-1", "WITHSCORES"]),
                "stream" => {
                    reads.cmd("XRANGE").arg(name).arg(&["-", "+"]);
                    reads.cmd("XINFO").arg("GROUPS").arg(name);
                }
                _ => _ = reads.cmd("DUMP").arg(name),
            }
        }
        let mut replies = self.link.run_pipeline(&reads).await.unwrap().into_iter();
        let mut next = move || replies.next().unwrap();
        let contents = types.iter().map(|kind| match kind.as_str() {
            "hash" => Content::Hash(redis::from_redis_value(next().unwrap()).unwrap()),
            "string" => Content::Text(redis::from_redis_value(next().unwrap()).unwrap()),
            "zset" => Content::Zset(redis::from_redis_value(next().unwrap()).unwrap()),
            "stream" => Content::Stream { entries: next().unwrap(), groups: next().unwrap() },
            _ => Content::Other(next().unwrap()),
        });
        let contents: Vec<Content> = contents.collect();
        Dump(names.iter().map(|name| name.trim_start_matches(&tag).to_owned()).zip(contents).collect())
    }
}

pub(crate) fn items<'a, R: Settle>(jobs: &[(Option<&'a str>, &'a JobId, &'a R)]) -> Vec<Item<'a>> {
    let item = |&(entry, id, request): &(Option<&'a str>, &'a JobId, &'a R)| Item {
        entry,
        id,
        request,
        fingerprint: Fingerprint::of(request),
    };
    jobs.iter().map(item).collect()
}

/// What one key holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Content {
    Hash(BTreeMap<String, String>),
    Zset(Vec<(String, String)>),
    Text(String),
    Stream { entries: Value, groups: Value },
    Other(Value),
}

/// Every key of a partition.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Dump(pub(crate) BTreeMap<String, Content>);

impl Dump {
    /// The keys that differ, were added or are gone.
    pub(crate) fn changed(&self, after: &Self) -> Vec<String> {
        let names: std::collections::BTreeSet<_> = self.0.keys().chain(after.0.keys()).collect();
        names.into_iter().filter(|name| self.0.get(*name) != after.0.get(*name)).cloned().collect()
    }

    /// A hash, or an account by its fields; empty if there is none.
    pub(crate) fn hash(&self, key: &str) -> BTreeMap<String, String> {
        match self.0.get(key) {
            Some(content) => self.fields(key).unwrap_or_else(|| panic!("{key} holds {content:?}")),
            None => BTreeMap::new(),
        }
    }

    /// The same; `None` if there is none, or the key is of another type.
    pub(crate) fn fields(&self, key: &str) -> Option<BTreeMap<String, String>> {
        match self.0.get(key)? {
            Content::Hash(rows) => Some(rows.clone()),
            Content::Text(text) if key.starts_with("account:") => {
                let names = ["available", "held", "currency", "status", "seq"].map(str::to_owned);
                Some(names.into_iter().zip(text.split(' ').map(str::to_owned)).collect())
            }
            _ => None,
        }
    }

    /// The members of a sorted set.
    pub(crate) fn members(&self, key: &str) -> Vec<String> {
        match self.0.get(key) {
            Some(Content::Zset(rows)) => rows.iter().map(|(member, _)| member.clone()).collect(),
            None => Vec::new(),
            other => panic!("{key} holds {other:?}"),
        }
    }

    /// The members of a sorted set; none if the key holds something else.
    pub(crate) fn members_or_none(&self, key: &str) -> Vec<String> {
        match self.0.get(key) {
            Some(Content::Zset(rows)) => rows.iter().map(|(member, _)| member.clone()).collect(),
            _ => Vec::new(),
        }
    }

    /// How many entries a stream has.
    pub(crate) fn stream_len(&self, key: &str) -> usize {
        match self.0.get(key) {
            Some(Content::Stream { entries: Value::Array(entries), .. }) => entries.len(),
            None => 0,
            other => panic!("{key} holds {other:?}"),
        }
    }
}

pub(crate) fn id(text: &str) -> JobId {
    JobId::parse(text).unwrap()
}

/// A timed id of `hours` from now by this machine's clock; the test's server has the same.
pub(crate) fn timed_id(hours: i64, n: u8) -> JobId {
    let at_ms = tollgate::instant::Instant::now().ms().saturating_add_signed(hours * 3_600_000);
    let uuid = uuid::Builder::from_unix_timestamp_millis(at_ms, &[n; 10]).into_uuid();
    JobId::parse(uuid.to_string()).unwrap()
}

pub(crate) fn redeem(campaign: &str, customer: &str, quantity: u64) -> Request {
    Redeem {
        campaign: CampaignId::parse(campaign).unwrap(),
        customer: CustomerId::parse(customer).unwrap(),
        quantity: Quantity::new(quantity).unwrap(),
    }
    .into()
}

fn money(amount: u64) -> Amount {
    Amount::from_minor(amount).unwrap()
}

fn account(name: &str) -> AccountId {
    AccountId::parse(name).unwrap()
}

pub(crate) fn withdraw(name: &str, amount: u64) -> Request {
    Withdraw { account: account(name), amount: money(amount), currency: "USD".parse().unwrap() }.into()
}

pub(crate) fn payout(name: &str, amount: u64) -> Request {
    let (account, amount) = (account(name), money(amount));
    let (currency, destination) = ("USD".parse().unwrap(), "iban-1".parse().unwrap());
    Payout { account, amount, currency, destination }.into()
}

pub(crate) fn deposit(name: &str, amount: u64) -> Request {
    Deposit { account: account(name), amount: money(amount), currency: "USD".parse().unwrap() }.into()
}

pub(crate) fn transfer(from: &str, to: &str, amount: u64) -> Request {
    let currency = "USD".parse().unwrap();
    Transfer { from: account(from), to: account(to), amount: money(amount), currency }.into()
}

pub(crate) fn refund(name: &str, of: &JobId, amount: u64) -> Request {
    Refund { account: account(name), of: of.clone(), amount: money(amount) }.into()
}

pub(crate) fn reverse(campaign: &str, customer: &str, quantity: u64, of: &JobId) -> Request {
    let (campaign, customer) = (campaign.parse().unwrap(), customer.parse().unwrap());
    Reverse {
        campaign,
        customer,
        quantity: Quantity::new(quantity).unwrap(),
        of: of.clone(),
        reissue_code: false,
    }
    .into()
}

pub(crate) fn open(name: &str, balance: u64) -> Request {
    AccountOpen { account: account(name), balance: money(balance), currency: "USD".parse().unwrap() }.into()
}

pub(crate) fn close(name: &str) -> Request {
    AccountClose { account: account(name) }.into()
}

/// A campaign without window, codes or a bound per customer.
pub(crate) fn terms(campaign: &str, limit: u64) -> CampaignCreate {
    CampaignCreate::new(CampaignId::parse(campaign).unwrap(), Limit::new(limit).unwrap())
}

pub(crate) fn create(campaign: &str, limit: u64) -> Request {
    terms(campaign, limit).into()
}

/// With a bound per customer, if there is one.
pub(crate) fn create_for_each(campaign: &str, limit: u64, per_customer: Option<u64>) -> Request {
    CampaignCreate { per_customer: per_customer.and_then(Quantity::new), ..terms(campaign, limit) }.into()
}

pub(crate) fn end(campaign: &str) -> Request {
    CampaignClose { campaign: CampaignId::parse(campaign).unwrap() }.into()
}

pub(crate) fn set_limit(campaign: &str, limit: u64, expected: Option<u64>) -> Request {
    CampaignSetLimit {
        campaign: CampaignId::parse(campaign).unwrap(),
        limit: Limit::new(limit).unwrap(),
        expected: expected.map(|limit| Limit::new(limit).unwrap()),
    }
    .into()
}

pub(crate) fn job(id: &JobId, request: Request) -> Job {
    Job { id: id.clone(), at: None, request: queued(request) }
}

/// What may lie in a stream.
pub(crate) fn queued(request: Request) -> JobRequest {
    match request {
        Request::Job(request) => request,
        Request::Operation(operation) => panic!("{operation:?} is no job"),
    }
}

/// A job under a fresh id.
pub(crate) fn fresh(request: Request) -> Job {
    job(&JobId::fresh(), request)
}
