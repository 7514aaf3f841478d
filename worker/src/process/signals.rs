//! Signals, as operators of such workers expect them.
//!
//! SIGTERM and SIGINT drain; a second one, or the drain timeout, ends at once; SIGTSTP stops fetching for good.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};

use crate::shutdown::{Control, Phase};

/// Begins to listen; from now on no signal ends the process by itself.
pub(crate) fn handle(control: Arc<Control>, drain_timeout: Duration) -> std::io::Result<()> {
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    let mut tstp = signal(SignalKind::from_raw(rustix::process::Signal::TSTP.as_raw()))?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                () = either(&mut term, &mut int) => break,
                _ = tstp.recv() => {
                    control.advance(Phase::Quiet);
                    info!("SIGTSTP: quiet, nothing more is fetched; SIGTERM ends");
                }
            }
        }
        info!(?drain_timeout, "draining: what is in hand is settled; a second signal ends at once");
        control.advance(Phase::Draining);
        tokio::select! {
            () = either(&mut term, &mut int) => warn!("second signal: ending at once"),
            () = tokio::time::sleep(drain_timeout) => warn!("the drain timeout is over"),
        }
        control.advance(Phase::Over);
    });
    Ok(())
}

async fn either(term: &mut Signal, int: &mut Signal) {
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}
