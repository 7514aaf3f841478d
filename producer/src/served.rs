//! Whether anybody serves the queue that a command sends to: said on stderr, for a name with a typo in it would
//! otherwise be a queue like any other.
//!
//! Reads the workers' beats, and which queues are paused, where the user may. Nothing depends on it: whatever cannot be
//! read goes unsaid. Must not keep anyone from sending: workers may come later.

use std::collections::BTreeSet;
use std::time::Duration;

use tollgate::Tollgate;
use tollgate::failure::Failure;
use tollgate::ids::QueueName;
use tollgate::link::Link;
use tollgate::scripts::queue::{self, QueueStatus};
use tollgate::workers;

use crate::output;
use crate::table;

/// Says so if jobs sent to `queue` will wait.
pub(crate) async fn warn(tollgate: &Tollgate, queue: &QueueName) {
    /// A Redis that does not answer holds up nobody for this.
    const WITHIN: Duration = Duration::from_secs(1);
    if let Ok(Ok(Some(warning))) = tokio::time::timeout(WITHIN, warning(tollgate, queue)).await {
        output::warn(warning);
    }
}

/// Why a job that was sent to `queue` is not decided yet: nobody serves it, or who does has other work first.
pub(crate) async fn why_it_waits(tollgate: &Tollgate, link: &mut Link, queue: &QueueName) -> String {
    match how_it_is_served(tollgate, link, queue).await {
        (how, Some(0)) => format!("{how}: it is in flight"),
        (how, _) => how,
    }
}

/// Whether somebody serves `queue`, and how much waits in it, as far as that can be told.
pub(crate) async fn how_it_is_served(
    tollgate: &Tollgate,
    link: &mut Link,
    queue: &QueueName,
) -> (String, Option<u64>) {
    if let Ok(Some(why)) = obstacle(tollgate, link, queue).await {
        return (why.what, None);
    }
    match tollgate.waiting(queue).await {
        Ok(0) => ("workers serve the queue, and nothing waits in it".to_owned(), Some(0)),
        Ok(waiting) => {
            let jobs = table::counted(waiting, "job waits", "jobs wait");
            (format!("workers serve the queue, and {jobs} in it"), Some(waiting))
        }
        Err(_) => ("how many jobs wait in the queue cannot be told".to_owned(), None),
    }
}

async fn warning(tollgate: &Tollgate, name: &QueueName) -> Result<Option<String>, Failure> {
    let obstacle = obstacle(tollgate, &mut tollgate.server().link().await?, name).await?;
    Ok(obstacle.map(|Obstacle { what, until }| format!("{what}: what is sent waits until {until}")))
}

struct Obstacle {
    what: String,
    until: &'static str,
}

/// What keeps the jobs of a queue waiting, and until when.
async fn obstacle(
    tollgate: &Tollgate,
    link: &mut Link,
    name: &QueueName,
) -> Result<Option<Obstacle>, Failure> {
    let found = |what: String, until| Ok(Some(Obstacle { what, until }));
    // Workers beat in every partition.
    let Some(partition) = tollgate.partitions().iter().next() else { return Ok(None) };
    let keys = tollgate.keys(partition);
    let listed = queue::list(link, keys).await?;
    if listed.iter().any(|(queue, status)| queue == name && *status == QueueStatus::Paused) {
        return found(format!("queue {name} is paused"), "it is resumed");
    }
    let now_ms = tollgate.now(link, partition).await?.ms();
    let beats = workers::beats(link, keys).await?;
    let alive: Vec<_> =
        beats.into_iter().filter(|beat| beat.is_alive(now_ms)).filter_map(|beat| beat.description).collect();
    if alive.iter().any(|worker| worker.serves(name)) {
        return Ok(None);
    }
    if alive.is_empty() {
        return found("no worker is running".to_owned(), "one is");
    }
    let served: BTreeSet<String> = alive.into_iter().flat_map(|worker| worker.queues).collect();
    let served = Vec::from_iter(served).join(", ");
    found(format!("no worker serves queue {name} (served: {served})"), "one does")
}
