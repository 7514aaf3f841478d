//! (n) What partitions cost: instructions of redis-server for each job, connections, and what a worker without work costs,
//! on one Redis and on three masters of a cluster.
//!
//! As in (k), callgrind counts, and a job is the difference between a small backlog and a large one. What the worker's
//! agents and readers do in that time is in it, and a server under callgrind is some fifty times slower: so with many
//! partitions the figure of a job is no more than noise; what a second without jobs costs, and connections, are exact.
//! The backlog is there before the worker starts, so batches are as large as they get: with fewer jobs waiting a job is
//! dearer.
//! Relies on servers that run under callgrind: `make bench-partitions` starts them so.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::runtime::{Builder, Runtime};
use tollgate::connect::{RedisOptions, connect};
use tollgate::ids::{CampaignId, JobId, Namespace, QueueName};
use tollgate::job::Job;
use tollgate::kinds::{CampaignCreate, Redeem};
use tollgate::link::Link;
use tollgate::partition::{Partition, Partitions};
use tollgate::quantity::{Limit, Quantity};
use tollgate::resource::Resource;
use tollgate::{RETENTION_DEFAULT, Tollgate};
use tollgate_testkit::cluster::{Cluster, Settings};

use super::instructions::{control, total};
use crate::ours::reached;
use crate::private::Private;
use crate::process::Worker;
use crate::report::Row;
use crate::scale::Scale;
use crate::talk::talk;

const PARTITIONS: [u16; 3] = [1, 16, 64];
const CAMPAIGNS: u64 = 512;
const FEW: u64 = 1_000;
const MANY: u64 = 5_000;
/// So seldom that asking costs nothing beside a job.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const STALLED_AFTER: Duration = Duration::from_secs(300);
/// Until a worker that has nothing more to do waits as long as it ever waits, and for how long it is watched then.
const SETTLES_WITHIN: Duration = Duration::from_secs(8);
const WATCHED_FOR: Duration = Duration::from_secs(10);

/// Where the partitions are.
enum Place {
    One(Box<Private>),
    Three(Cluster),
}

/// What was counted on all servers together.
struct Counted {
    instructions: f64,
    /// While nothing is sent, if that was watched.
    idle_a_second: f64,
    connections: u64,
}

pub(crate) fn run(scale: Scale) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for masters in [1, 3] {
        for partitions in PARTITIONS.into_iter().filter(|partitions| *partitions >= masters) {
            rows.push(row(scale, masters, partitions)?);
        }
    }
    Ok(rows)
}

fn row(scale: Scale, masters: u16, partitions: u16) -> Result<Row> {
    let (few, many) = (scale.jobs(FEW), scale.jobs(MANY));
    let (less, more) = (drained(masters, partitions, few, false)?, drained(masters, partitions, many, true)?);
    let a_job = (more.instructions - less.instructions) / (many - few) as f64;
    let row = Row {
        what: format!("{masters} Redis, {partitions} partitions"),
        ours: format!("{a_job:.0} instructions a job"),
        limit: format!("{:.1} million a second idle", more.idle_a_second / 1e6),
        ratio: format!("{} connections", more.connections),
        ..Row::default()
    };
    talk!("{}: {}, {}, {}", row.what, row.ours, row.limit, row.ratio);
    Ok(row)
}

impl Place {
    fn start(masters: u16) -> Result<Self> {
        // The timer of a server that is slowed down would run more often for each job.
        let hz = ["--hz", "1"];
        if masters == 1 {
            return Ok(Self::One(Box::new(Private::with(&hz)?)));
        }
        let more = [&hz[..], &["--auto-aof-rewrite-percentage", "0"]].concat();
        let settings = Settings {
            masters: masters.into(),
            replicas: 0,
            // So that its start waits until every node knows who has which slot; servers that are slow are not suspected.
            full_coverage: true,
            node_timeout_ms: 20_000,
            more: more.into_iter().map(str::to_owned).collect(),
            ..Settings::default()
        };
        Ok(Self::Three(Cluster::try_start(&settings)?))
    }

    fn url(&self) -> String {
        match self {
            Self::One(private) => private.url(),
            Self::Three(cluster) => cluster.url(),
        }
    }

    /// Process and directory of each server.
    fn servers(&self) -> Result<Vec<(String, PathBuf)>> {
        let found = match self {
            Self::One(private) => vec![(private.pid(), private.data())],
            Self::Three(cluster) => {
                (0..cluster.count()).map(|node| (cluster.pid(node), cluster.data(node))).collect()
            }
        };
        let running = |(pid, data): (Option<u32>, PathBuf)| Some((pid?.to_string(), data));
        found.into_iter().map(|server| running(server).context("a server has ended")).collect()
    }

    fn tell_all(&self, words: &[&str]) -> Result<()> {
        self.servers()?.iter().try_for_each(|(pid, _)| control(&[words, &[pid.as_str()]].concat()))
    }

    /// What was counted since the last time, by all servers.
    fn counted(&self) -> Result<f64> {
        self.tell_all(&["--dump"])?;
        self.servers()?.iter().map(|(_, data)| total(data)).sum()
    }

    /// How many clients are connected, without who asks.
    fn connections(&mut self) -> Result<u64> {
        let field = |info: &str| {
            let line = info.lines().find_map(|line| line.strip_prefix("connected_clients:"));
            line.and_then(|count| count.trim().parse::<u64>().ok()).context("INFO clients")
        };
        match self {
            Self::One(private) => Ok(private.info("clients", "connected_clients")?.parse::<u64>()? - 1),
            Self::Three(cluster) => (0..cluster.count())
                .map(|node| Ok(field(&cluster.tell::<String>(node, &["INFO", "clients"])?)? - 1))
                .sum(),
        }
    }
}

/// What a worker's start and so many jobs that wait for it cost, and then perhaps a while without any.
fn drained(masters: u16, partitions: u16, jobs: u64, then_idle: bool) -> Result<Counted> {
    let mut place = Place::start(masters)?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (tollgate, waiting) = runtime.block_on(loaded(&place.url(), partitions, jobs))?;
    let logs = tempfile::tempdir()?;
    place.tell_all(&["--instr=on"])?;
    let mut worker = Worker::start(&place.url(), &logs.path().join("worker.log"))?;
    settled(&runtime, &tollgate, waiting, &mut worker).with_context(|| crate::ours::said(logs.path()))?;
    let instructions = place.counted()?;
    // Our own are not the worker's.
    drop((tollgate, runtime));
    let (mut idle_a_second, mut connections) = (0.0, 0);
    if then_idle {
        std::thread::sleep(SETTLES_WITHIN);
        place.tell_all(&["--zero"])?;
        std::thread::sleep(WATCHED_FOR);
        idle_a_second = place.counted()? / WATCHED_FOR.as_secs_f64();
        connections = place.connections()?;
    }
    worker.stop()?;
    Ok(Counted { instructions, idle_a_second, connections })
}

/// A namespace with campaigns in all partitions and a backlog of redemptions; how many wait in each partition.
async fn loaded(url: &str, partitions: u16, jobs: u64) -> Result<(Tollgate, Vec<(Partition, u64)>)> {
    let options = RedisOptions { url: Some(url.to_owned()), ..RedisOptions::default() };
    let (server, _) = connect(options).await?;
    let partitions = Partitions::new(partitions).context("a number of partitions")?;
    let tollgate =
        Tollgate::init(server.clone(), Namespace::default(), partitions, RETENTION_DEFAULT).await?;
    let mut link: Link = server.link().await?;
    let limit = Limit::new(1_000_000).context("a limit")?;
    let campaigns =
        (0..CAMPAIGNS).map(|n| CampaignId::parse(format!("c{n:04}"))).collect::<Result<Vec<_>, _>>()?;
    for campaign in &campaigns {
        let create = CampaignCreate::new(campaign.clone(), limit);
        tollgate.settle_one(&mut link, &JobId::create_campaign(campaign), &create).await?;
    }
    let mut waiting: Vec<(Partition, u64)> = partitions.iter().map(|partition| (partition, 0)).collect();
    let mut backlog = Vec::new();
    for (n, campaign) in (0..jobs).zip(campaigns.iter().cycle()) {
        let customer = format!("u{n:07}").parse()?;
        let request = Redeem { campaign: campaign.clone(), customer, quantity: Quantity::ONE }.into();
        backlog.push(Job { id: JobId::fresh(), at: None, request });
        let partition = tollgate.partition_of(Resource::Campaign(campaign));
        waiting[usize::from(partition.number())].1 += 1;
    }
    for jobs in backlog.chunks(1_000) {
        let sent = tollgate.enqueue(&mut link, &QueueName::default(), jobs).await?;
        sent.into_iter().collect::<Result<Vec<()>, _>>()?;
    }
    Ok((tollgate, waiting))
}

/// Waits until all that waited is settled, one partition after the other.
fn settled(
    runtime: &Runtime,
    tollgate: &Tollgate,
    waiting: Vec<(Partition, u64)>,
    worker: &mut Worker,
) -> Result<()> {
    let mut link = runtime.block_on(tollgate.server().link())?;
    for (partition, jobs) in waiting {
        let mut command = redis::cmd("HGET");
        command.arg(tollgate.keys(partition).head()).arg("acked");
        reached(jobs, LOOK_EVERY, STALLED_AFTER, || {
            let acked: Option<u64> = runtime.block_on(link.query(&command))?;
            let acked = acked.unwrap_or_default();
            ensure!(acked >= jobs || worker.is_running()?, "the worker has ended, at {acked} of {jobs}");
            Ok(acked)
        })
        .with_context(|| format!("partition {partition}"))?;
    }
    Ok(())
}
