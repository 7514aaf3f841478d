//! The life of the process: connect, wait for the namespace, work, drain, go.
//!
//! A worker waits for a server that is down and for a namespace that is not there yet, and says so once. It refuses a
//! server that may lose or evict what it relies on. Must not initialise a namespace: after a loss of data, starting
//! from zero would issue everything again.

mod drain;
pub(crate) mod inspector;
mod reminder;
mod signals;
pub(crate) mod start;

use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tollgate::connect::Safety;
use tollgate::env;
use tollgate::span::span;
use tracing::{error, info, warn};

use crate::agents::payer::Payer;
use crate::agents::{
    self, expirer, finder, heartbeater, observer, promoter, reaper, receipt_dropper, reclaimer, releaser,
    surveyor,
};
use crate::config::Config;
use crate::exit;
use crate::health::Health;
use crate::http::{self, Pages};
use crate::pipeline;
use crate::shutdown::{Control, Phase};
use crate::supervisor::Supervisor;
use crate::worker::Worker;

/// Lives until a signal; answers the exit code.
pub(crate) async fn run(config: Config) -> ExitCode {
    log_effective(&config);
    let control = Arc::new(Control::new());
    let health = Arc::new(Health::new(control.listen()));
    let supervisor = Supervisor::new(health.clone(), control.clone(), config.drain_timeout);
    if let Err(error) = signals::handle(&supervisor, &control, &health, config.drain_timeout) {
        error!("signals cannot be handled: {error}");
        return ExitCode::FAILURE;
    }
    let shown = Arc::new(OnceLock::new());
    if let Some(address) = config.listen {
        let pages = Pages { health: health.clone(), worker: shown.clone() };
        match http::serve(&supervisor, address, pages) {
            Ok(address) => info!(%address, "listening for /metrics, /healthz, /readyz"),
            Err(error) => {
                error!("--listen {address}: {error}");
                return ExitCode::FAILURE;
            }
        }
    }

    reminder::start(&supervisor, &health);

    let tollgate = match start::open(&config, &health, &supervisor).await {
        Ok(Some(tollgate)) => tollgate,
        Ok(None) => return exit_code(&control), // told to end while it waited
        Err(code) => return code,
    };
    let worker = Worker::new(config, tollgate, health);
    let payer = match Payer::of(&worker) {
        Ok(payer) => payer,
        Err(error) => {
            error!("{error:#}");
            return ExitCode::from(exit::USAGE);
        }
    };
    if let Some(payer) = &payer
        && let Err(error) = payer.check_locks(&worker).await
    {
        error!("{error}");
        error!("these lock servers are not used; --allow-unsafe-redis turns refusals into warnings");
        return ExitCode::from(exit::UNREACHABLE);
    }
    let _ = shown.set(worker.clone());
    work(&worker, &supervisor, &control, payer).await;
    exit_code(&control)
}

/// Of a worker that has drained.
fn exit_code(control: &Control) -> ExitCode {
    if control.has_failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// As fields that can be searched for; of `redis` what is no secret.
fn log_effective(config: &Config) {
    let Config { redis, unsafe_redis, namespace, queues, concurrency, batch, .. } = config;
    let Config { claim_idle, drain_timeout, listen, payout, .. } = config;
    info!(
        version = env!("CARGO_PKG_VERSION"),
        %namespace,
        %queues,
        concurrency,
        batch_min = batch.start(),
        batch_max = batch.end(),
        claim_idle = span(*claim_idle),
        drain_timeout = span(*drain_timeout),
        listen = listen.map_or_else(|| "off".to_owned(), |address| address.to_string()),
        %payout,
        hold_ttl = payout.hold_ttl.map_or_else(|| "off".to_owned(), span),
        unsafe_redis = match unsafe_redis {
            Safety::Refuse => "refused".to_owned(),
            Safety::Accept(accepted) => format!("refused, but for {accepted}"),
            Safety::Warn => "used".to_owned(),
        },
        redis = redis.place(),
        login = redis.login(),
        "configuration"
    );
    if payout.gateway.is_none() {
        let is_of_payouts =
            |name: &&str| name.starts_with("TOLLGATE_PAYOUT_") || name.starts_with("TOLLGATE_LOCK_");
        let names = env::ALL.iter().map(|variable| variable.name).filter(is_of_payouts);
        let set: Vec<_> = names.filter(|name| env::text(name).is_some()).collect();
        if !set.is_empty() {
            warn!(
                "without {} nothing is paid, and {} does nothing",
                env::TOLLGATE_PAYOUT_URL,
                set.join(", ")
            );
        }
    }
}

async fn work(worker: &Arc<Worker>, supervisor: &Supervisor, control: &Arc<Control>, payer: Option<Payer>) {
    start::say_new_queues(worker).await;
    let beats = heartbeater::Heartbeater::new(control.clone());
    let heartbeat = agents::start(supervisor, worker, move || beats.clone());
    start::read_queues(worker).await;
    worker.health.namespace_opened();
    info!(consumer = worker.consumer, partitions = worker.partitions.len(), "ready");

    let readers = worker.partitions.iter().map(|state| {
        let (name, worker, state) = (format!("fetch {}", state.partition), worker.clone(), state.clone());
        supervisor.keep(name, Phase::Draining, move || pipeline::fetch::run(worker.clone(), state.clone()))
    });
    let mut takers: Vec<_> = readers.collect();
    takers.push(agents::start(supervisor, worker, reclaimer::Reclaimer::default));
    agents::start(supervisor, worker, promoter::Promoter::default);
    agents::start(supervisor, worker, || reaper::Reaper);
    agents::start(supervisor, worker, surveyor::Surveyor::default);
    agents::start(supervisor, worker, finder::Finder::default);
    agents::start(supervisor, worker, receipt_dropper::ReceiptDropper::default);
    agents::start(supervisor, worker, expirer::Expirer::default);
    agents::start(supervisor, worker, releaser::Releaser::default);
    if let Some(payer) = payer {
        takers.push(agents::start(supervisor, worker, move || payer.clone()));
    }
    if worker.config.listen.is_some() {
        agents::start(supervisor, worker, observer::Observer::default);
    }

    worker.health.shutdown.reached(Phase::Draining).await;
    drain::settle_what_is_in_hand(worker, takers).await;
    control.advance(Phase::Over);
    let _ = tokio::time::timeout(Duration::from_secs(1), heartbeat).await;
    drain::deregister(worker).await;
}
