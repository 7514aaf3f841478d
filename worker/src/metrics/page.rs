//! The page at `/metrics`: every figure with its name and what it is.

use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use tollgate::connect::Redirected;

use super::{Label, Metrics, Now, classic, process};
use crate::incidents::Kind;

/// How the page is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// The text format that everything reads.
    Classic,
    /// OpenMetrics, for whoever says that it reads it.
    OpenMetrics,
}

impl Format {
    /// What the client accepts, as its header says.
    pub(crate) fn accepted(accept: &str) -> Self {
        let is_meant = accept.split(',').any(|kind| kind.trim().starts_with("application/openmetrics-text"));
        if is_meant { Self::OpenMetrics } else { Self::Classic }
    }

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Classic => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

impl Metrics {
    /// The page.
    pub(crate) fn page(&self, now: Now, format: Format) -> String {
        let mut page = String::new();
        let encoded = encode_registry(&mut page, &self.figures(now))
            .and_then(|()| encode_registry(&mut page, &process::figures()))
            .and_then(|()| encode_eof(&mut page));
        match (encoded, format) {
            (Err(error), _) => format!("# {error}\n"),
            (Ok(()), Format::OpenMetrics) => page,
            (Ok(()), Format::Classic) => classic::of(&page),
        }
    }

    fn figures(&self, now: Now) -> Registry {
        let mut registry = Registry::with_prefix("tollgate");
        let gauge = |number: usize| -> Gauge {
            let gauge = Gauge::default();
            gauge.set(number as i64);
            gauge
        };
        registry.register("up", "1 while jobs are taken, as /readyz says", gauge(now.up.into()));
        registry.register("entries_in_flight", "Taken here, not settled", gauge(now.entries_in_flight));
        registry.register(
            "settle_calls_in_flight",
            "Settle calls in flight",
            gauge(now.settle_calls_in_flight),
        );
        let incidents: Family<Label, Gauge> = Family::default();
        for kind in Kind::ALL {
            let open = now.incidents.iter().filter(|open| open.kind == *kind).count();
            incidents.get_or_create(&[("kind", kind.name())]).set(open as i64);
        }
        registry.register("incidents", "What is wrong now, as /readyz lists it, by kind", incidents);
        registry.register("jobs_decided", "Jobs decided here, by code", self.decided.clone());
        registry.register("jobs_replayed", "Jobs that had been decided before", self.replayed.clone());
        registry.register(
            "jobs_mismatched",
            "Ids that came again with another request",
            self.mismatched.clone(),
        );
        registry.register("jobs_expired", "Ids below the receipts floor", self.expired.clone());
        registry.register(
            "jobs_not_owned",
            "Not decided: another worker had taken them over",
            self.not_owned.clone(),
        );
        registry.register("jobs_parked", "Jobs moved to scheduled or dead, by reason", self.parked.clone());
        registry.register("entries_reclaimed", "Taken over from other workers", self.reclaimed.clone());
        registry.register("jobs_promoted", "Scheduled jobs put back when due", self.promoted.clone());
        registry.register("workers_reaped", "Dead workers removed from the list", self.reaped.clone());
        registry.register(
            "job_duration_seconds",
            "From when a job was added to its queue, or came due, until it was decided here",
            self.job_duration.clone(),
        );
        registry.register("settle_duration_seconds", "Settle calls", self.settle_duration.clone());
        registry.register("settle_batch_jobs", "Jobs in a settle call", self.batch_size.clone());
        registry.register("redis_failures", "Calls that failed, by kind", self.redis_failures.clone());
        registry.register(
            "reservations_expired",
            "Reservations whose time was over, put on sale again here",
            self.reservations_expired.clone(),
        );
        registry.register("payouts", "What payouts came to here, by code", self.payouts.clone());
        registry.register(
            "payout_locks_failed",
            "Account locks that could not be had",
            self.payout_locks_failed.clone(),
        );
        registry.register(
            "payout_locks_waiting",
            "Accounts whose lock another has had since a payout of theirs fell due here",
            self.payout_locks_waiting.clone(),
        );
        registry.register(
            "payout_locks_longest_wait_seconds",
            "For how long the first of them has waited",
            self.payout_locks_longest_wait.clone(),
        );
        registry.register(
            "lock_servers",
            "Lock servers of this worker, by whether their last calls failed",
            self.lock_servers.clone(),
        );
        registry.register(
            "tasks_restarted",
            "Long-lived tasks that ended before their time",
            self.tasks_restarted.clone(),
        );
        registry.register(
            "redis_changes",
            "Times that Redis was another process than before",
            self.redis_changed.clone(),
        );
        let Redirected { moved, asked, waited, read } = now.redirected;
        let redirects: Family<Label, Counter> = Family::default();
        for (kind, count) in [("moved", moved), ("ask", asked), ("try_again", waited), ("map_read", read)] {
            redirects.get_or_create(&[("kind", kind)]).inc_by(count);
        }
        registry.register(
            "redis_redirects",
            "Calls to a cluster that were led to another node or had to wait, and reads of its slots",
            redirects,
        );
        let dropped: Counter = Counter::default();
        dropped.inc_by(now.log_lines_dropped);
        registry.register("log_lines_dropped", "Log lines that could not be written", dropped);
        registry.register("queue_waiting_jobs", "Not taken yet", self.queue_waiting.clone());
        registry.register("queue_in_flight_jobs", "Taken, not settled", self.queue_in_flight.clone());
        registry.register(
            "queue_oldest_age_seconds",
            "Age of the oldest unsettled job",
            self.queue_oldest_age.clone(),
        );
        registry.register(
            "jobs_refused_past_bound",
            "Refused for good, since too many were dead because their resource does not exist",
            self.dead_refused.clone(),
        );
        registry.register(
            "jobs_dead_stripped",
            "Dead without their bytes, since too many were dead for the same reason",
            self.dead_stripped.clone(),
        );
        registry.register("dead_jobs", "Dead now", self.dead.clone());
        registry.register("scheduled_jobs", "Scheduled now", self.scheduled.clone());
        registry.register(
            "conserved",
            "1 while every accepted job is settled or somewhere",
            self.conserved.clone(),
        );
        let build: Family<Label, Gauge> = Family::default();
        build.get_or_create(&[("version", env!("CARGO_PKG_VERSION"))]).set(1);
        registry.register("build_info", "Always 1: which version this is", build);
        registry
    }
}
