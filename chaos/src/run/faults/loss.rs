//! What a failover costs, as somebody outside can tell: which partitions stand still, since when their replicas may lack
//! something, and what a master that was cut off had and its successor has not.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::redis::{FromRedisValue, Value};
use anyhow::{Context, ensure};

use crate::run::counted::LOST_LINES;
use crate::run::history::{Event, History, now_ms};
use crate::run::site::{LOST_HEADS, Site};

/// Where the namespace of a run says what its partitions are called.
pub(super) const META: &str = "tollgate:meta";
/// How far back the end of a journal is looked for that two servers have in common.
const ENTRIES_MAX: &str = "20000";
/// How long a state of servers is waited for.
const COMES_WITHIN: Duration = Duration::from_secs(30);

/// Where a fault notes what it costs.
#[derive(Clone)]
pub(super) struct Notes {
    pub(super) history: Arc<History>,
    /// The directory of the run's programs.
    pub(super) dir: PathBuf,
}

/// Asks a server.
pub(super) type Ask<'a> = &'a dyn Fn(&[&str]) -> anyhow::Result<Value>;

impl Notes {
    pub(super) fn of(site: &Site) -> Self {
        Self { history: Arc::clone(&site.history), dir: site.programs.dir().to_owned() }
    }

    /// Nobody decides anything in these now.
    pub(super) fn interrupted(&self, partitions: &[u64]) {
        self.history.add(Event::Interrupted { partitions: partitions.to_vec(), at_ms: now_ms() });
    }

    /// What these acknowledged from then on until now may be gone.
    pub(super) fn rollback(&self, what: &str, partitions: &[u64], since_us: u64) {
        let (what, partitions) = (what.to_owned(), Some(partitions.to_vec()));
        self.history.add(Event::Rollback { what, since_us: Some(since_us), partitions });
    }

    pub(super) fn count(&self, name: &str, count: u64) {
        self.history.add(Event::Counted { name: name.to_owned(), count });
    }

    /// Notes the ends of those journals of which the old server has more than the new one, for the audit of the end to
    /// name them, and counts the lines.
    pub(super) fn lost(
        &self,
        partitions: &[(u64, String)],
        old: Ask<'_>,
        new: Ask<'_>,
    ) -> anyhow::Result<u64> {
        let mut heads =
            std::fs::OpenOptions::new().create(true).append(true).open(self.dir.join(LOST_HEADS))?;
        let mut lost = 0;
        for (partition, tag) in partitions {
            let head: (Option<u64>, Option<String>) =
                read(old(&["HMGET", &format!("{tag}:head"), "seq", "hash"])?)?;
            let (Some(seq), Some(hash)) = head else { continue };
            let lines = seq.saturating_sub(common(tag, old, new)?);
            if lines > 0 {
                writeln!(heads, "{partition}:{seq}:{hash}")?;
                lost += lines;
            }
        }
        self.count(LOST_LINES, lost);
        Ok(lost)
    }
}

/// The last line that both have alike: its number, which is that of its entry in the journal.
fn common(tag: &str, old: Ask<'_>, new: Ask<'_>) -> anyhow::Result<u64> {
    type Entries = Vec<(String, Vec<(String, String)>)>;
    let journal = format!("{tag}:journal");
    let entries: Entries = read(old(&["XREVRANGE", &journal, "+", "-", "COUNT", ENTRIES_MAX])?)?;
    for entry in entries {
        let there: Entries = read(new(&["XRANGE", &journal, &entry.0, &entry.0])?)?;
        if there.first() == Some(&entry) {
            let seq = entry.0.split('-').next().unwrap_or_default();
            return seq.parse().with_context(|| format!("the journal's entry {}", entry.0));
        }
    }
    Ok(0)
}

/// What the partitions are called, in their order, as a server says that has the namespace's own key.
pub(super) fn tags(ask: Ask<'_>) -> anyhow::Result<Vec<(u64, String)>> {
    let tags: String = read(ask(&["HGET", META, "tags"])?)?;
    Ok((0..).zip(tags.split(' ').map(str::to_owned)).collect())
}

/// How many lines a partition's journal has, by its head.
pub(super) fn lines(tag: &str, ask: Ask<'_>) -> anyhow::Result<u64> {
    let seq: Option<u64> = read(ask(&["HGET", &format!("{tag}:head"), "seq"])?)?;
    Ok(seq.unwrap_or(0))
}

fn read<T: FromRedisValue>(value: Value) -> anyhow::Result<T> {
    ::redis::from_redis_value(value).map_err(|problem| anyhow::anyhow!("{problem}"))
}

/// Waits until there is a value.
pub(super) fn until<T>(what: &str, mut look: impl FnMut() -> anyhow::Result<Option<T>>) -> anyhow::Result<T> {
    let begun = Instant::now();
    loop {
        if let Some(value) = look()? {
            return Ok(value);
        }
        ensure!(begun.elapsed() < COMES_WITHIN, "waited {COMES_WITHIN:?} for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
