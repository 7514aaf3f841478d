//! Every figure at `/metrics`, by name. `docs/operating.md` explains them.
//!
//! Labels come from closed lists (codes, reasons, kinds of failure) and from queue names. Updated once per batch,
//! never once per job.

use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use tollgate::code::Code;
use tollgate::failure::Failure;
use tollgate::incidents::{Kind, Open};
use tollgate::scripts::ScriptError;
use tollgate::scripts::settle::Answer;

type Label = [(&'static str, &'static str); 1];
/// Partition and queue.
type QueueLabels = [(&'static str, String); 2];
type PartitionLabel = [(&'static str, String); 1];

#[derive(Debug)]
pub(crate) struct Metrics {
    decided: Family<Label, Counter>,
    pub(crate) replayed: Counter,
    pub(crate) mismatched: Counter,
    pub(crate) expired: Counter,
    not_owned: Counter,
    parked: Family<Label, Counter>,
    pub(crate) reclaimed: Counter,
    pub(crate) promoted: Counter,
    pub(crate) reaped: Counter,
    settle_duration: Histogram,
    batch_size: Histogram,
    redis_failures: Family<Label, Counter>,
    payouts: Family<Label, Counter>,
    payout_locks_failed: Counter,
    payout_locks_waiting: Gauge,
    payout_locks_longest_wait_ms: Gauge,
    lock_servers: Family<Label, Gauge>,
    tasks_restarted: Counter,
    pub(crate) redis_changed: Counter,
    queue_waiting: Family<QueueLabels, Gauge>,
    queue_in_flight: Family<QueueLabels, Gauge>,
    queue_oldest_age_ms: Family<QueueLabels, Gauge>,
    dead_refused: Family<PartitionLabel, Gauge>,
    dead_stripped: Family<PartitionLabel, Gauge>,
    dead: Family<PartitionLabel, Gauge>,
    scheduled: Family<PartitionLabel, Gauge>,
    conserved: Family<PartitionLabel, Gauge>,
}

/// What is read at the moment of asking.
#[derive(Debug, Clone)]
pub(crate) struct Now {
    pub(crate) up: bool,
    pub(crate) incidents: Vec<Open>,
    pub(crate) log_lines_dropped: u64,
    pub(crate) entries_in_flight: usize,
    pub(crate) settle_calls_in_flight: usize,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            decided: Family::default(),
            replayed: Counter::default(),
            mismatched: Counter::default(),
            expired: Counter::default(),
            not_owned: Counter::default(),
            parked: Family::default(),
            reclaimed: Counter::default(),
            promoted: Counter::default(),
            reaped: Counter::default(),
            // 125 µs to 4 s.
            settle_duration: Histogram::new(exponential_buckets(0.000_125, 2.0, 16)),
            batch_size: Histogram::new(exponential_buckets(1.0, 2.0, 11)),
            redis_failures: Family::default(),
            payouts: Family::default(),
            payout_locks_failed: Counter::default(),
            payout_locks_waiting: Gauge::default(),
            payout_locks_longest_wait_ms: Gauge::default(),
            lock_servers: Family::default(),
            tasks_restarted: Counter::default(),
            redis_changed: Counter::default(),
            queue_waiting: Family::default(),
            queue_in_flight: Family::default(),
            queue_oldest_age_ms: Family::default(),
            dead_refused: Family::default(),
            dead_stripped: Family::default(),
            dead: Family::default(),
            scheduled: Family::default(),
            conserved: Family::default(),
        }
    }
}

impl Metrics {
    /// A settle call that was answered.
    pub(crate) fn settled(&self, took: Duration, answers: &[Answer]) {
        self.settle_duration.observe(took.as_secs_f64());
        self.batch_size.observe(answers.len() as f64);
        let mut decided = [0_u64; Code::ALL.len()];
        let (mut replayed, mut mismatched, mut expired, mut not_owned) = (0, 0, 0, 0);
        for answer in answers {
            match answer {
                Answer::Decided { code, .. } => decided[*code as usize] += 1,
                Answer::Replayed { .. } => replayed += 1,
                Answer::Mismatch { .. } => mismatched += 1,
                Answer::Expired => expired += 1,
                Answer::NotOwner => not_owned += 1,
                Answer::Undecided(_) => {}
            }
        }
        for (code, count) in Code::ALL.iter().zip(decided).filter(|(_, count)| *count > 0) {
            self.decided.get_or_create(&[("code", code.name())]).inc_by(count);
        }
        for (counter, count) in [
            (&self.replayed, replayed),
            (&self.mismatched, mismatched),
            (&self.expired, expired),
            (&self.not_owned, not_owned),
        ] {
            counter.inc_by(count);
        }
    }

    /// An entry that left its stream undecided.
    pub(crate) fn parked(&self, reason: &'static str) {
        self.parked.get_or_create(&[("reason", reason)]).inc();
    }

    /// Several, of one reason.
    pub(crate) fn parked_many(&self, reason: &'static str, count: u64) {
        self.parked.get_or_create(&[("reason", reason)]).inc_by(count);
    }

    /// A payout that came to this here.
    pub(crate) fn payout(&self, code: &'static str) {
        self.payouts.get_or_create(&[("code", code)]).inc();
    }

    /// A lock server majority that could not be had.
    pub(crate) fn payout_lock_failed(&self) {
        self.payout_locks_failed.inc();
    }

    /// A long-lived task that ended before its time.
    pub(crate) fn task_restarted(&self) {
        self.tasks_restarted.inc();
    }

    /// Accounts that wait for their lock, the longest wait of them, and lock servers that answer and that fail.
    pub(crate) fn locks(&self, waiting: usize, longest: Duration, (answering, failing): (usize, usize)) {
        self.payout_locks_waiting.set(waiting as i64);
        self.payout_locks_longest_wait_ms.set(longest.as_millis() as i64);
        for (state, servers) in [("answering", answering), ("failing", failing)] {
            self.lock_servers.get_or_create(&[("state", state)]).set(servers as i64);
        }
    }

    pub(crate) fn redis_failure(&self, error: &ScriptError) {
        self.redis_failures.get_or_create(&[("kind", failure_kind(error))]).inc();
    }

    pub(crate) fn queue(
        &self,
        partition: u16,
        queue: &str,
        waiting: u64,
        in_flight: u64,
        oldest_age: Duration,
    ) {
        let labels = [("partition", partition.to_string()), ("queue", queue.to_owned())];
        self.queue_waiting.get_or_create(&labels).set(waiting as i64);
        self.queue_in_flight.get_or_create(&labels).set(in_flight as i64);
        self.queue_oldest_age_ms.get_or_create(&labels).set(oldest_age.as_millis() as i64);
    }

    /// How many jobs a partition refused, and how many it keeps without their bytes, since too many were dead.
    pub(crate) fn dead_past_bound(&self, partition: u16, refused: u64, stripped: u64) {
        let label = [("partition", partition.to_string())];
        self.dead_refused.get_or_create(&label).set(refused as i64);
        self.dead_stripped.get_or_create(&label).set(stripped as i64);
    }

    /// What lies parked in a partition, and whether every job that it accepted is accounted for.
    pub(crate) fn partition(&self, partition: u16, dead: u64, scheduled: u64, is_conserved: bool) {
        let label = [("partition", partition.to_string())];
        self.dead.get_or_create(&label).set(dead as i64);
        self.scheduled.get_or_create(&label).set(scheduled as i64);
        self.conserved.get_or_create(&label).set(is_conserved.into());
    }

    /// A partition that cannot be read any more: likewise.
    pub(crate) fn forget_partition(&self, partition: u16) {
        let label = [("partition", partition.to_string())];
        for figure in [&self.dead, &self.scheduled, &self.conserved] {
            figure.remove(&label);
        }
    }

    /// A queue that cannot be read any more: old figures would pass for new ones.
    pub(crate) fn forget_queue(&self, partition: u16, queue: &str) {
        let labels = [("partition", partition.to_string()), ("queue", queue.to_owned())];
        for figure in [&self.queue_waiting, &self.queue_in_flight, &self.queue_oldest_age_ms] {
            figure.remove(&labels);
        }
    }

    /// The page, in the OpenMetrics text format.
    pub(crate) fn page(&self, now: Now) -> String {
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
        registry.register("settle_duration_seconds", "Settle calls", self.settle_duration.clone());
        registry.register("settle_batch_jobs", "Jobs in a settle call", self.batch_size.clone());
        registry.register("redis_failures", "Calls that failed, by kind", self.redis_failures.clone());
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
            "payout_locks_longest_wait_ms",
            "For how long the first of them has waited",
            self.payout_locks_longest_wait_ms.clone(),
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
        let dropped: Counter = Counter::default();
        dropped.inc_by(now.log_lines_dropped);
        registry.register("log_lines_dropped", "Log lines that could not be written", dropped);
        registry.register("queue_waiting_jobs", "Not taken yet", self.queue_waiting.clone());
        registry.register("queue_in_flight_jobs", "Taken, not settled", self.queue_in_flight.clone());
        registry.register(
            "queue_oldest_age_ms",
            "Age of the oldest unsettled job",
            self.queue_oldest_age_ms.clone(),
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
        let mut page = String::new();
        match encode(&mut page, &registry) {
            Ok(()) => page,
            Err(error) => format!("# {error}\n"),
        }
    }
}

/// The label of a failure.
fn failure_kind(error: &ScriptError) -> &'static str {
    match error {
        ScriptError::Failure(Failure::NotApplied { reason, .. }) => reason.code(),
        ScriptError::Failure(Failure::Unknown { .. }) => "no_answer",
        ScriptError::Failure(Failure::Server { .. })
        | ScriptError::Uninitialised
        | ScriptError::Frozen(_)
        | ScriptError::CorruptPartition(_)
        | ScriptError::QueueLost { .. }
        | ScriptError::StaleKeys => Kind::of(error).name(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// `docs/operating.md` lists every figure, and no other.
    #[test]
    fn the_documented_figures_are_those_of_the_page() {
        let metrics = Metrics::default();
        // A figure with labels appears with its first count.
        metrics.settled(Duration::ZERO, &[Answer::Decided { code: Code::Redeemed, seq: 1 }]);
        metrics.parked("worker_lost");
        metrics.redis_failure(&ScriptError::Uninitialised);
        metrics.payout("paid");
        metrics.locks(0, Duration::ZERO, (3, 0));
        metrics.queue(0, "default", 0, 0, Duration::ZERO);
        metrics.dead_past_bound(0, 0, 0);
        metrics.partition(0, 0, 0, true);
        let page = metrics.page(Now {
            up: true,
            incidents: Vec::new(),
            log_lines_dropped: 0,
            entries_in_flight: 0,
            settle_calls_in_flight: 0,
        });
        let figures: BTreeSet<String> = page
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
            .map(|(name, kind)| if kind == "counter" { format!("{name}_total") } else { name.to_owned() })
            .collect();
        let doc = include_str!("../../docs/operating.md");
        let table = doc
            .split("<!-- metrics: begin -->")
            .nth(1)
            .and_then(|rest| rest.split("<!-- metrics: end -->").next());
        let documented: BTreeSet<String> = table
            .unwrap()
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
            .map(|(name, _)| name.to_owned())
            .collect();
        assert_eq!(documented, figures);
    }
}
