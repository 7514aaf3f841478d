//! What happened, in the order in which this process saw it: one JSON object a line, so that a run can be judged
//! again. Times are microseconds of one monotonic clock.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::sale::Sale;

/// Milliseconds since the Unix epoch, by the clock of this process.
pub(super) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// The file's name in a run's directory.
pub(super) const FILE: &str = "history.ndjson";

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Request {
    Redeem {
        campaign: String,
        customer: String,
        quantity: u64,
    },
    Withdraw {
        account: String,
        amount: u64,
        destination: Option<String>,
    },
    Deposit {
        account: String,
        amount: u64,
    },
    Transfer {
        from: String,
        to: String,
        amount: u64,
    },
    Refund {
        account: String,
        of: String,
        amount: u64,
    },
    Reverse {
        campaign: String,
        customer: String,
        quantity: u64,
        of: String,
    },
    Decide {
        case: String,
        decision: String,
        by: String,
    },
    CaseOpen {
        case: String,
    },
    SetLimit {
        campaign: String,
        limit: u64,
    },
    CloseCampaign {
        campaign: String,
    },
    CampaignCreate {
        campaign: String,
        limit: u64,
        per_customer: Option<u64>,
    },
    AccountOpen {
        account: String,
        balance: u64,
    },
    InventoryCreate {
        inventory: String,
    },
    InventoryLoad {
        inventory: String,
    },
    #[serde(untagged)]
    Sale(Sale),
}

impl Request {
    /// Its kind, as its envelope has it.
    pub(super) fn kind(&self) -> String {
        let kind =
            serde_json::to_value(self).ok().and_then(|value| value["kind"].as_str().map(str::to_owned));
        kind.unwrap_or_default()
    }
}

/// A request under its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Job {
    pub(super) id: String,
    #[serde(flatten)]
    pub(super) request: Request,
}

/// What a client was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub(super) enum Response {
    /// Decided, or parked where somebody has to look: what `--wait` and the operations print.
    Told { class: String, code: String, seq: Option<u64>, partition: Option<u64>, replayed: bool },
    /// All of it is in a queue.
    Accepted,
    /// Certainly nothing happened.
    NotApplied { why: String },
    /// It may have happened.
    Unknown { why: String },
}

/// What a worker process takes.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Footprint {
    pub(super) slot: usize,
    pub(super) pid: u32,
    pub(super) resident_kib: u64,
    pub(super) descriptors: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Event {
    /// The first line.
    Begins(Box<Beginning>),
    Sent {
        op: u64,
        jobs: Vec<Job>,
    },
    Told {
        op: u64,
        #[serde(flatten)]
        answer: Response,
    },
    /// Bytes that are no job, with a mark of their own in them: before they are sent, and when they have arrived.
    Poisoned {
        mark: String,
        arrived: bool,
    },
    FaultBegins {
        number: usize,
        fault: String,
    },
    /// What it is on, once it is there.
    FaultHits {
        number: usize,
        what: String,
    },
    FaultEnds {
        number: usize,
    },
    /// From here on Redis has forgotten the last of what it had acknowledged.
    Rollback {
        what: String,
        /// What was acknowledged before this time is still there, if any is named.
        #[serde(default)]
        since_us: Option<u64>,
        /// In these partitions alone, if any are named.
        #[serde(default)]
        partitions: Option<Vec<u64>>,
    },
    /// From here on nobody decides anything in these partitions for a while: whoever had them is gone, or gives them away.
    /// The time is that of the journal's lines.
    Interrupted {
        partitions: Vec<u64>,
        at_ms: u64,
    },
    /// This id was seen to be parked.
    Parked {
        id: String,
    },
    /// A lock that another had taken was deleted or changed by whoever had it before.
    LockGivenAway {
        lock: String,
    },
    /// A process came, or went without being told to.
    Process {
        name: String,
        pid: u32,
        what: String,
    },
    Unexpected {
        what: String,
    },
    Sample {
        waiting: u64,
        in_flight: u64,
        decided: u64,
        dead: u64,
        footprints: Vec<Footprint>,
    },
    /// A campaign read while others change it.
    Seen {
        campaign: String,
        limit: u64,
        issued: u64,
    },
    /// The faults are over.
    Healed,
    Drained,
    /// The bound on it is over.
    NotDrained {
        left: String,
    },
    /// What happened to be counted, by name.
    Counted {
        name: String,
        count: u64,
    },
    /// A name of the census and how much there was.
    Census {
        name: String,
        count: u64,
        most: u64,
    },
    /// A part that could not be done here.
    LeftOut {
        what: String,
    },
}

/// How the run was set up.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Beginning {
    pub(super) scenario: String,
    pub(super) seed: u64,
    pub(super) duration_ms: u64,
    pub(super) workers: usize,
    pub(super) appendfsync: String,
    pub(super) server: String,
    pub(super) at: String,
    /// How long it may take to drain when all is well again.
    pub(super) drains_within_ms: u64,
    /// What must have happened for the run to show anything.
    pub(super) bites: Vec<String>,
    /// Whether acknowledged decisions may be lost, as the durability that was asked for says.
    pub(super) may_lose: bool,
    /// Words in logs that this scenario expects at the level ERROR.
    pub(super) expects: Vec<String>,
    pub(super) sabotage: Option<String>,
    pub(super) release: bool,
    pub(super) repeat: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) at_us: u64,
    #[serde(flatten)]
    pub(super) event: Event,
}

/// Where events are written.
pub(super) struct History {
    begun: Instant,
    inner: Mutex<Inner>,
}

struct Inner {
    file: BufWriter<File>,
    next_op: u64,
    problem: Option<std::io::Error>,
    /// How often each thing was counted so far, faults included.
    counts: BTreeMap<String, u64>,
}

impl History {
    pub(super) fn create(dir: &Path) -> anyhow::Result<Self> {
        let file = BufWriter::new(File::create(dir.join(FILE))?);
        Ok(Self {
            begun: Instant::now(),
            inner: Mutex::new(Inner { file, next_op: 0, problem: None, counts: BTreeMap::new() }),
        })
    }

    pub(super) fn now_us(&self) -> u64 {
        self.begun.elapsed().as_micros() as u64
    }

    /// Writes an event. The clock is read under the lock, so that the lines are in the order of their times.
    pub(super) fn add(&self, event: Event) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.add(self.now_us(), event);
    }

    /// Writes that these are sent now; answers the operation's number.
    pub(super) fn sent(&self, jobs: Vec<Job>) -> u64 {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let op = inner.next_op;
        inner.next_op += 1;
        inner.add(self.now_us(), Event::Sent { op, jobs });
        op
    }

    pub(super) fn told(&self, op: u64, answer: Response) {
        self.add(Event::Told { op, answer });
    }

    /// How often this was counted so far, for whoever waits for it; the judge counts from the files.
    pub(super) fn counted(&self, name: &str) -> u64 {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.counts.get(name).copied().unwrap_or(0)
    }

    /// What was added so far can be read.
    pub(super) fn flush(&self) {
        // A problem is kept, and told by `close`.
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(problem) = inner.file.flush() {
            inner.problem.get_or_insert(problem);
        }
    }

    /// Everything is in the file.
    pub(super) fn close(&self) -> anyhow::Result<()> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.file.flush()?;
        inner.problem.take().map_or(Ok(()), |problem| Err(problem).context("writing the history"))
    }
}

impl Event {
    /// Redis has forgotten something now, and nobody knows since when.
    pub(super) fn rollback(what: impl Into<String>) -> Self {
        Self::Rollback { what: what.into(), since_us: None, partitions: None }
    }

    /// Under which name it counts, and how much.
    pub(super) fn counts(&self) -> Option<(&str, u64)> {
        match self {
            Self::Counted { name, count } => Some((name.strip_prefix(FAULT).unwrap_or(name), *count)),
            Self::Rollback { .. } => Some(("rollbacks", 1)),
            Self::Process { what, .. } if what.starts_with("ended by itself") => Some(("fail points hit", 1)),
            _ => None,
        }
    }
}

/// What the count of a fault begins with.
pub(super) const FAULT: &str = "fault: ";

impl Inner {
    fn add(&mut self, at_us: u64, event: Event) {
        if let Some((name, count)) = event.counts() {
            *self.counts.entry(name.to_owned()).or_default() += count;
        }
        let written = serde_json::to_vec(&Entry { at_us, event }).map_err(std::io::Error::from);
        let written = written.and_then(|line| self.file.write_all(&[line.as_slice(), b"\n"].concat()));
        if let Err(problem) = written {
            self.problem.get_or_insert(problem);
        }
    }
}

/// Reads a history back.
pub(super) fn read(dir: &Path) -> anyhow::Result<Vec<Entry>> {
    let path = dir.join(FILE);
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let line = |(number, line): (usize, &str)| {
        serde_json::from_str(line).with_context(|| format!("{} line {}", path.display(), number + 1))
    };
    text.lines().enumerate().map(line).collect()
}
