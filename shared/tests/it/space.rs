//! A namespace of one partition for one test: its calls with short names, and every key of it as a value
//! that can be compared.

use std::collections::BTreeMap;

use redis::Value;
use tollgate::Tollgate;
use tollgate::amount::Amount;
use tollgate::code::Code;
use tollgate::connect::Server;
use tollgate::fingerprint::Fingerprint;
use tollgate::ids::{AccountId, CampaignId, CustomerId, JobId, Namespace, QueueName};
use tollgate::job::{CampaignTerms, Job, Limit, Quantity, Request, Window};
use tollgate::keys::{GROUP, Keys};
use tollgate::link::Link;
use tollgate::partition::Partitions;
use tollgate::scripts::init::Parameters;
use tollgate::scripts::park::{Destination, Parked, Parking, park};
use tollgate::scripts::settle::{Answer, Item, Settlement, settle};
use tollgate::scripts::stats::{self, PartitionStats};
use tollgate::scripts::{ScriptError, queue};

use crate::harness::{TestRedis, cmd};

/// A week, the default.
pub(crate) const RETENTION: std::time::Duration = tollgate::RETENTION_DEFAULT;

pub(crate) struct Space {
    pub(crate) server: Server,
    pub(crate) tollgate: Tollgate,
    pub(crate) keys: Keys,
    pub(crate) link: Link,
    pub(crate) queue: QueueName,
}

impl Space {
    /// On the server that all tests share.
    pub(crate) async fn new() -> Self {
        Self::on(TestRedis::shared()).await
    }

    pub(crate) async fn on(server: Server) -> Self {
        let namespace = Namespace::parse(TestRedis::ns()).unwrap();
        let tollgate = Tollgate::init(server.clone(), namespace, Partitions::ONE, RETENTION).await.unwrap();
        let keys = tollgate.keys(Partitions::ONE.get(0).unwrap()).clone();
        let link = server.link().await.unwrap();
        Self { server, tollgate, keys, link, queue: QueueName::default() }
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
        self.settle_as(&JobId::fresh(), &request).await.code()
    }

    pub(crate) async fn settle_as(&mut self, id: &JobId, request: &Request) -> Answer {
        let settlement = self.settle(&[(None, id, request)]).await.unwrap();
        settlement.answers[0]
    }

    pub(crate) async fn settle(
        &mut self,
        jobs: &[(Option<&str>, &JobId, &Request)],
    ) -> Result<Settlement, ScriptError> {
        settle(&mut self.link, &self.keys, &self.queue, &items(jobs)).await
    }

    /// Settles fetched entries as a worker does.
    pub(crate) async fn settle_entries(&mut self, entries: &[(String, Job)]) -> Settlement {
        let jobs: Vec<_> =
            entries.iter().map(|(entry, job)| (Some(entry.as_str()), &job.id, &job.request)).collect();
        self.settle(&jobs).await.unwrap()
    }

    pub(crate) async fn enqueue(&mut self, jobs: &[Job]) {
        let queue = self.queue.clone();
        for sent in self.tollgate.enqueue(&mut self.link, &queue, jobs).await.unwrap() {
            sent.unwrap();
        }
    }

    /// Reads up to `count` new entries as `consumer`.
    pub(crate) async fn fetch(&mut self, consumer: &str, count: usize) -> Vec<(String, Job)> {
        let stream = self.keys.queue(&self.queue);
        let reply = self
            .run(&[
                "XREADGROUP",
                "GROUP",
                GROUP,
                consumer,
                "COUNT",
                &count.to_string(),
                "STREAMS",
                &stream,
                ">",
            ])
            .await;
        let Value::Array(mut streams) = reply else { return Vec::new() };
        let Some(Value::Array(mut stream)) = streams.pop() else { panic!("{streams:?}") };
        let Some(Value::Array(entries)) = stream.pop() else { panic!("{stream:?}") };
        entries.into_iter().map(read_entry).collect()
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
        consumer: &str,
        (entry, job): &(String, Job),
        destination: Destination,
    ) -> Result<Parked, ScriptError> {
        let envelope = job.encode();
        let parking = Parking {
            queue: &self.queue,
            entry,
            consumer,
            id: &job.id,
            fingerprint: Fingerprint::of(&job.request),
            attempts: 0,
            envelope: envelope.as_bytes(),
            destination,
        };
        park(&mut self.link, &self.keys, parking).await
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
                "zset" => _ = reads.cmd("ZRANGE").arg(name).arg(&["0", "-1", "WITHSCORES"]),
                "stream" => {
                    reads.cmd("XRANGE").arg(name).arg(&["-", "+"]);
                    reads.cmd("XINFO").arg("GROUPS").arg(name);
                    reads.cmd("XPENDING").arg(name).arg(&[GROUP, "-", "+", "1000000"]);
                }
                _ => _ = reads.cmd("DUMP").arg(name),
            }
        }
        let mut replies = self.link.run_pipeline(&reads).await.unwrap().into_iter();
        let mut next = move || replies.next().unwrap();
        let contents = types.iter().map(|kind| match kind.as_str() {
            "hash" => Content::Hash(redis::from_redis_value(next().unwrap()).unwrap()),
            "zset" => Content::Zset(redis::from_redis_value(next().unwrap()).unwrap()),
            "stream" => Content::Stream {
                entries: next().unwrap(),
                groups: next().unwrap(),
                pending: next().map(pending_rows).unwrap_or_default(),
            },
            _ => Content::Other(next().unwrap()),
        });
        let contents: Vec<Content> = contents.collect();
        Dump(names.iter().map(|name| name.trim_start_matches(&tag).to_owned()).zip(contents).collect())
    }
}

/// Entry, consumer and deliveries of each pending entry, without the idle time, which moves by itself.
fn pending_rows(reply: Value) -> Vec<(String, String, u64)> {
    let rows: Vec<(String, String, u64, u64)> = redis::from_redis_value(reply).unwrap();
    rows.into_iter().map(|(entry, owner, _idle, deliveries)| (entry, owner, deliveries)).collect()
}

fn read_entry(value: Value) -> (String, Job) {
    let (entry, fields): (String, Vec<String>) = redis::from_redis_value(value).unwrap();
    assert_eq!(fields[0], "job");
    (entry, tollgate::envelope::Envelope::decode_job(fields[1].as_bytes()).unwrap())
}

pub(crate) fn items<'a>(jobs: &[(Option<&'a str>, &'a JobId, &'a Request)]) -> Vec<Item<'a>> {
    let item = |&(entry, id, request): &(Option<&'a str>, &'a JobId, &'a Request)| Item {
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
    Stream { entries: Value, groups: Value, pending: Vec<(String, String, u64)> },
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

    /// A hash; empty if there is none.
    pub(crate) fn hash(&self, key: &str) -> BTreeMap<String, String> {
        match self.0.get(key) {
            Some(Content::Hash(rows)) => rows.clone(),
            None => BTreeMap::new(),
            other => panic!("{key} holds {other:?}"),
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
    Request::Redeem {
        campaign: CampaignId::parse(campaign).unwrap(),
        customer: CustomerId::parse(customer).unwrap(),
        quantity: Quantity::new(quantity).unwrap(),
    }
}

fn money(amount: u64) -> Amount {
    Amount::from_minor(amount).unwrap()
}

fn account(name: &str) -> AccountId {
    AccountId::parse(name).unwrap()
}

pub(crate) fn withdraw(name: &str, amount: u64) -> Request {
    Request::Withdraw { account: account(name), amount: money(amount), currency: "USD".parse().unwrap() }
}

pub(crate) fn deposit(name: &str, amount: u64) -> Request {
    Request::Deposit { account: account(name), amount: money(amount), currency: "USD".parse().unwrap() }
}

pub(crate) fn open(name: &str, balance: u64) -> Request {
    Request::AccountOpen { account: account(name), balance: money(balance), currency: "USD".parse().unwrap() }
}

pub(crate) fn close(name: &str) -> Request {
    Request::AccountClose { account: account(name) }
}

/// A campaign without window, codes or a bound per customer.
pub(crate) fn terms(campaign: &str, limit: u64) -> CampaignTerms {
    CampaignTerms {
        campaign: CampaignId::parse(campaign).unwrap(),
        limit: Limit::new(limit).unwrap(),
        per_customer: None,
        window: Window::default(),
        codes: None,
    }
}

pub(crate) fn create(campaign: &str, limit: u64) -> Request {
    Request::CampaignCreate(terms(campaign, limit))
}

pub(crate) fn end(campaign: &str) -> Request {
    Request::CampaignClose { campaign: CampaignId::parse(campaign).unwrap() }
}

pub(crate) fn set_limit(campaign: &str, limit: u64, expected: Option<u64>) -> Request {
    Request::CampaignSetLimit {
        campaign: CampaignId::parse(campaign).unwrap(),
        limit: Limit::new(limit).unwrap(),
        expected: expected.map(|limit| Limit::new(limit).unwrap()),
    }
}

pub(crate) fn job(id: &JobId, request: Request) -> Job {
    Job { id: id.clone(), at: None, request }
}

/// A job under a fresh id.
pub(crate) fn fresh(request: Request) -> Job {
    job(&JobId::fresh(), request)
}
