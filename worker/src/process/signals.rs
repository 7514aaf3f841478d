//! Signals, as operators of such workers expect them.
//!
//! SIGTERM, SIGINT and SIGQUIT drain; a second one, or the drain timeout, ends at once. SIGTSTP stops fetching for
//! good. SIGHUP reads secrets again. SIGUSR1 and SIGUSR2 write what the worker does into the log, and change nothing.
//! Must not lose a signal: the streams outlive the task that listens to them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Mutex;
use tracing::{info, warn};

use crate::failpoint::failpoint;
use crate::health::Health;
use crate::shutdown::{Control, Phase};
use crate::supervisor::Supervisor;

/// What there is to listen to, and when a drain ends that has begun.
struct Signals {
    term: Signal,
    int: Signal,
    quit: Signal,
    tstp: Signal,
    hup: Signal,
    usr1: Signal,
    usr2: Signal,
    drain_ends_at: Option<Instant>,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            tstp: signal(SignalKind::from_raw(rustix::process::Signal::TSTP.as_raw()))?,
            hup: signal(SignalKind::hangup())?,
            usr1: signal(SignalKind::user_defined1())?,
            usr2: signal(SignalKind::user_defined2())?,
            drain_ends_at: None,
        })
    }

    async fn next(&mut self) -> Received {
        let drain_ends_at = self.drain_ends_at;
        let drain_ends = async {
            match drain_ends_at {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.term.recv() => Received::End,
            _ = self.int.recv() => Received::End,
            _ = self.quit.recv() => Received::End,
            _ = self.tstp.recv() => Received::Quiet,
            _ = self.hup.recv() => Received::Reload,
            _ = self.usr1.recv() => Received::Status,
            _ = self.usr2.recv() => Received::Status,
            () = drain_ends => Received::DrainTimeout,
        }
    }
}

enum Received {
    End,
    Quiet,
    Reload,
    Status,
    DrainTimeout,
}

/// Begins to listen; from now on none of these signals ends the process by itself.
pub(crate) fn handle(
    supervisor: &Supervisor,
    control: &Arc<Control>,
    health: &Arc<Health>,
    drain_timeout: Duration,
) -> std::io::Result<()> {
    let signals = Arc::new(Mutex::new(Signals::new()?));
    let (control, health) = (control.clone(), health.clone());
    supervisor.keep("signals", Phase::Over, move || {
        let (signals, control, health) = (signals.clone(), control.clone(), health.clone());
        async move {
            let mut signals = signals.lock().await;
            while health.shutdown.phase() < Phase::Over {
                failpoint!(task "in", "signals");
                let received = signals.next().await;
                obey(received, &mut signals, &control, &health, drain_timeout);
            }
        }
    });
    Ok(())
}

fn obey(
    received: Received,
    signals: &mut Signals,
    control: &Control,
    health: &Health,
    drain_timeout: Duration,
) {
    match received {
        Received::End if health.shutdown.phase() < Phase::Draining => {
            info!(?drain_timeout, "draining: what is in flight is settled; a second signal ends at once");
            signals.drain_ends_at = Some(Instant::now() + drain_timeout);
            control.advance(Phase::Draining);
        }
        Received::End => {
            warn!("second signal: ending at once");
            control.advance(Phase::Over);
        }
        Received::DrainTimeout => {
            warn!("the drain timeout is over");
            control.advance(Phase::Over);
        }
        Received::Quiet => {
            control.advance(Phase::Quiet);
            info!("SIGTSTP: quiet, nothing more is fetched; SIGTERM ends");
        }
        Received::Reload => {
            info!("SIGHUP: passwords, tokens and certificates are read again from their files");
            health.reloads.send_modify(|generation| *generation += 1);
        }
        Received::Status => {
            info!("status: {}", health.readiness().to_string().replace('\n', "; "));
        }
    }
}
