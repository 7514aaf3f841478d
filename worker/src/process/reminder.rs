//! The reminder says again what lasts, and finds out whether the log can be written.

use std::sync::Arc;
use std::time::Duration;

use crate::failpoint::failpoint;
use crate::health::Health;
use crate::incidents::{Incident, Kind};
use crate::log;
use crate::shutdown::Phase;
use crate::supervisor::Supervisor;

/// What lasts is said once a minute; this is how late that may be.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Starts it; it ends with the process.
pub(crate) fn start(supervisor: &Supervisor, health: &Arc<Health>) {
    let health = health.clone();
    supervisor.keep("remind", Phase::Over, move || {
        let health = health.clone();
        async move {
            let reporter = health.incidents.reporter();
            let mut dropped_before = log::dropped();
            loop {
                failpoint!(task "in", "remind");
                let dropped = log::dropped();
                if dropped > dropped_before {
                    let reason = format!("{dropped} log lines could not be written so far and were dropped");
                    let incident = Incident::new(Kind::LogNotWritten, "", reason);
                    health.incidents.open(reporter, incident.degraded());
                } else {
                    health.incidents.resolve(reporter);
                }
                dropped_before = dropped;
                health.incidents.remind();
                health.dead_lines.remind();
                health.mismatch_lines.remind();
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
    });
}
