//! Every figure at `/metrics`, by name. `docs/operating.md` explains them.
//!
//! Labels come from closed lists (codes, reasons, kinds of failure), each there from the start with 0, and from queue
//! names. Updated once per batch; only how long a job took is noted job by job.

mod classic;
pub(crate) mod page;
mod process;

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use crate::incidents::{Kind, Open};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use tollgate::code::{Class, Code, Stored};
use tollgate::connect::Redirected;
use tollgate::failure::{Failure, Refusal};
use tollgate::ids::QueueName;
use tollgate::instant::Instant;
use tollgate::kinds;
use tollgate::scripts::ScriptError;
use tollgate::scripts::settle::{Answer, Item};

type Label = [(&'static str, &'static str); 1];
/// Partition and queue.
type QueueLabels = [(&'static str, String); 2];
type PartitionLabel = [(&'static str, String); 1];
/// Kind and queue.
type JobLabels = [(&'static str, String); 2];
type Seconds = Gauge<f64, AtomicU64>;

/// From a millisecond to nine minutes.
fn job_durations() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 20))
}

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
    job_duration: Family<JobLabels, Histogram, fn() -> Histogram>,
    settle_duration: Histogram,
    batch_size: Histogram,
    redis_failures: Family<Label, Counter>,
    pub(crate) reservations_expired: Counter,
    payouts: Family<Label, Counter>,
    payout_locks_failed: Counter,
    payout_locks_waiting: Gauge,
    payout_locks_longest_wait: Seconds,
    lock_servers: Family<Label, Gauge>,
    tasks_restarted: Counter,
    pub(crate) redis_changed: Counter,
    queue_waiting: Family<QueueLabels, Gauge>,
    queue_in_flight: Family<QueueLabels, Gauge>,
    queue_oldest_age: Family<QueueLabels, Seconds>,
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
    /// Of a cluster.
    pub(crate) redirected: Redirected,
    pub(crate) entries_in_flight: usize,
    pub(crate) settle_calls_in_flight: usize,
}

impl Default for Metrics {
    fn default() -> Self {
        let metrics = Self {
            decided: Family::default(),
            replayed: Counter::default(),
            mismatched: Counter::default(),
            expired: Counter::default(),
            not_owned: Counter::default(),
            parked: Family::default(),
            reclaimed: Counter::default(),
            promoted: Counter::default(),
            reaped: Counter::default(),
            job_duration: Family::new_with_constructor(job_durations),
            // 125 µs to 4 s.
            settle_duration: Histogram::new(exponential_buckets(0.000_125, 2.0, 16)),
            batch_size: Histogram::new(exponential_buckets(1.0, 2.0, 11)),
            redis_failures: Family::default(),
            reservations_expired: Counter::default(),
            payouts: Family::default(),
            payout_locks_failed: Counter::default(),
            payout_locks_waiting: Gauge::default(),
            payout_locks_longest_wait: Seconds::default(),
            lock_servers: Family::default(),
            tasks_restarted: Counter::default(),
            redis_changed: Counter::default(),
            queue_waiting: Family::default(),
            queue_in_flight: Family::default(),
            queue_oldest_age: Family::default(),
            dead_refused: Family::default(),
            dead_stripped: Family::default(),
            dead: Family::default(),
            scheduled: Family::default(),
            conserved: Family::default(),
        };
        metrics.begin_at_zero();
        metrics
    }
}

impl Metrics {
    /// Every label of a closed list is there before its first event: a rate has nothing to count from otherwise.
    fn begin_at_zero(&self) {
        for code in Code::ALL {
            if code.stored() != Stored::No {
                self.decided.get_or_create(&[("code", code.name())]).inc_by(0);
            }
            if matches!(code.class(), Class::Invalid | Class::Undecidable) {
                self.parked.get_or_create(&[("reason", code.name())]).inc_by(0);
            }
        }
        self.parked.get_or_create(&[("reason", "scheduled")]).inc_by(0);
        for reason in Refusal::ALL {
            self.redis_failures.get_or_create(&[("kind", reason.code())]).inc_by(0);
        }
        for kind in FAILURE_KINDS {
            self.redis_failures.get_or_create(&[("kind", kind.name())]).inc_by(0);
        }
        self.redis_failures.get_or_create(&[("kind", NO_ANSWER)]).inc_by(0);
        for code in
            [Code::Paid, Code::PayoutRefused, Code::PayoutVoided, Code::NeedsReview, Code::PaidAfterVoid]
        {
            self.payouts.get_or_create(&[("code", code.name())]).inc_by(0);
        }
        for code in ["unknown", "not_sent", Code::Fenced.name()] {
            self.payouts.get_or_create(&[("code", code)]).inc_by(0);
        }
        self.locks(0, Duration::ZERO, (0, 0));
    }

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

    /// How long the jobs that were decided by this call, at `at`, had been in their queue: from the time in their
    /// entries' ids on, which is by the same clock.
    pub(crate) fn jobs_took(&self, queue: &QueueName, at: Instant, items: &[Item<'_>], answers: &[Answer]) {
        for kind in of_queues() {
            let decided = items.iter().zip(answers).filter(|(item, answer)| {
                item.request.kind() == kind && matches!(answer, Answer::Decided { .. })
            });
            let added_ms = |item: &Item<'_>| item.entry?.split('-').next()?.parse::<u64>().ok();
            let mut took_ms =
                decided.filter_map(|(item, _)| Some(at.ms().saturating_sub(added_ms(item)?))).peekable();
            if took_ms.peek().is_some() {
                let histogram = self.job_duration.get_or_create_owned(&of_jobs(kind, queue));
                took_ms.for_each(|ms| histogram.observe(Duration::from_millis(ms).as_secs_f64()));
            }
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
        self.payout_locks_longest_wait.set(longest.as_secs_f64());
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
        queue: &QueueName,
        waiting: u64,
        in_flight: u64,
        oldest_age: Duration,
    ) {
        of_queues().for_each(|kind| drop(self.job_duration.get_or_create(&of_jobs(kind, queue))));
        let labels = [("partition", partition.to_string()), ("queue", queue.to_string())];
        self.queue_waiting.get_or_create(&labels).set(waiting as i64);
        self.queue_in_flight.get_or_create(&labels).set(in_flight as i64);
        self.queue_oldest_age.get_or_create(&labels).set(oldest_age.as_secs_f64());
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
    pub(crate) fn forget_queue(&self, partition: u16, queue: &QueueName) {
        let labels = [("partition", partition.to_string()), ("queue", queue.to_string())];
        self.queue_waiting.remove(&labels);
        self.queue_in_flight.remove(&labels);
        self.queue_oldest_age.remove(&labels);
    }
}

/// The kinds of job that come from a queue.
fn of_queues() -> impl Iterator<Item = kinds::Kind> {
    kinds::Kind::ALL.iter().copied().filter(|kind| kind.is_queueable())
}

fn of_jobs(kind: kinds::Kind, queue: &QueueName) -> JobLabels {
    [("kind", kind.name().to_owned()), ("queue", queue.to_string())]
}

/// What a failure may be that is no refusal.
const FAILURE_KINDS: [Kind; 6] = [
    Kind::ErrorReply,
    Kind::Uninitialised,
    Kind::PartitionFrozen,
    Kind::CorruptPartition,
    Kind::QueueLost,
    Kind::StaleKeys,
];
const NO_ANSWER: &str = "no_answer";

/// The label of a failure.
fn failure_kind(error: &ScriptError) -> &'static str {
    match error {
        ScriptError::Failure(Failure::NotApplied { reason, .. }) => reason.code(),
        ScriptError::Failure(Failure::Unknown { .. }) => NO_ANSWER,
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

    use super::page::Format;
    use super::*;

    fn page(metrics: &Metrics, format: Format) -> String {
        let (incidents, log_lines_dropped, redirected) = Default::default();
        let now = Now {
            up: true,
            incidents,
            log_lines_dropped,
            redirected,
            entries_in_flight: 0,
            settle_calls_in_flight: 0,
        };
        metrics.page(now, format)
    }

    /// What is counted is there with 0 before it is counted first: no event may add a line to the page.
    #[test]
    fn every_label_is_there_from_the_start() {
        let metrics = Metrics::default();
        metrics.queue(0, &QueueName::default(), 0, 0, Duration::ZERO);
        let names = || -> BTreeSet<String> {
            let page = page(&metrics, Format::OpenMetrics);
            page.lines().filter_map(|line| line.rsplit_once(' ')).map(|(name, _)| name.to_owned()).collect()
        };
        let before = names();
        for code in Code::ALL.iter().filter(|code| code.stored() != Stored::No) {
            metrics.settled(Duration::ZERO, &[Answer::Decided { code: *code, seq: 1 }]);
        }
        for code in [Code::WorkerLost, Code::CampaignNotFound, Code::MalformedJson, Code::CorruptState] {
            metrics.parked(code.name());
        }
        for reason in Refusal::ALL {
            metrics.redis_failure(&Failure::not_applied(reason, "").into());
        }
        metrics.redis_failure(&Failure::unknown("").into());
        metrics.redis_failure(&ScriptError::Uninitialised);
        for code in ["paid", "unknown", "not_sent", "needs_review", "payout_voided"] {
            metrics.payout(code);
        }
        metrics.locks(1, Duration::ZERO, (3, 0));
        let job = tollgate::envelope::Envelope::decode_job(
            br#"{"id":"r","kind":"redeem","campaign":"c","customer":"u"}"#,
        );
        let job = job.unwrap();
        let fingerprint = tollgate::fingerprint::Fingerprint::of(&job.request);
        let item = Item { entry: Some("1000-0"), id: &job.id, request: &job.request, fingerprint };
        let answer = Answer::Decided { code: Code::Redeemed, seq: 1 };
        metrics.jobs_took(
            &QueueName::default(),
            Instant::from_ms(3_500).unwrap(),
            &[item, item],
            &[answer, Answer::Expired],
        );
        assert_eq!(names(), before);
        let sum = "tollgate_job_duration_seconds_sum{kind=\"redeem\",queue=\"default\"} 2.5\n";
        assert!(page(&metrics, Format::Classic).contains(sum));
    }

    /// `docs/operating.md` lists every figure, and no other.
    #[test]
    fn the_documented_figures_are_those_of_the_page() {
        let metrics = Metrics::default();
        // What has a queue or a partition as its label appears with it.
        metrics.queue(0, &QueueName::default(), 0, 0, Duration::ZERO);
        metrics.dead_past_bound(0, 0, 0);
        metrics.partition(0, 0, 0, true);
        let figures: BTreeSet<String> = page(&metrics, Format::Classic)
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
            .map(|(name, _)| name.to_owned())
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
