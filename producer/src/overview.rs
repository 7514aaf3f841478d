//! The whole namespace at a glance: the stats of every partition, and their sums at the top and by queue.
//!
//! Each partition is read at one instant of its own, so sums over several partitions are of nearly, not exactly,
//! the same moment; the conservation law is exact within each, and its sums are exact too. Reading only.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt;
use serde::Serialize;
use tollgate::ids::HOUR_MS;
use tollgate::partition::Partition;
use tollgate::scripts::ScriptError;
use tollgate::scripts::integrity::{MissingKey, integrity};
use tollgate::scripts::queue::QueueStatus;
use tollgate::scripts::reservation::{self, HeldBack};
use tollgate::scripts::stats::{self, PartitionStats, QueueProblem, StreamIds};
use tollgate::{Tollgate, abreast};
use tollgate_cli::hints;

use crate::exit::Exit;
use crate::output::complain;

/// A reservation that has been over for so long would have ended: workers look every second.
pub(crate) const HELD_BACK_AFTER: Duration = Duration::from_secs(10);

/// What `stats --json` prints.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Overview {
    /// Server time, the latest of the partitions.
    pub(crate) at_ms: u64,
    #[serde(flatten)]
    pub(crate) counts: Counts,
    /// How many dead jobs there are of each reason.
    pub(crate) dead_by_reason: Vec<Reason>,
    pub(crate) conservation: Conservation,
    pub(crate) queues: Vec<QueueCounts>,
    /// Those that could be read.
    pub(crate) partitions: Vec<PartitionCounts>,
    /// Those that could not: the sums above are without them.
    pub(crate) unread: Vec<Unread>,
}

/// Dead jobs of one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Reason {
    pub(crate) reason: String,
    pub(crate) count: u64,
}

/// A partition that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Unread {
    pub(crate) partition: u16,
    pub(crate) error: String,
    #[serde(skip)]
    pub(crate) exit: Exit,
}

/// Where jobs are and what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    pub(crate) waiting: u64,
    pub(crate) in_flight: u64,
    pub(crate) scheduled: u64,
    pub(crate) dead: u64,
    pub(crate) decided: u64,
    pub(crate) replayed: u64,
    pub(crate) mismatched: u64,
    pub(crate) expired: u64,
    pub(crate) discarded: u64,
    pub(crate) overtaken: u64,
    /// Entries that went with a stream, as its repair found.
    pub(crate) lost: u64,
    /// Refused for good, since too many were dead because their resource does not exist.
    pub(crate) dead_refused: u64,
    /// Dead without their bytes, since too many were dead for the same reason.
    pub(crate) dead_stripped: u64,
    /// Of the oldest entry that waits or is in flight.
    pub(crate) oldest_age_ms: Option<u64>,
}

/// The conservation law: what was accepted is somewhere.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Conservation {
    pub(crate) accepted: u64,
    pub(crate) settled: u64,
    /// Whether accepted = settled + waiting + in flight + scheduled + dead + discarded + overtaken + lost.
    pub(crate) holds: bool,
}

/// One queue, in one partition or over all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct QueueCounts {
    pub(crate) queue: String,
    /// `active`, `paused`, `unopened` (no worker knows of it yet), or `mixed` where its partitions differ.
    pub(crate) status: &'static str,
    /// What of it had been there and is gone, if anything.
    pub(crate) problem: Option<&'static str>,
    pub(crate) waiting: u64,
    pub(crate) in_flight: u64,
    pub(crate) oldest_age_ms: Option<u64>,
    /// How many entries are known to have gone with it.
    #[serde(skip)]
    pub(crate) lost: u64,
    #[serde(skip)]
    pub(crate) ids: StreamIds,
}

impl Default for QueueCounts {
    fn default() -> Self {
        Self {
            queue: String::new(),
            status: QueueStatus::Active.name(),
            problem: None,
            waiting: 0,
            in_flight: 0,
            oldest_age_ms: None,
            lost: 0,
            ids: StreamIds::OfTheClock,
        }
    }
}

/// One partition.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct PartitionCounts {
    pub(crate) partition: u16,
    #[serde(flatten)]
    pub(crate) counts: Counts,
    pub(crate) conservation: Conservation,
    pub(crate) frozen: bool,
    /// A timed id from before this is `id_expired`.
    pub(crate) receipts_floor_at_ms: u64,
    pub(crate) retention_ms: u64,
    pub(crate) queues: Vec<QueueCounts>,
    /// Keys that are gone, or hold less than they must.
    #[serde(skip)]
    pub(crate) missing: Vec<MissingKey>,
    /// Reservations that are over and do not end.
    #[serde(skip)]
    pub(crate) held_back: Option<HeldBack>,
}

impl Overview {
    /// Reads every partition; one that cannot be read is named.
    ///
    /// # Errors
    /// What is not of one partition alone, or is so of all of them.
    pub(crate) async fn read(tollgate: &Tollgate) -> Result<Self, ScriptError> {
        let mut reads = abreast(tollgate.partitions().iter(), |partition| async move {
            let mut link = tollgate.server().link().await?;
            let keys = tollgate.keys(partition);
            let stats = stats::read(&mut link, keys).await?;
            let missing = integrity(&mut link, keys).await?;
            let held_back = reservation::held_back(&mut link, keys, &stats, HELD_BACK_AFTER).await?;
            Ok::<_, ScriptError>(Whole { stats, missing, held_back })
        })
        .boxed();
        let (mut read, mut unread, mut last) = (Vec::new(), Vec::new(), None);
        while let Some((partition, result)) = reads.next().await {
            match result {
                Ok(stats) => read.push((partition, stats)),
                Err(error) if error.is_of_partition() => {
                    let (partition, told) = (partition.number(), hints::with(&error));
                    let exit = Exit::of_partition(&error.clone().into());
                    unread.push(Unread { partition, error: told, exit });
                    last = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        match last {
            // Sums of nothing would say that there is nothing.
            Some(error) if read.is_empty() => Err(error),
            _ => Ok(Self::of(&read, unread)),
        }
    }

    /// What it means for the exit code that partitions could not be read; each is said on stderr.
    pub(crate) fn complain(&self) -> Exit {
        for Unread { partition, error, .. } in &self.unread {
            complain(format_args!("partition {partition}: {error}"));
        }
        self.unread.iter().map(|unread| unread.exit).fold(Exit::Done, Exit::combine)
    }

    fn of(read: &[(Partition, Whole)], unread: Vec<Unread>) -> Self {
        let partitions: Vec<_> = read.iter().map(|(partition, whole)| one(*partition, whole)).collect();
        let mut counts = Counts::default();
        let mut conservation = Conservation { holds: true, ..Conservation::default() };
        let mut queues: BTreeMap<String, QueueCounts> = BTreeMap::new();
        for partition in &partitions {
            counts.add(&partition.counts);
            conservation.accepted += partition.conservation.accepted;
            conservation.settled += partition.conservation.settled;
            conservation.holds &= partition.conservation.holds;
            for queue in &partition.queues {
                match queues.get_mut(&queue.queue) {
                    None => drop(queues.insert(queue.queue.clone(), queue.clone())),
                    Some(sum) => sum.add(queue),
                }
            }
        }
        let at_ms = read.iter().map(|(_, whole)| whole.stats.at_ms).max().unwrap_or(0);
        let mut reasons: BTreeMap<&str, u64> = BTreeMap::new();
        for (reason, count) in read.iter().flat_map(|(_, whole)| &whole.stats.head.dead_by_reason) {
            *reasons.entry(reason).or_default() += count;
        }
        let dead_by_reason = reasons.into_iter().filter(|(_, count)| *count > 0);
        let dead_by_reason =
            dead_by_reason.map(|(reason, count)| Reason { reason: reason.to_owned(), count }).collect();
        Self {
            at_ms,
            counts,
            dead_by_reason,
            conservation,
            queues: queues.into_values().collect(),
            partitions,
            unread,
        }
    }
}

/// What was read of one partition.
struct Whole {
    stats: PartitionStats,
    missing: Vec<MissingKey>,
    held_back: Option<HeldBack>,
}

fn one(partition: Partition, Whole { stats, missing, held_back }: &Whole) -> PartitionCounts {
    let age = |at_ms: u64| stats.at_ms.saturating_sub(at_ms);
    let queues: Vec<_> = stats
        .queues
        .iter()
        .map(|queue| QueueCounts {
            queue: queue.name.to_string(),
            status: QueueStatus::name(queue.status),
            problem: queue.problem.map(QueueProblem::name),
            lost: queue.lost,
            ids: queue.ids,
            waiting: queue.waiting,
            in_flight: queue.in_flight,
            oldest_age_ms: queue.oldest_at_ms.map(age),
        })
        .collect();
    let (accepted, _) = stats.conservation();
    PartitionCounts {
        partition: partition.number(),
        counts: Counts {
            waiting: queues.iter().map(|queue| queue.waiting).sum(),
            in_flight: queues.iter().map(|queue| queue.in_flight).sum(),
            scheduled: stats.scheduled,
            dead: stats.dead,
            decided: stats.head.seq,
            replayed: stats.head.replayed,
            mismatched: stats.head.mismatched,
            expired: stats.head.expired,
            discarded: stats.head.discarded,
            overtaken: stats.head.overtaken,
            lost: stats.head.lost,
            dead_refused: stats.head.dead_refused,
            dead_stripped: stats.head.dead_stripped,
            oldest_age_ms: queues.iter().filter_map(|queue| queue.oldest_age_ms).max(),
        },
        conservation: Conservation { accepted, settled: stats.settled(), holds: stats.is_conserved() },
        frozen: stats.head.frozen,
        receipts_floor_at_ms: stats.head.receipts_floor_hour.saturating_mul(HOUR_MS),
        retention_ms: stats.head.retention_ms,
        queues,
        missing: missing.clone(),
        held_back: held_back.clone(),
    }
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.waiting += other.waiting;
        self.in_flight += other.in_flight;
        self.scheduled += other.scheduled;
        self.dead += other.dead;
        self.decided += other.decided;
        self.replayed += other.replayed;
        self.mismatched += other.mismatched;
        self.expired += other.expired;
        self.discarded += other.discarded;
        self.overtaken += other.overtaken;
        self.lost += other.lost;
        self.dead_refused += other.dead_refused;
        self.dead_stripped += other.dead_stripped;
        // `None` is less than any age.
        self.oldest_age_ms = self.oldest_age_ms.max(other.oldest_age_ms);
    }
}

impl QueueCounts {
    fn add(&mut self, other: &Self) {
        self.waiting += other.waiting;
        self.in_flight += other.in_flight;
        self.oldest_age_ms = self.oldest_age_ms.max(other.oldest_age_ms);
        self.lost += other.lost;
        self.ids = self.ids.max(other.ids);
        // Where it is known to one partition only, that one's word counts.
        let unopened = QueueStatus::Unopened.name();
        if self.status == unopened {
            self.status = other.status;
        } else if self.status != other.status && other.status != unopened {
            self.status = "mixed";
        }
        self.problem = self.problem.or(other.problem);
    }
}
