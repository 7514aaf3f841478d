//! What is known of the jobs that were sent: ids that belong to another request, and with `--wait-all` what was
//! decided.
//!
//! Only reads. A stream takes whatever is sent, so a job under an id of another request is accepted and then
//! refused by whoever settles it: here it is told to the sender. Bounded: without `--wait-all` so many ids are
//! remembered and looked up once at the end; with it, so many at a time are waited for before more is sent.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::{Duration, Instant};

use serde::Serialize;
use tollgate::Tollgate;
use tollgate::fingerprint::Fingerprint;
use tollgate::ids::JobId;
use tollgate::link::Link;
use tollgate::outcome::{Outcome, OutcomeClass};
use tollgate::partition::Partition;
use tollgate::scripts::ScriptError;

use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::progress::Progress;

/// Ids that are remembered at a time.
pub(super) const REMEMBERED_MAX: usize = 20_000;
/// Ids in one look.
const LOOK: usize = 500;
/// The pause between two looks at jobs of which none was decided meanwhile.
const PAUSE: Duration = Duration::from_millis(20);

/// A job that was handed over to be sent.
#[derive(Debug)]
pub(super) struct SentJob {
    /// Of its line.
    pub(super) number: u64,
    pub(super) partition: Partition,
    pub(super) id: JobId,
    pub(super) fingerprint: Fingerprint,
}

/// Jobs of one chunk.
#[derive(Debug, Default)]
pub(super) struct SentJobs {
    pub(super) jobs: Vec<SentJob>,
    /// How many are not looked up, because too many were before them.
    pub(super) passed_over: u64,
}

/// What came of the jobs, as `--json` tells it with `--wait-all`.
#[derive(Debug, Default, Clone, Copy, Serialize)]
pub(super) struct Counts {
    applied: u64,
    refused: u64,
    pending: u64,
    dead: u64,
    expired: u64,
    not_decided: u64,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} applied", self.applied)?;
        for (count, what) in [
            (self.refused, "refused"),
            (self.pending, "pending"),
            (self.dead, "dead"),
            (self.expired, "expired"),
            (self.not_decided, "not decided yet"),
        ] {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        Ok(())
    }
}

/// The jobs that are remembered, and what is known of those that are not any more.
pub(super) struct Outcomes<'a> {
    tollgate: &'a Tollgate,
    progress: Progress,
    interrupt: Interrupt,
    /// How long to wait without anything being decided; `None` without `--wait-all`.
    wait_max: Option<Duration>,
    remembered: VecDeque<SentJob>,
    passed_over: u64,
    mismatched: u64,
    counts: Counts,
}

impl<'a> Outcomes<'a> {
    pub(super) fn new(
        tollgate: &'a Tollgate,
        wait_max: Option<Duration>,
        interrupt: Interrupt,
        progress: Progress,
    ) -> Self {
        Self {
            tollgate,
            progress,
            interrupt,
            wait_max,
            remembered: VecDeque::new(),
            passed_over: 0,
            mismatched: 0,
            counts: Counts::default(),
        }
    }

    /// Remembers jobs that were sent. With `--wait-all` it waits first, as long as too many are remembered.
    pub(super) async fn add(&mut self, link: &mut Link, sent: SentJobs) -> Result<(), ScriptError> {
        if self.wait_max.is_some() {
            self.wait_until(link, REMEMBERED_MAX).await?;
        }
        self.passed_over += sent.passed_over;
        self.remembered.extend(sent.jobs);
        Ok(())
    }

    /// Looks at all that are remembered: once, or until all are decided.
    pub(super) async fn end(&mut self, link: &mut Link) -> Result<(), ScriptError> {
        match self.wait_max {
            Some(_) => self.wait_until(link, 0).await?,
            None => self.look(link).await?,
        }
        self.counts.not_decided += self.remembered.len() as u64;
        Ok(())
    }

    /// Looks no more: of `accepted` jobs, those of which nothing is known yet are not decided for who asks.
    pub(super) fn leave(&mut self, accepted: u64) {
        let Counts { applied, refused, pending, dead, expired, .. } = self.counts;
        let known = applied + refused + pending + dead + expired;
        self.counts.not_decided = accepted.saturating_sub(known);
    }

    /// Ids that were not looked up, because too many were sent.
    pub(super) fn passed_over(&self) -> u64 {
        self.passed_over
    }

    /// Whether the outcomes are waited for.
    pub(super) fn waits(&self) -> bool {
        self.wait_max.is_some()
    }

    /// Jobs under an id of another request.
    pub(super) fn mismatched(&self) -> u64 {
        self.mismatched
    }

    /// The counts, if they were waited for.
    pub(super) fn counts(&self) -> Option<Counts> {
        self.wait_max.map(|_| self.counts)
    }

    pub(super) fn exit(&self) -> Exit {
        let Counts { refused, dead, expired, not_decided, .. } = self.counts;
        let refused = self.mismatched > 0 || (self.wait_max.is_some() && refused + dead + expired > 0);
        let exit = if refused { Exit::Refused } else { Exit::Done };
        if self.wait_max.is_some() && not_decided > 0 { exit.combine(Exit::Undecided) } else { exit }
    }

    /// Waits until no more than `most` are remembered, or nothing was decided for too long.
    async fn wait_until(&mut self, link: &mut Link, most: usize) -> Result<(), ScriptError> {
        let wait_max = self.wait_max.unwrap_or_default();
        let mut last = Instant::now();
        while self.remembered.len() > most && !self.interrupt.is_set() {
            let before = self.remembered.len();
            self.look(link).await?;
            if self.remembered.len() < before {
                last = Instant::now();
                continue;
            }
            if last.elapsed() >= wait_max {
                break;
            }
            let mut interrupt = self.interrupt.clone();
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = interrupt.told() => {}
            }
        }
        Ok(())
    }

    /// Looks once at all that are remembered, and forgets those of which something is known.
    async fn look(&mut self, link: &mut Link) -> Result<(), ScriptError> {
        let mut left = VecDeque::new();
        while !self.remembered.is_empty() {
            let chunk: Vec<SentJob> = self.remembered.drain(..self.remembered.len().min(LOOK)).collect();
            let mut by_partition: BTreeMap<u16, Vec<SentJob>> = BTreeMap::new();
            for job in chunk {
                by_partition.entry(job.partition.number()).or_default().push(job);
            }
            for jobs in by_partition.into_values() {
                let Some(partition) = jobs.first().map(|job| job.partition) else { continue };
                let ids: Vec<JobId> = jobs.iter().map(|job| job.id.clone()).collect();
                let (_, outcomes) = self.tollgate.lookup_in(link, partition, &ids).await?;
                for (job, outcome) in jobs.into_iter().zip(outcomes) {
                    if !self.count(&job, &outcome) {
                        left.push_back(job);
                    }
                }
            }
        }
        self.remembered = left;
        Ok(())
    }

    /// Counts what is known of a job; answers whether anything is.
    fn count(&mut self, job: &SentJob, outcome: &Outcome) -> bool {
        if outcome.fingerprint.is_some_and(|fingerprint| fingerprint != job.fingerprint) {
            self.mismatched += 1;
            self.counts.refused += 1;
            self.progress.complain_of(format_args!(
                "line {}: id {}: id_mismatch: this id is of another request, so the line has no effect",
                job.number, job.id
            ));
            return true;
        }
        let count = match outcome.class {
            OutcomeClass::Applied => &mut self.counts.applied,
            OutcomeClass::Refused => &mut self.counts.refused,
            OutcomeClass::Pending => &mut self.counts.pending,
            OutcomeClass::Dead => &mut self.counts.dead,
            OutcomeClass::Expired => &mut self.counts.expired,
            OutcomeClass::NotDecided => return false,
        };
        *count += 1;
        true
    }
}
