//! What all parts of a working process share: its connections, its partitions, what it has in flight.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tollgate::Tollgate;
use tollgate::instant::Instant;
use tollgate::random;
use tollgate::workers::Description;

use crate::config::{Config, Queues, SETTLES_MAX};
use crate::health::Health;
use crate::in_flight::InFlight;
use crate::partition_state::PartitionState;
use crate::shutdown::Phase;
use crate::slots::Slots;
use crate::spare_links::SpareLinks;

/// Payouts in flight for each that may be at the gateway.
pub(crate) const PAYOUTS_A_HAND: usize = 2;

/// What all parts of a working process share.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) config: Config,
    pub(crate) tollgate: Tollgate,
    /// This process's name in every group; never used twice.
    pub(crate) consumer: String,
    pub(crate) health: Arc<Health>,
    pub(crate) slots: Arc<Slots>,
    pub(crate) spare_links: SpareLinks,
    pub(crate) in_flight: Arc<InFlight>,
    /// One permit for each payout from its lock until it is written down: more than may be at the gateway, so that its
    /// hands are full while answers are written down.
    pub(crate) payouts: Arc<Semaphore>,
    pub(crate) partitions: Vec<Arc<PartitionState>>,
    description: Description,
}

impl Worker {
    pub(crate) fn new(config: Config, tollgate: Tollgate, health: Arc<Health>) -> Arc<Self> {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let consumer = format!("{host}-{}-{:08x}", std::process::id(), random::random::<u32>());
        Self::named(consumer, config, tollgate, health)
    }

    /// A worker of this name, `<host>-<pid>-<boot>`, which no other has or had.
    pub(crate) fn named(
        consumer: String,
        config: Config,
        tollgate: Tollgate,
        health: Arc<Health>,
    ) -> Arc<Self> {
        let partitions = tollgate.partitions().iter().map(|partition| {
            Arc::new(PartitionState::new(partition, tollgate.keys(partition).clone(), config.batch.clone()))
        });
        let mut words = consumer.rsplitn(3, '-');
        let boot = words.next().unwrap_or_default().to_owned();
        let pid = words.next().and_then(|pid| pid.parse().ok()).unwrap_or_default();
        let host = words.next().unwrap_or_default().to_owned();
        Arc::new(Self {
            consumer,
            health,
            slots: Slots::new(tollgate.server().clone(), config.concurrency.min(SETTLES_MAX)),
            spare_links: SpareLinks::default(),
            payouts: Arc::new(Semaphore::new(PAYOUTS_A_HAND * config.concurrency)),
            in_flight: InFlight::new(),
            partitions: partitions.collect(),
            description: Description {
                host,
                pid,
                boot,
                queues: Vec::new(),
                every_queue: config.queues == Queues::All,
                concurrency: config.concurrency,
                started_at_ms: Instant::now().ms(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                fetching: true,
            },
            tollgate,
            config,
        })
    }

    /// What it says of itself now.
    pub(crate) fn describe(&self) -> Description {
        let mut queues: Vec<String> = Vec::new();
        for state in &self.partitions {
            queues.extend(state.queues().active.iter().map(|(queue, _)| queue.to_string()));
        }
        queues.sort();
        queues.dedup();
        let fetching = self.health.shutdown.phase() == Phase::Running;
        Description { queues, fetching, ..self.description.clone() }
    }
}
