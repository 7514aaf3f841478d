//! The worker processes, by their beats and by what the queues' groups know of them.

use std::collections::BTreeMap;

use futures_util::StreamExt;
use serde::Serialize;
use tollgate::ids::QueueName;
use tollgate::workers::{self, Description, SILENT_AFTER};
use tollgate::{Tollgate, abreast};

use crate::each::Failed;
use crate::overview::Overview;

/// One worker. What it never said is `null`: a consumer without a beat is left of a worker that was killed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Row {
    pub(crate) worker: String,
    pub(crate) host: Option<String>,
    pub(crate) pid: Option<u32>,
    pub(crate) version: Option<String>,
    pub(crate) queues: Vec<String>,
    /// Whether it serves every queue, those too that it has not seen yet.
    pub(crate) every_queue: bool,
    pub(crate) concurrency: Option<u64>,
    /// By the worker's own clock.
    pub(crate) started_at_ms: Option<u64>,
    /// `alive`, `quiet` (it lives and does not fetch), or `silent` (no beat for too long).
    pub(crate) state: &'static str,
    pub(crate) beat_age_ms: Option<u64>,
    /// Entries that it has in flight, over all queues and partitions.
    pub(crate) in_flight: u64,
}

/// Every worker that beats or holds entries in any partition, by name; and the partitions that could not be read.
pub(crate) async fn read(tollgate: &Tollgate, overview: &Overview) -> anyhow::Result<(Vec<Row>, Failed)> {
    // Not by `in_each`, whose visits cannot move between threads, as those of `watch` do.
    let mut visits = abreast(tollgate.partitions().iter(), |partition| async move {
        let (mut link, keys) = (tollgate.server().link().await?, tollgate.keys(partition));
        let beats = workers::beats(&mut link, keys).await?;
        let counts = overview.partitions.iter().find(|counts| counts.partition == partition.number());
        let mut held = Vec::new();
        for queue in counts.map(|counts| counts.queues.as_slice()).unwrap_or_default() {
            held.extend(workers::in_flight(&mut link, keys, &QueueName::parse(&*queue.queue)?).await?);
        }
        anyhow::Ok((beats, held))
    })
    .boxed();
    let (mut rows, mut failed): (BTreeMap<String, Row>, _) = (BTreeMap::new(), Failed::default());
    while let Some((partition, read)) = visits.next().await {
        let mut of_partition = (Vec::new(), Vec::new());
        failed.note(partition, read.map(|read| of_partition = read))?;
        let (beats, held) = of_partition;
        for beat in beats {
            // One from far ahead was made before the clock went back: its age is unknown, and it is no sign of life.
            let beat_age_ms = overview.at_ms.abs_diff(beat.at_ms);
            let row = rows.entry(beat.consumer).or_insert_with_key(|name| Row::silent(name));
            // It beats in every partition that it serves; the latest counts.
            if row.beat_age_ms.is_none_or(|age_ms| beat_age_ms < age_ms) {
                row.beat_age_ms = Some(beat_age_ms);
                row.take(beat.description);
            }
        }
        // A row that was handed back is nobody's.
        for row in held.into_iter().filter(|row| row.taken_at_ms > 0) {
            rows.entry(row.worker).or_insert_with_key(|name| Row::silent(name)).in_flight += row.entries;
        }
    }
    Ok((rows.into_values().collect(), failed))
}

impl Row {
    /// Whether it takes entries of a queue.
    pub(crate) fn serves(&self, queue: &str) -> bool {
        self.state == "alive" && (self.every_queue || self.queues.iter().any(|name| name == queue))
    }

    /// Whether it beats.
    pub(crate) fn is_alive(&self) -> bool {
        self.state != "silent"
    }

    pub(crate) fn silent(worker: &str) -> Self {
        Self {
            worker: worker.to_owned(),
            host: None,
            pid: None,
            version: None,
            queues: Vec::new(),
            every_queue: false,
            concurrency: None,
            started_at_ms: None,
            state: "silent",
            beat_age_ms: None,
            in_flight: 0,
        }
    }

    fn take(&mut self, description: Option<Description>) {
        let lives = self.beat_age_ms.is_some_and(|age_ms| u128::from(age_ms) < SILENT_AFTER.as_millis());
        self.state = match &description {
            _ if !lives => "silent",
            Some(Description { fetching: false, .. }) => "quiet",
            _ => "alive",
        };
        if let Some(Description {
            host, pid, version, queues, every_queue, concurrency, started_at_ms, ..
        }) = description
        {
            (self.host, self.pid, self.version) = (Some(host), Some(pid), Some(version));
            (self.concurrency, self.started_at_ms) = (Some(concurrency as u64), Some(started_at_ms));
            (self.queues, self.every_queue) = (queues, every_queue);
        }
    }
}
