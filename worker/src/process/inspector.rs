//! The inspector tells what the data Redis is found to be while it is used, and reads secrets again when told to.
//!
//! The asking is the library's ([`Server::inspect`]): on each new connection and once a minute. Here a change becomes
//! an incident, a word about another node, or the end of one. Must not decide what follows: calls are refused by the
//! server's own state, payouts by [`may_pay`].

use std::sync::Arc;

use tollgate::connect::{Found, Safety, Server};
use tollgate::preflight::{Finding, Severity, Tier};
use tracing::{info, warn};

use crate::config::Config;
use crate::failpoint::failpoint;
use crate::health::Health;
use crate::incidents::{Incident, Kind, Reporter};
use crate::shutdown::Phase;
use crate::supervisor::Supervisor;

/// What could not be asked is said at the start, and is no incident.
const UNCHECKED: &str = "unchecked";

/// Starts it; it ends with the process.
pub(super) fn start(supervisor: &Supervisor, health: &Arc<Health>, server: &Server, config: &Config) {
    server.inspect(config.unsafe_redis);
    let (health, server) = (health.clone(), server.clone());
    let reports = Reports {
        unsafe_redis: health.incidents.reporter(),
        durability: health.incidents.reporter(),
        secret: health.incidents.reporter(),
        safety: config.unsafe_redis,
        pays: config.payout.gateway.is_some(),
    };
    supervisor.keep("inspect", Phase::Over, move || {
        let (health, server) = (health.clone(), server.clone());
        async move {
            let (mut found, mut reloads) = (server.found(), health.reloads.subscribe());
            let mut changes = found.borrow().as_ref().map_or(0, |found| found.changes);
            loop {
                failpoint!(task "in", "inspect");
                let now = found.borrow_and_update().clone();
                if let Some(now) = now {
                    reports.report(&health, &now);
                    if now.changes > changes {
                        changes = now.changes;
                        health.metrics.redis_changed.inc();
                        warn!(
                            run_id = now.run_id,
                            "Redis is another process than before: it was restarted, or its address leads to another node"
                        );
                    }
                }
                tokio::select! {
                    // The server lives as long as this task.
                    _ = found.changed() => {}
                    _ = reloads.changed() => reports.reload(&health, &server),
                }
            }
        }
    });
}

/// Whether an attempt would be on disk before its request goes out, as far as that can be asked.
pub(crate) fn may_pay(server: &Server, safety: Safety) -> bool {
    let found = server.found();
    let found = found.borrow();
    safety == Safety::Warn || found.as_ref().is_none_or(|found| found.report(Tier::Fsync).is_fit())
}

#[derive(Clone, Copy)]
struct Reports {
    unsafe_redis: Reporter,
    durability: Reporter,
    secret: Reporter,
    safety: Safety,
    pays: bool,
}

impl Reports {
    fn report(&self, health: &Health, found: &Found) {
        let memory = found.report(Tier::Memory);
        health.accepted(memory.accepted().map(|finding| finding.reason.clone()).collect());
        let is_told =
            |finding: &&Finding| finding.code != UNCHECKED && finding.severity != Severity::Accepted;
        let findings: Vec<&Finding> = memory.findings.iter().filter(is_told).collect();
        self.tell(health, self.unsafe_redis, Kind::UnsafeRedis, &findings, memory.is_fit());

        // What is refused for every job is not told again for payouts.
        let known = |finding: &&Finding| !memory.refusals().any(|other| other.code == finding.code);
        let weak: Vec<&Finding> = found.report(Tier::Fsync).refusals().filter(known).collect();
        let weak = if self.pays { weak } else { Vec::new() };
        self.tell(health, self.durability, Kind::DurabilityTooWeak, &weak, false);
    }

    fn tell(&self, health: &Health, reporter: Reporter, kind: Kind, findings: &[&Finding], is_used: bool) {
        let Some(first) = findings.first() else { return health.incidents.resolve(reporter) };
        let reasons: Vec<String> =
            findings.iter().map(|finding| format!("{}: {}", finding.code, finding.reason)).collect();
        let what = match (kind, self.safety) {
            _ if is_used => "it is used",
            (_, Safety::Warn) => "it is used, as --allow-unsafe-redis says",
            (Kind::DurabilityTooWeak, _) => "payouts stop; jobs go on",
            _ => "it is not used until this is mended",
        };
        let incident = Incident::new(kind, "", format!("{}; {what}", reasons.join("; "))).hint(first.hint);
        let goes_on = is_used || self.safety == Safety::Warn;
        health.incidents.open(reporter, if goes_on { incident.degraded() } else { incident });
    }

    fn reload(&self, health: &Health, server: &Server) {
        match server.reload() {
            Ok(changed) => {
                health.incidents.resolve(self.secret);
                info!(changed, "the password and the authorities of Redis were read again");
            }
            Err(error) => {
                let reason = format!("{error}; what was read before is used");
                let incident = Incident::new(Kind::SecretUnreadable, "redis", reason);
                health.incidents.open(self.secret, incident.degraded());
            }
        }
    }
}
