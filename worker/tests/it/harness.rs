//! Real workers on a real redis-server, driven as processes and by signals.
//!
//! The workers have fail points: `cargo test -p tollgate-worker --features failpoints`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use redis::Value;
use rustix::process::Signal;
use tollgate::Tollgate;
use tollgate::embedded::Temporary;
use tollgate::fetch::Take;
use tollgate::ids::{CampaignId, JobId, QueueName};
use tollgate::job::Job;
use tollgate::keys::Keys;
use tollgate::kinds::{CampaignCreate, Redeem, Settle};
use tollgate::partition::Partitions;
use tollgate::quantity::Limit;
use tollgate::quantity::Quantity;
use tollgate::resource::Resource;
use tollgate::scripts::lookup::{ParkedState, Trace, lookup};
use tollgate::scripts::stats::{self, PartitionStats};
use tollgate_testkit::process::Running;
use tollgate_testkit::servers::{bare, namespace, open_at, run};
pub(crate) use tollgate_testkit::servers::{open as server, private, shared};
pub(crate) use tollgate_testkit::wait::until;

/// The campaign that tests redeem from.
pub(crate) const CAMPAIGN: &str = "summer";

/// A namespace of one's own, of one partition, with a campaign of a million.
pub(crate) struct Space {
    pub(crate) url: String,
    pub(crate) tollgate: Tollgate,
}

impl Space {
    pub(crate) async fn on(redis: &Temporary) -> Self {
        Self::with_partitions(redis, 1).await
    }

    pub(crate) async fn with_partitions(redis: &Temporary, count: u16) -> Self {
        Self::at(redis.url(), count).await
    }

    /// By an address.
    pub(crate) async fn at(url: String, count: u16) -> Self {
        let partitions = Partitions::new(count).unwrap();
        let retention = tollgate::RETENTION_DEFAULT;
        let tollgate = Tollgate::init(open_at(&url, None), namespace(), partitions, retention).await.unwrap();
        let space = Self { url, tollgate };
        space.create_campaign(CAMPAIGN, 1_000_000).await;
        space
    }

    pub(crate) async fn create_campaign(&self, name: &str, limit: u64) {
        let campaign = CampaignId::parse(name).unwrap();
        let id = JobId::create_campaign(&campaign);
        self.settle(&id, &CampaignCreate::new(campaign, Limit::new(limit).unwrap())).await;
    }

    /// What an operator does.
    pub(crate) async fn settle(&self, id: &JobId, request: &dyn Settle) {
        let mut link = self.tollgate.server().link().await.unwrap();
        self.tollgate.settle_one(&mut link, id, request).await.unwrap();
    }

    /// The keys of the partition of the tests' campaign.
    pub(crate) fn keys(&self) -> &Keys {
        let campaign = CampaignId::parse(CAMPAIGN).unwrap();
        self.tollgate.keys(self.tollgate.partition_of(Resource::Campaign(&campaign)))
    }

    pub(crate) fn queue_key(&self) -> String {
        self.keys().queue(&QueueName::default())
    }

    pub(crate) async fn enqueue(&self, jobs: &[Job]) {
        self.enqueue_to("default", jobs).await;
    }

    pub(crate) async fn enqueue_to(&self, queue: &str, jobs: &[Job]) {
        let mut link = self.tollgate.server().link().await.unwrap();
        let queue = QueueName::parse(queue).unwrap();
        for sent in self.tollgate.enqueue(&mut link, &queue, jobs).await.unwrap() {
            sent.unwrap();
        }
    }

    /// Sends jobs until they have arrived, however often Redis breaks meanwhile.
    pub(crate) async fn enqueue_until_sent(&self, jobs: &[Job]) {
        until("the jobs to be sent", async || {
            let mut link = self.tollgate.server().link().await.ok()?;
            let sent = self.tollgate.enqueue(&mut link, &QueueName::default(), jobs).await.ok()?;
            sent.into_iter().all(|sent| sent.is_ok()).then_some(())
        })
        .await;
    }

    /// What any client may send.
    pub(crate) async fn add(&self, field: &str, value: &[u8]) {
        let mut command = redis::Cmd::new();
        command.arg("XADD").arg(self.queue_key()).arg("*").arg(field).arg(value);
        self.tollgate.server().link().await.unwrap().run(&command).await.unwrap();
    }

    pub(crate) async fn cmd(&self, words: &[&str]) -> Value {
        run(&mut self.tollgate.server().link().await.unwrap(), words).await
    }

    /// The reply's texts, one a line.
    pub(crate) async fn bytes(&self, words: &[&str]) -> Vec<u8> {
        fn flatten(value: Value, text: &mut Vec<u8>) {
            match value {
                Value::BulkString(bytes) => text.extend([bytes, b"\n".to_vec()].concat()),
                Value::Array(items) => items.into_iter().for_each(|item| flatten(item, text)),
                _ => {}
            }
        }
        let mut text = Vec::new();
        flatten(self.cmd(words).await, &mut text);
        text
    }

    /// `None` while Redis does not answer.
    pub(crate) async fn try_stats(&self) -> Option<PartitionStats> {
        let mut link = self.tollgate.server().link().await.ok()?;
        stats::read(&mut link, self.keys()).await.ok()
    }

    pub(crate) async fn stats(&self) -> PartitionStats {
        until("stats", async || self.try_stats().await).await
    }

    pub(crate) fn in_flight(stats: &PartitionStats) -> u64 {
        stats.queues.iter().map(|queue| queue.in_flight).sum()
    }

    pub(crate) fn waiting(stats: &PartitionStats) -> u64 {
        stats.queues.iter().map(|queue| queue.waiting).sum()
    }

    /// Takes up to `count` entries of a queue as another worker, which is never heard of again.
    pub(crate) async fn take_as(&self, worker: &str, keys: &Keys, queue: &QueueName, count: usize) -> usize {
        let mut link = self.tollgate.server().link().await.unwrap();
        let taken = Take::new(keys, queue, worker, count).run(&mut link).await.unwrap();
        taken.map_or(0, |taken| taken.entries.len())
    }

    /// Waits until nothing waits and nothing is in flight; audits; answers the counters.
    pub(crate) async fn drained(&self) -> PartitionStats {
        let stats = self.emptied().await;
        let report = tollgate_audit::audit(&self.tollgate, &[], &|_| {}).await.unwrap();
        assert!(report.violations.is_empty(), "{:#?}", report.violations);
        stats
    }

    /// Waits until nothing waits and nothing is in flight; checks the conservation law; answers the counters.
    pub(crate) async fn emptied(&self) -> PartitionStats {
        let stats = until("an empty queue", async || {
            let stats = self.try_stats().await?;
            (Self::in_flight(&stats) + Self::waiting(&stats) == 0).then_some(stats)
        });
        let stats = stats.await;
        let (accepted, accounted) = stats.conservation();
        assert_eq!(accepted, accounted, "conservation: {stats:?}");
        stats
    }

    pub(crate) async fn issued(&self) -> u64 {
        let key = self.keys().campaign(&CampaignId::parse(CAMPAIGN).unwrap());
        let mut link = self.tollgate.server().link().await.unwrap();
        link.query(redis::Cmd::new().arg("HGET").arg(key).arg("issued")).await.unwrap()
    }

    /// What is known of an id: `code`, `dead:<reason>`, `scheduled`, `queued` or `unknown`.
    pub(crate) async fn fate(&self, id: &str) -> String {
        self.fate_in(self.keys(), id).await
    }

    pub(crate) async fn fate_in(&self, keys: &Keys, id: &str) -> String {
        let mut link = self.tollgate.server().link().await.unwrap();
        let id = JobId::stored(id).unwrap();
        let (_, traces) = lookup(&mut link, keys, &[id]).await.unwrap();
        match &traces[0] {
            Trace::Receipt { code, .. } => code.to_string(),
            Trace::Parked { state: ParkedState::Dead, reason, .. } => format!("dead:{}", reason.unwrap()),
            Trace::Parked { state: ParkedState::Scheduled, .. } => "scheduled".to_owned(),
            Trace::Parked { state: ParkedState::Queued, .. } => "queued".to_owned(),
            Trace::Expired | Trace::None => "unknown".to_owned(),
        }
    }

    /// Starts a worker that takes over after half a second.
    pub(crate) fn worker(&self, args: &[&str]) -> Worker {
        self.worker_with(args, "")
    }

    /// The same with fail points.
    pub(crate) fn worker_with(&self, args: &[&str], failpoints: &str) -> Worker {
        self.worker_at(&self.url, args, failpoints)
    }

    /// The same by another way to Redis.
    pub(crate) fn worker_at(&self, url: &str, args: &[&str], failpoints: &str) -> Worker {
        let mut command = Worker::command();
        command.args(["--claim-idle", "500ms"]).args(args);
        command.env("REDIS_URL", url).env("TOLLGATE_NAMESPACE", self.tollgate.namespace().as_str());
        if !failpoints.is_empty() {
            command.env("TOLLGATE_FAILPOINTS", failpoints);
        }
        Worker::spawn(&mut command)
    }
}

/// A redemption of one from the tests' campaign.
pub(crate) fn redeem(id: &str, customer: &str) -> Job {
    let request = Redeem {
        campaign: CAMPAIGN.parse().unwrap(),
        customer: customer.parse().unwrap(),
        quantity: Quantity::ONE,
    }
    .into();
    Job { id: JobId::parse(id).unwrap(), at: None, request }
}

/// Redemptions `<prefix>0` and so on, each of another customer.
pub(crate) fn redemptions(prefix: &str, count: usize) -> Vec<Job> {
    (0..count).map(|n| redeem(&format!("{prefix}{n}"), &format!("c{n}"))).collect()
}

/// A worker process; killed when dropped.
pub(crate) struct Worker {
    process: Running,
    log: Arc<Mutex<String>>,
}

impl Worker {
    pub(crate) fn command() -> Command {
        let mut command = bare(env!("CARGO_BIN_EXE_tollgate-worker"));
        command.env("NO_COLOR", "1");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut process = Running::start(command);
        let stderr = BufReader::new(process.stderr.take().unwrap());
        let log = Arc::new(Mutex::new(String::new()));
        let lines = log.clone();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let mut log = lines.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        Self { process, log }
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub(crate) async fn says(&self, words: &str) {
        until(&format!("the worker to say {words:?}"), async || self.log().contains(words).then_some(()))
            .await;
    }

    /// The page at `path`, from where it said that it listens: status line and body.
    pub(crate) async fn page(&self, path: &str) -> (String, String) {
        get(&self.listens().await, path)
    }

    /// Where it listens, once it has said so.
    pub(crate) async fn listens(&self) -> String {
        until("the address", async || {
            let log = self.log();
            let rest = log.split("address=").nth(1)?;
            Some(rest.split_whitespace().next()?.to_owned())
        })
        .await
    }

    /// One figure of `/metrics`, by its name and labels as they are printed, rounded up; 0 if it is not there yet.
    pub(crate) async fn figure(&self, name: &str) -> u64 {
        let (_, page) = self.page("/metrics").await;
        let found = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
        found.map_or(0, |figure: f64| figure.ceil() as u64)
    }

    /// How often it said so.
    pub(crate) fn said(&self, words: &str) -> usize {
        self.log().matches(words).count()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.process.signal(signal).unwrap();
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        until("the worker to end", async || self.process.try_wait().unwrap()).await
    }

    /// Waits until the process is stopped by a signal (state T).
    pub(crate) async fn stopped(&self) {
        until("the worker to stop", async || self.process.is_stopped().then_some(())).await;
    }

    /// SIGTERM, then its exit code.
    pub(crate) async fn drained(&mut self) -> Option<i32> {
        self.signal(Signal::TERM);
        self.ended().await.code()
    }
}

/// A page by HTTP: status line and body.
pub(crate) fn get(address: &str, path: &str) -> (String, String) {
    let (head, body) = asking(address, path, None);
    (head.lines().next().unwrap().to_owned(), body)
}

/// The same, for a client that accepts only this: all of the head, and the body.
pub(crate) fn asking(address: &str, path: &str, accept: Option<&str>) -> (String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let accept = accept.map(|accept| format!("accept: {accept}\r\n")).unwrap_or_default();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\n{accept}connection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (format!("{head}\r\n"), body.to_owned())
}

impl Drop for Worker {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- log of a worker:\n{}", self.log());
        }
    }
}
