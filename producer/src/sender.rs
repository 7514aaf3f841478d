//! Sends work in order: jobs in pipelines, operations settled before anything after them is sent.
//!
//! What holds Redis up is waited for, up to a limit: memory or queue above its bound, a broken connection, a
//! refusal that may pass. Everything is sent again under the same ids, so nothing can happen twice. Once
//! something could not be applied, nothing after it is sent: it might rest on it, and a refusal is final (a
//! withdrawal must not overtake its account's opening). Relies on [`Tollgate`] for every call.

mod tally;

use std::time::{Duration, Instant};

use tollgate::code::{Class, Code};
use tollgate::failure::{Failure, Refusal};
use tollgate::fingerprint::Fingerprint;
use tollgate::ids::{JobId, QueueName};
use tollgate::job::Job;
use tollgate::kinds::{Fields, Operation};
use tollgate::link::Link;
use tollgate::partition::Partition;
use tollgate::pressure::Overload;
use tollgate::scripts::ScriptError;
use tollgate::scripts::settle::{Answer, Item, Policy, settle_with};
use tollgate::span::span;
use tollgate::{Packed, Tollgate};
use tollgate_cli::hints;

use tally::Pressure;
pub(crate) use tally::{Stopped, Tally};

use crate::decision;
use crate::interrupt::Interrupt;
use crate::progress::Progress;
use crate::waiting::Waiting;

/// How often memory and queue are looked at: at 200,000 jobs a second some megabytes go by meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// One line's work.
#[derive(Debug)]
pub(crate) enum Work {
    /// For a stream.
    Job(Job),
    /// Settled directly.
    Operation(NamedOperation),
}

impl Work {
    pub(crate) fn id(&self) -> &JobId {
        match self {
            Self::Job(job) => &job.id,
            Self::Operation(operation) => &operation.id,
        }
    }
}

/// An admin operation.
#[derive(Debug)]
pub(crate) struct NamedOperation {
    pub(crate) id: JobId,
    pub(crate) request: Operation,
}

/// Consecutive work of one kind, each with the number of its line.
#[derive(Debug)]
pub(crate) enum Chunk {
    /// Jobs.
    Jobs(Vec<(u64, Packed)>),
    /// Operations.
    Operations(Vec<(u64, NamedOperation)>),
}

impl Chunk {
    /// A chunk of this work alone.
    pub(crate) fn of(tollgate: &Tollgate, number: u64, work: Work) -> Self {
        match work {
            Work::Job(job) => Self::Jobs(vec![(number, tollgate.pack(&job))]),
            Work::Operation(operation) => Self::Operations(vec![(number, operation)]),
        }
    }

    /// How much work it is.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Jobs(jobs) => jobs.len(),
            Self::Operations(operations) => operations.len(),
        }
    }
}

/// Where and how to send.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) queue: QueueName,
    pub(crate) queue_max: Option<u64>,
    /// How long to wait for what holds Redis up, without anything being accepted.
    pub(crate) wait_max: Duration,
}

/// Sends chunks one after the other.
pub(crate) struct Sender<'a> {
    tollgate: &'a Tollgate,
    link: Link,
    route: Route,
    interrupt: Interrupt,
    progress: Progress,
    looked_at: Option<Instant>,
    /// How many jobs more the queue's bound allowed at the last look.
    room: u64,
    tally: Tally,
}

/// Why a try did not do.
enum Obstacle {
    /// It may pass; the failure, or what is overloaded.
    Passing(Stopped),
    /// It does not pass by waiting.
    Lasting(Stopped),
}

impl<'a> Sender<'a> {
    pub(crate) async fn new(
        tollgate: &'a Tollgate,
        route: Route,
        interrupt: Interrupt,
        progress: Progress,
    ) -> Result<Self, Failure> {
        let link = tollgate.server().link().await?;
        Ok(Self {
            tollgate,
            link,
            route,
            interrupt,
            progress,
            looked_at: None,
            room: 0,
            tally: Tally::default(),
        })
    }

    /// Encodes a job for a chunk.
    pub(crate) fn pack(&self, job: &Job) -> Packed {
        self.tollgate.pack(job)
    }

    /// Sends a chunk, or counts it as not applied if an earlier one stopped the run.
    pub(crate) async fn send(&mut self, chunk: Chunk) {
        let count = chunk.len() as u64;
        if self.interrupt.is_set() {
            self.tally.stop(Stopped::Interrupted, None);
        }
        match chunk {
            _ if self.tally.stopped().is_some() => self.tally.not_applied += count,
            Chunk::Jobs(jobs) => self.send_jobs(jobs).await,
            Chunk::Operations(operations) => self.settle(operations).await,
        }
        self.progress.add(count);
    }

    /// The connection, between two chunks.
    pub(crate) fn link(&mut self) -> &mut Link {
        &mut self.link
    }

    /// What has come of everything so far.
    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Counts lines that were wrong in themselves, so never got here.
    pub(crate) fn add_invalid(&mut self, count: u64) {
        self.tally.invalid += count;
    }

    /// Remembers that the command was told to stop.
    pub(crate) fn interrupted(&mut self) {
        self.tally.stop(Stopped::Interrupted, None);
    }

    /// Lets the caller wait, but not longer than until the command is told to stop.
    pub(crate) async fn pause(&mut self, pause: Duration) {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.interrupt.told() => self.tally.stop(Stopped::Interrupted, None),
        }
    }

    /// Repeat: a job that arrived may be sent again; it is settled once. So after a lost answer all that is left
    /// is sent again, and only what is given up in that state is `unknown`.
    async fn send_jobs(&mut self, mut left: Vec<(u64, Packed)>) {
        let mut in_doubt = false;
        let mut waiting = Waiting::default();
        while !left.is_empty() {
            let before = left.len();
            let obstacle = self.try_jobs(&mut left, &mut in_doubt).await;
            if left.len() < before {
                waiting = Waiting::default();
            }
            if let Err(obstacle) = obstacle
                && let Some(stopped) = self.wait_out(obstacle, &mut waiting).await
            {
                let count = left.len() as u64;
                if in_doubt {
                    self.tally.unknown += count
                } else {
                    self.tally.not_applied += count
                }
                return self.tally.stop(stopped, left.first().map(|(number, _)| *number));
            }
        }
    }

    /// Sends what is left; afterwards only what did not arrive is left.
    async fn try_jobs(&mut self, left: &mut Vec<(u64, Packed)>, in_doubt: &mut bool) -> Result<(), Obstacle> {
        self.look().await?;
        // One pipeline is at most what the queue has room for; other producers may fill it at the same moment.
        let room = usize::try_from(self.room).unwrap_or(usize::MAX);
        let jobs = left.iter().map(|(_, job)| job).take(room);
        let sent = self.tollgate.enqueue_packed(&mut self.link, &self.route.queue, jobs).await;
        let results = sent.map_err(|failure| {
            *in_doubt |= failure.may_have_happened();
            Obstacle::of(failure)
        })?;
        let mut failed = None;
        let mut results = results.into_iter();
        left.retain(|_| match results.next() {
            Some(Ok(())) => {
                self.tally.accepted += 1;
                self.room = self.room.saturating_sub(1);
                false
            }
            Some(Err(failure)) => {
                failed.get_or_insert(failure);
                true
            }
            None => true,
        });
        failed.map_or(Ok(()), |failure| Err(Obstacle::of(failure)))
    }

    /// Looks now and then whether Redis can take more, and whenever what the queue had room for is sent.
    async fn look(&mut self) -> Result<(), Obstacle> {
        if self.room > 0 && self.looked_at.is_some_and(|at| at.elapsed() < LOOK_EVERY) {
            return Ok(());
        }
        self.looked_at = None;
        let Self { tollgate, link, route, .. } = self;
        let overload = match tollgate.overload(link, &route.queue, None).await.map_err(Obstacle::of)? {
            None => match route.queue_max {
                None => Ok(u64::MAX),
                Some(max) => {
                    let waiting = tollgate.waiting(&route.queue).await.map_err(Obstacle::of)?;
                    let room = max.saturating_sub(waiting);
                    if room > 0 { Ok(room) } else { Err(Overload::Queue { waiting, max }) }
                }
            },
            Some(overload) => Err(overload),
        };
        self.room =
            overload.map_err(|overload| Obstacle::Passing(Stopped::Overloaded(Pressure::Seen(overload))))?;
        self.looked_at = Some(Instant::now());
        Ok(())
    }

    /// Settles operations in the order of their lines, as far as that order can matter: one batch a partition,
    /// since a resource has one partition.
    async fn settle(&mut self, operations: Vec<(u64, NamedOperation)>) {
        for partition in self.tollgate.partitions().iter() {
            let of_partition: Vec<&(u64, NamedOperation)> = operations
                .iter()
                .filter(|(_, operation)| {
                    self.tollgate.partition_of(operation.request.resource()) == partition
                })
                .collect();
            if of_partition.is_empty() {
                continue;
            }
            if self.tally.stopped().is_some() {
                self.tally.not_applied += of_partition.len() as u64;
                continue;
            }
            self.settle_batch(partition, &of_partition).await;
        }
    }

    /// Repeat: what an earlier call decided answers as replayed.
    async fn settle_batch(&mut self, partition: Partition, operations: &[&(u64, NamedOperation)]) {
        let items: Vec<Item<'_>> = operations
            .iter()
            .map(|(_, NamedOperation { id, request })| Item {
                entry: None,
                id,
                request,
                fingerprint: Fingerprint::of(request),
            })
            .collect();
        let mut in_doubt = false;
        let mut waiting = Waiting::default();
        loop {
            let obstacle = match self.try_batch(partition, &items).await {
                Ok(answers) => {
                    for ((number, operation), answer) in operations.iter().zip(answers) {
                        self.count(*number, operation, answer).await;
                    }
                    return;
                }
                Err((obstacle, may_have_happened)) => {
                    in_doubt |= may_have_happened;
                    obstacle
                }
            };
            if let Some(stopped) = self.wait_out(obstacle, &mut waiting).await {
                let count = operations.len() as u64;
                if in_doubt {
                    self.tally.unknown += count
                } else {
                    self.tally.not_applied += count
                }
                return self.tally.stop(stopped, operations.first().map(|(number, _)| *number));
            }
        }
    }

    async fn try_batch(
        &mut self,
        partition: Partition,
        items: &[Item<'_>],
    ) -> Result<Vec<Answer>, (Obstacle, bool)> {
        self.look().await.map_err(|obstacle| (obstacle, false))?;
        let keys = self.tollgate.keys(partition);
        let policy = Policy { by: self.tollgate.by(), ..Policy::default() };
        match settle_with(&mut self.link, keys, &QueueName::default(), items, policy).await {
            Ok(settlement) => Ok(settlement.answers),
            Err(ScriptError::Failure(failure)) => {
                let may_have_happened = failure.may_have_happened();
                Err((Obstacle::of(failure), may_have_happened))
            }
            Err(error) => {
                let code = error.code().unwrap_or(Code::CorruptPartition);
                Err((Obstacle::Lasting(Stopped::Partition(code, hints::with(&error))), false))
            }
        }
    }

    async fn count(&mut self, number: u64, operation: &NamedOperation, answer: Answer) {
        match answer.direct_code().class() {
            Class::Applied => return self.tally.accepted += 1,
            Class::Invalid => self.tally.invalid += 1,
            Class::Undecidable | Class::NotApplied => self.tally.not_applied += 1,
            Class::Refused | Class::Expired | Class::Pending => self.tally.refused += 1,
        }
        let NamedOperation { id, request } = operation;
        let decision = decision::explain(self.tollgate, &mut self.link, id, request, answer).await;
        self.progress.complain_of(format_args!("line {number}: {}: {decision}", request.resource()));
    }

    /// Waits a little for an obstacle to pass; answers why not to go on, if the time for that is up.
    async fn wait_out(&mut self, obstacle: Obstacle, waiting: &mut Waiting) -> Option<Stopped> {
        let why = match obstacle {
            Obstacle::Lasting(why) => return Some(why),
            Obstacle::Passing(why) => why,
        };
        let Some(pause) = waiting.next(self.route.wait_max) else { return Some(why) };
        if waiting.is_first() {
            self.progress.warn(format_args!("waiting, up to {}: {why}", span(self.route.wait_max)));
            self.progress.waits_for("waiting");
        }
        self.pause(pause).await;
        if self.interrupt.is_set() {
            return Some(Stopped::Interrupted);
        }
        self.progress.waits_for("");
        None
    }
}

impl Obstacle {
    fn of(failure: Failure) -> Self {
        let lasting = failure.is_denied()
            || matches!(failure.refusal(), Some(Refusal::Credentials | Refusal::Client))
            || matches!(failure, Failure::Server { .. });
        let why = if failure.is_oom() {
            Stopped::Overloaded(Pressure::Refused(failure))
        } else {
            Stopped::Failure(failure)
        };
        if lasting { Self::Lasting(why) } else { Self::Passing(why) }
    }
}
