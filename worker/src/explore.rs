//! Whole workers whose every call waits at a gate: for `tollgate-chaos explore` alone (feature `explore`).
//!
//! What is started here is what `process` starts: the fetch, the pipeline behind it, the reclaimer, the
//! promoter and the payer, unchanged. Left out is what decides nothing about jobs: beats, surveys, figures, signals.
//! The locks of accounts are granted to everybody, since nothing may rest on them (G12).

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tollgate::Tollgate;
use tollgate::connect::{RedisOptions, Safety};
use tollgate::ids::GatewayName;
use tollgate::scripts::payout::Retry;

use crate::agents::{self, payer::Payer, promoter::Promoter, reclaimer::Reclaimer};
use crate::config::{Config, Queues};
use crate::health::Health;
use crate::log::LogFormat;
use crate::payout::gateway::{GatewayOptions, parse_url};
use crate::payout::options::PayoutConfig;
use crate::payout::rules::{Pauses, Rules};
use crate::pipeline;
use crate::process::start;
use crate::shutdown::{Control, Phase};
use crate::supervisor::Supervisor;
use crate::worker::Worker;

pub use crate::payout::bank::{Bank, BankReply, Question};

/// For how long an attempt to pay may run, by the server's clock: nearly as long as a lease may be, since a worker's own
/// time is moved at each of its steps.
pub const LEASE: Duration = Duration::from_secs(600);

/// One worker of an explored fleet.
#[derive(Debug)]
pub struct Member {
    /// Its name in every group.
    pub consumer: String,
    /// Its namespace, through its gate.
    pub tollgate: Tollgate,
    /// Jobs in one settle call at most.
    pub batch_max: usize,
    /// Where it pays, if it does.
    pub bank: Option<Arc<dyn Bank>>,
}

/// Lives until it is dropped: that is its death. Whatever it holds stays in flight, whatever it sent is on its way.
///
/// # Panics
/// If a gateway's address or name of its own is refused.
pub async fn live(member: Member) {
    let Member { consumer, tollgate, batch_max, bank } = member;
    let control = Arc::new(Control::new());
    let health = Arc::new(Health::new(control.listen()));
    let config = config(&tollgate, batch_max, bank);
    let supervisor = Supervisor::new(health.clone(), control.clone(), config.drain_timeout);
    let worker = Worker::named(consumer, config, tollgate, health);
    start::read_queues(&worker).await;
    worker.health.namespace_opened();
    for state in &worker.partitions {
        let (name, worker, state) = (format!("fetch {}", state.partition), worker.clone(), state.clone());
        supervisor.keep(name, Phase::Draining, move || pipeline::fetch::run(worker.clone(), state.clone()));
    }
    agents::start(&supervisor, &worker, Reclaimer::default);
    agents::start(&supervisor, &worker, Promoter::default);
    if let Some(payer) = Payer::of(&worker).expect("a gateway behind a gate is never refused") {
        agents::start(&supervisor, &worker, move || payer.clone());
    }
    pending::<()>().await;
    drop(control);
}

fn config(tollgate: &Tollgate, batch_max: usize, bank: Option<Arc<dyn Bank>>) -> Config {
    let gateway = bank.map(|bank| GatewayOptions {
        name: GatewayName::of_address("bank"),
        key_prefix: None,
        url: parse_url("http://bank").expect("an address"),
        timeout: Duration::from_secs(10),
        keeps_connections: true,
        token: None,
        token_file: None,
        ca_file: None,
        bank: Some(bank),
    });
    Config {
        redis: RedisOptions::default(),
        unsafe_redis: Safety::Warn,
        namespace: tollgate.namespace().clone(),
        queues: Queues::All,
        concurrency: 2,
        batch: batch_max..=batch_max,
        // Zero for the script, which counts milliseconds: a takeover is the explorer's choice, at any moment.
        claim_idle: Duration::from_micros(100),
        drain_timeout: Duration::from_secs(25),
        listen: None,
        payout: PayoutConfig {
            gateway,
            rules: Rules {
                lease: LEASE,
                retry: Retry::SameKey,
                key_window: Duration::from_secs(23 * 3_600),
                backoff: Duration::from_secs(1),
                pauses: Pauses { refused: Duration::from_secs(1), unreachable: Duration::from_secs(1) },
            },
            hold_ttl: None,
            lock_nodes: None,
        },
        log_format: LogFormat::Text,
    }
}
