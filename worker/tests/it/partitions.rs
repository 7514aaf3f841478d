//! One damaged partition of four: every agent goes on in the others, and the damage is told.

use futures_util::future::join_all;
use rustix::process::Signal;
use tollgate::amount::Amount;
use tollgate::embedded::Temporary;
use tollgate::ids::{AccountId, CampaignId, JobId, QueueName};
use tollgate::instant::Instant;
use tollgate::job::Job;
use tollgate::keys::Keys;
use tollgate::kinds::{AccountOpen, JobRequest, Payout, Redeem};
use tollgate::partition::Partition;
use tollgate::quantity::Quantity;
use tollgate::resource::Resource;
use tollgate::scripts::queue::{QueueStatus, queue};
use tollgate::scripts::stats;
use tollgate::workers;

use crate::bank::{Answer, Bank};
use crate::harness::{Space, Worker, private, until};

/// What can be wrong with partition 0: a key, and whether it is deleted or of a foreign type.
const DAMAGES: [(&str, bool); 8] = [
    ("head", true),
    ("head", false),
    ("queues", false),
    ("workers", false),
    ("scheduled", false),
    ("payouts", false),
    ("journal", false),
    ("queue:default", false),
];
const COUNT: u16 = 4;

struct Four {
    space: Space,
    bank: Bank,
}

impl Four {
    /// Four partitions, each with a campaign and an account of its own.
    async fn open(redis: &Temporary) -> Self {
        let space = Space::with_partitions(redis, COUNT).await;
        let four = Self { space, bank: Bank::open(&[Answer::Pay]).await };
        for partition in four.space.tollgate.partitions().iter() {
            four.space.create_campaign(four.campaign(partition).as_str(), 1_000).await;
            let account = four.account(partition);
            let (id, balance) = (JobId::create_account(&account), Amount::from_minor(1_000).unwrap());
            let request = AccountOpen { account, balance, currency: "USD".parse().unwrap() };
            four.space.settle(&id, &request).await;
        }
        four
    }

    fn named(&self, prefix: &str, partition: Partition, at: impl Fn(&str) -> Partition) -> String {
        (0..).map(|n| format!("{prefix}{n}")).find(|name| at(name) == partition).unwrap()
    }

    fn campaign(&self, partition: Partition) -> CampaignId {
        let tollgate = &self.space.tollgate;
        let at = |name: &str| tollgate.partition_of(Resource::Campaign(&CampaignId::parse(name).unwrap()));
        CampaignId::parse(self.named("campaign", partition, at)).unwrap()
    }

    fn account(&self, partition: Partition) -> AccountId {
        let tollgate = &self.space.tollgate;
        let at = |name: &str| tollgate.partition_of(Resource::Account(&AccountId::parse(name).unwrap()));
        AccountId::parse(self.named("account", partition, at)).unwrap()
    }

    fn keys(&self, partition: Partition) -> &Keys {
        self.space.tollgate.keys(partition)
    }

    /// Partitions 1 to 3.
    fn sound(&self) -> impl Iterator<Item = Partition> {
        self.space.tollgate.partitions().iter().skip(1)
    }

    async fn damage(&self, key: &str, deleted: bool) {
        let head = self.keys(self.space.tollgate.partitions().iter().next().unwrap()).head();
        let key = format!("{}{key}", head.strip_suffix("head").unwrap());
        self.space.cmd(&["DEL", &key]).await;
        if !deleted {
            self.space.cmd(&["SET", &key, "oops"]).await;
        }
    }

    /// Sends `request` of each sound partition as `<prefix><partition>`.
    async fn send(
        &self,
        prefix: &str,
        at: Option<Instant>,
        request: impl Fn(&Self, Partition) -> JobRequest,
    ) {
        for partition in self.sound() {
            let id = JobId::parse(format!("{prefix}{partition}")).unwrap();
            self.space.enqueue(&[Job { id, at, request: request(self, partition) }]).await;
        }
    }

    fn redemption(&self, partition: Partition) -> JobRequest {
        Redeem { campaign: self.campaign(partition), customer: "c".parse().unwrap(), quantity: Quantity::ONE }
            .into()
    }

    fn payout(&self, partition: Partition) -> JobRequest {
        Payout {
            account: self.account(partition),
            amount: Amount::from_minor(100).unwrap(),
            currency: "USD".parse().unwrap(),
            destination: "iban".parse().unwrap(),
        }
        .into()
    }

    async fn until_fate(&self, prefix: &str, fate: &str, what: &str) {
        for partition in self.sound() {
            let id = format!("{prefix}{partition}");
            until(&format!("{id} to be {fate}: {what}"), async || {
                (self.space.fate_in(self.keys(partition), &id).await == fate).then_some(())
            })
            .await;
        }
    }

    fn worker(&self) -> Worker {
        self.space.worker(&["--listen", "0", "--payout-url", &self.bank.url, "--allow-unsafe-redis"])
    }

    /// Everything that a worker does beside fetching, in partitions 1 to 3.
    async fn all_agents_work(&self, worker: &Worker, round: &str, what: &str) {
        let prefix = |name: &str| format!("{name}-{round}-");
        self.send(&prefix("now"), None, Self::redemption).await;
        self.send(&prefix("payout"), None, Self::payout).await;
        let soon = Instant::from_ms(Instant::now().ms() + 700);
        self.send(&prefix("later"), soon, Self::redemption).await;
        self.until_fate(&prefix("now"), "redeemed", what).await;
        self.until_fate(&prefix("later"), "redeemed", what).await; // the promoter
        self.until_fate(&prefix("payout"), "paid", what).await; // the payer
        for partition in self.sound() {
            let (keys, number) = (self.keys(partition), partition.number());
            let mut link = self.space.tollgate.server().link().await.unwrap();
            // The reclaimer: a worker that is gone has been served an entry.
            let id = format!("claimed-{round}-{number}");
            self.space.cmd(&["CLIENT", "PAUSE", "0"]).await;
            let stream = keys.queue(&QueueName::default());
            // Redis serves the worker once more while it stands still, in whatever it waits for: then it is gone's turn.
            worker.signal(Signal::STOP);
            until("an entry served to somebody else", async || {
                let request = self.redemption(partition);
                let job = Job { id: JobId::parse(&id).unwrap(), at: None, request };
                self.space.cmd(&["XADD", &stream, "*", "job", &job.encode()]).await;
                let taken = self.space.take_as("gone", keys, &QueueName::default(), 100).await;
                (taken > 0).then_some(())
            })
            .await;
            worker.signal(Signal::CONT);
            until(&format!("{id}: {what}"), async || {
                (self.space.fate_in(keys, &id).await == "redeemed").then_some(())
            })
            .await;
            // The heartbeater.
            let beat_ms = async || {
                let mut link = self.space.tollgate.server().link().await.unwrap();
                workers::beats(&mut link, keys).await.unwrap().iter().map(|beat| beat.at_ms).max()
            };
            let first_ms = beat_ms().await;
            until("another beat", async || (beat_ms().await > first_ms).then_some(())).await;
            // The observer shows the figures of this partition.
            let figure = format!(r#"tollgate_queue_waiting_jobs{{partition="{number}",queue="default"}}"#);
            until(&figure, async || worker.page("/metrics").await.1.contains(&figure).then_some(())).await;
            // A pause takes hold.
            let name = QueueName::default();
            queue(&mut link, keys, &name, Some(QueueStatus::Paused)).await.unwrap();
            queue(&mut link, keys, &name, Some(QueueStatus::Active)).await.unwrap();
            assert!(stats::read(&mut link, keys).await.unwrap().is_conserved(), "{what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_partition_stops_no_agent_in_the_others() {
    let redis = private(&[]);
    join_all(DAMAGES.map(async |(key, deleted)| {
        let what = format!("{key}, {}", if deleted { "deleted" } else { "of a foreign type" });
        let four = Four::open(&redis).await;
        // A worker that has been dead for long, for the reaper.
        for partition in four.sound() {
            four.space.cmd(&["HSET", &four.keys(partition).workers(), "ghost", "1\t{}"]).await;
        }
        // Some damage is met only by a job that is decided there.
        let damaged = four.space.tollgate.partitions().iter().next().unwrap();
        let (id, request) = (JobId::parse("met").unwrap(), four.redemption(damaged));
        four.space.enqueue(&[Job { id, at: None, request }]).await;
        four.damage(key, deleted).await;
        let mut worker = four.worker();
        four.all_agents_work(&worker, "started", &what).await;
        for partition in four.sound() {
            let workers = four.keys(partition).workers();
            until(&format!("the reaper: {what}"), async || {
                (four.space.cmd(&["HEXISTS", &workers, "ghost"]).await == redis::Value::Int(0)).then_some(())
            })
            .await;
        }
        until(&format!("an incident of partition 0: {what}"), async || {
            let (status, words) = worker.page("/readyz").await;
            // Of the partition, or of a queue in it.
            (status.contains("503") && words.contains("partition 0) for ")).then_some(())
        })
        .await;
        for partition in four.sound() {
            assert!(!worker.log().contains(&format!("partition {partition})")), "{what}: {}", worker.log());
        }
        assert_eq!(worker.drained().await, Some(0), "{what}");
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_is_damaged_under_way_stops_no_agent_in_the_others() {
    let redis = private(&[]);
    join_all([("head", true), ("queues", false), ("workers", false)].map(async |(key, deleted)| {
        let four = Four::open(&redis).await;
        let mut worker = four.worker();
        worker.says("consumer=").await;
        four.all_agents_work(&worker, "sound", key).await;
        four.damage(key, deleted).await;
        until(&format!("an incident of partition 0: {key}"), async || {
            worker.page("/readyz").await.1.contains("(partition 0) for ").then_some(())
        })
        .await;
        four.all_agents_work(&worker, "damaged", key).await;
        assert_eq!(worker.drained().await, Some(0), "{key}");
    }))
    .await;
}
