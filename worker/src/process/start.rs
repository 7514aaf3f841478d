//! From the configuration to an open namespace on a Redis that is fit for it.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::Arc;

use tollgate::commands;
use tollgate::connect::{self, ConnectError, Origin, Safety, Server};
use tollgate::failure::{Failure, Refusal};
use tollgate::ids::QueueName;
use tollgate::preflight::Tier;
use tollgate::scripts::{ScriptError, queue};
use tollgate::{OpenError, Tollgate};
use tollgate_cli::hints;
use tracing::{error, info, warn};

use super::inspector;
use crate::config::{Config, Queues};
use crate::exit;
use crate::health::Health;
use crate::incidents::Kind;
use crate::retry_loop::RetryLoop;
use crate::shutdown::Phase;
use crate::supervisor::Supervisor;
use crate::worker::Worker;

/// `None` if the process was told to end while it waited.
pub(super) async fn open(
    config: &Config,
    health: &Arc<Health>,
    supervisor: &Supervisor,
) -> Result<Option<Tollgate>, ExitCode> {
    let server = match connect::connect(config.redis.clone()).await {
        Ok((server, origin)) => {
            if let Origin::Embedded { dir, started } = origin {
                info!(dir = %dir.display(), started, "private redis-server");
            }
            server
        }
        Err(error) => {
            error!("{error}");
            let usage = matches!(error, ConnectError::Endpoint(_));
            return Err(ExitCode::from(if usage { exit::USAGE } else { exit::UNREACHABLE }));
        }
    };
    let Some(fit) = until_done(health, "connect", async || check(&server, config).await).await else {
        return Ok(None);
    };
    fit?;
    inspector::start(supervisor, health, &server, config);
    Ok(until_done(health, "open the namespace", async || open_namespace(&server, config).await).await)
}

/// Repeats what fails until it is done; `None` if the process is told to end before.
async fn until_done<T>(
    health: &Health,
    what: &str,
    mut attempt: impl AsyncFnMut() -> Result<T, ScriptError>,
) -> Option<T> {
    let mut retry = RetryLoop::new(health, Phase::Draining, what);
    loop {
        match attempt().await {
            Ok(done) => return Some(done),
            Err(error) => retry.after(&error).await.ok()?,
        }
    }
}

/// Whether this Redis is fit for us. The outer error is worth waiting for; the inner one is not.
async fn check(server: &Server, config: &Config) -> Result<Result<(), ExitCode>, ScriptError> {
    // An attempt to pay must be on disk before its request goes out.
    let tier = if config.payout.gateway.is_some() { Tier::Fsync } else { Tier::Memory };
    let report = match server.link().await {
        Ok(mut link) => match commands::missing(&mut link).await {
            Ok(None) => link.preflight(tier).await,
            Ok(Some(missing)) => {
                let hint = Failure::not_applied(Refusal::CommandMissing, "").hint();
                error!(hint, "this Redis is not used, since a worker cannot do without {missing}");
                return Ok(Err(ExitCode::from(exit::UNREACHABLE)));
            }
            Err(failure) => Err(failure),
        },
        Err(failure) => Err(failure),
    };
    let report = match report {
        Ok(report) => report,
        Err(failure) if failure.refusal() == Some(Refusal::Credentials) => {
            error!(hint = hints::of(&failure), "{failure}");
            return Ok(Err(ExitCode::from(exit::UNREACHABLE)));
        }
        Err(failure) => return Err(failure.into()),
    };
    let report = match config.unsafe_redis {
        // An attempt to pay must be on disk, whatever was accepted.
        Safety::Accept(accepted) if tier == Tier::Memory => report.accepting(Some(accepted)),
        _ => report,
    };
    for finding in report.warnings().chain(report.accepted()) {
        warn!("{finding}");
    }
    // Under --allow-unsafe-redis they are incidents, for as long as they last.
    if !report.is_fit() && config.unsafe_redis != Safety::Warn {
        report.refusals().for_each(|finding| error!("{finding}"));
        error!("this Redis is not used; --allow-unsafe-redis turns refusals into warnings");
        return Ok(Err(ExitCode::from(exit::UNREACHABLE)));
    }
    Ok(Ok(()))
}

/// What is missing or damaged is not ours to mend: we wait for who does.
async fn open_namespace(server: &Server, config: &Config) -> Result<Tollgate, ScriptError> {
    Tollgate::open(server.clone(), config.namespace.clone()).await.map_err(|error| match error {
        OpenError::Failure(failure) => failure.into(),
        OpenError::Script(error) => error,
        OpenError::Empty(_) => ScriptError::Uninitialised,
        other => ScriptError::CorruptPartition(hints::with(&other)),
    })
}

/// Says which of the queues to serve have never existed: with a typo in its name a worker would wait for ever.
pub(super) async fn say_new_queues(worker: &Worker) {
    let Queues::Named(named) = &worker.config.queues else { return };
    let mut known = BTreeSet::new();
    for state in &worker.partitions {
        let Ok(mut link) = worker.tollgate.server().link().await else { return };
        // Of a partition that cannot be read nobody knows what it has.
        let Ok(queues) = queue::known(&mut link, &state.keys).await else { return };
        known.extend(queues);
        for (queue, _) in named {
            // A plain XADD made it, and nobody has found it yet.
            if queue::has_stream(&mut link, &state.keys, queue).await.unwrap_or(true) {
                known.insert(queue.clone());
            }
        }
    }
    let there_are: Vec<_> = known.iter().map(QueueName::as_str).collect();
    for (queue, _) in named.iter().filter(|(queue, _)| !known.contains(queue)) {
        warn!(
            there_are = there_are.join(", "),
            "queue {queue} has never existed: no job was ever sent to it; it is opened now"
        );
    }
}

/// Learns which queues there are before the first fetch. A partition that is damaged does not hold up the others: the
/// heartbeat goes on trying, and says so.
pub(crate) async fn read_queues(worker: &Worker) {
    let mut unread: Vec<_> = worker.partitions.iter().collect();
    let read = async || {
        let mut link = worker.tollgate.server().link().await?;
        while let Some(state) = unread.last() {
            match state.refresh(&mut link, &worker.config.queues).await {
                Err(error) if Kind::of(&error).is_of_server() && !error.is_of_partition() => {
                    return Err(error);
                }
                Ok(()) | Err(_) => _ = unread.pop(),
            }
        }
        Ok(())
    };
    // Told to end before: the readers end at once, too.
    let _ = until_done(&worker.health, "read the queues", read).await;
}
