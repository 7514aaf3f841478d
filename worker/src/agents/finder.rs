//! The finder looks for streams of jobs that are in no list of queues, since a plain XADD made them, and registers them:
//! then they are seen, and served by whoever serves every queue.
//!
//! One worker of the namespace does it at a time, the first by name of those that live; that two do it now and then is
//! no harm. The keyspace is gone through slowly, in pages, and again after a while: a queue is found within ten minutes.
//! A worker that may not SCAN says so once and does without.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tollgate::discovery::{self, Cursor};
use tollgate::failure::Failure;
use tollgate::ids::QueueName;
use tollgate::link::Link;
use tollgate::scripts::ScriptError;
use tollgate::tag::Tag;
use tollgate::workers;
use tracing::{info, warn};

use super::Agent;
use crate::partition_state::PartitionState;
use crate::shutdown::Phase;
use crate::worker::Worker;

/// Between two searches.
const REST: Duration = Duration::from_secs(300);
/// Until the next look whether it is this worker's turn.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// Between two pages of a small keyspace; a large one is gone through within `SEARCH_MAX`.
const PAGE_PAUSE: Duration = Duration::from_millis(50);
const SEARCH_MAX: Duration = Duration::from_secs(120);

#[derive(Default)]
pub(crate) struct Finder {
    search: Option<Search>,
    /// What was said already.
    told: HashSet<String>,
}

struct Search {
    cursor: Option<Cursor>,
    pause: Duration,
}

impl Agent for Finder {
    const NAME: &'static str = "find queues";
    const UNTIL: Phase = Phase::Draining;

    async fn visit(
        &mut self,
        worker: &Arc<Worker>,
        state: &Arc<PartitionState>,
        link: &mut Link,
    ) -> Result<Duration, ScriptError> {
        // The keyspace is that of all partitions: one of them is visited for it.
        if worker.partitions.first().is_none_or(|first| first.partition != state.partition) {
            return Ok(REST);
        }
        if self.search.is_none() && !is_our_turn(worker, state, link).await? {
            return Ok(LOOK_EVERY);
        }
        match self.look(worker, link).await {
            Err(failure) if failure.is_denied() => {
                self.search = None;
                if self.told.insert(String::new()) {
                    warn!(
                        "no right to SCAN: a queue that a plain XADD made is not found until it is registered"
                    );
                }
                Ok(REST)
            }
            other => Ok(other?),
        }
    }
}

/// Whether this is the first worker by name, of those that live by the server's clock.
async fn is_our_turn(worker: &Worker, state: &PartitionState, link: &mut Link) -> Result<bool, ScriptError> {
    let now_ms = worker.tollgate.now(link, state.partition).await?.ms();
    let beats = workers::beats(link, &state.keys).await?;
    let mut alive = beats.iter().filter(|beat| beat.is_alive(now_ms));
    Ok(alive.all(|beat| worker.consumer <= beat.consumer))
}

impl Finder {
    /// Goes on by a page; answers how long to rest.
    async fn look(&mut self, worker: &Worker, link: &mut Link) -> Result<Duration, Failure> {
        let search = match &mut self.search {
            Some(search) => search,
            empty => {
                let pages = discovery::pages(link).await?;
                let pause = PAGE_PAUSE.min(SEARCH_MAX / u32::try_from(pages).unwrap_or(u32::MAX));
                empty.insert(Search { cursor: None, pause })
            }
        };
        let (cursor, pause) = (search.cursor.take(), search.pause);
        let (server, namespace) = (worker.tollgate.server(), worker.tollgate.namespace());
        let page = discovery::page(server, namespace, cursor).await.inspect_err(|_| {
            // From the beginning, the next time.
            self.search = None;
        })?;
        for stream in page.streams {
            self.found(worker, link, &stream).await?;
        }
        match page.next {
            None => self.search = None,
            next => {
                self.search = Some(Search { cursor: next, pause });
                return Ok(pause);
            }
        }
        Ok(REST)
    }

    async fn found(&mut self, worker: &Worker, link: &mut Link, stream: &str) -> Result<(), Failure> {
        let of_partition =
            |state: &Arc<PartitionState>| Some((state.clone(), state.keys.queue_of(stream)?.to_owned()));
        let Some((state, name)) = worker.partitions.iter().find_map(of_partition) else {
            // Not of another namespace, whose name begins like ours.
            let tag = stream.split_once(':').map_or("", |(tag, _)| tag);
            let is_ours = Tag::number_of(tag, worker.tollgate.namespace()).is_some();
            if is_ours && self.told.insert(stream.to_owned()) {
                warn!(
                    stream,
                    "jobs were sent to a partition that the namespace does not have: nobody serves them"
                );
            }
            return Ok(());
        };
        let Ok(queue) = QueueName::parse(name.as_str()) else {
            if self.told.insert(stream.to_owned()) {
                warn!(
                    stream,
                    "jobs were sent to a stream whose name is not a queue name: nobody serves them"
                );
            }
            return Ok(());
        };
        if state.knows(&queue) {
            return Ok(());
        }
        discovery::register(link, &state.keys, &queue).await?;
        if self.told.insert(stream.to_owned()) {
            info!(%queue, partition = %state.partition, "found a queue that nobody had registered");
        }
        Ok(())
    }
}
