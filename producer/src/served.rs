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
use tollgate::scripts::queue::{self, QueueStatus};
use tollgate::workers;

use crate::output::say;

/// Says so if jobs sent to `queue` will wait.
pub(crate) async fn warn(tollgate: &Tollgate, queue: &QueueName) {
    /// A Redis that does not answer holds up nobody for this.
    const WITHIN: Duration = Duration::from_secs(1);
    if let Ok(Ok(Some(warning))) = tokio::time::timeout(WITHIN, warning(tollgate, queue)).await {
        say(format_args!("warning: {warning}"));
    }
}

async fn warning(tollgate: &Tollgate, name: &QueueName) -> Result<Option<String>, Failure> {
    let link = &mut tollgate.server().link().await?;
    // Workers beat in every partition.
    let Some(partition) = tollgate.partitions().iter().next() else { return Ok(None) };
    let keys = tollgate.keys(partition);
    let listed = queue::list(link, keys).await?;
    if listed.iter().any(|(queue, status)| queue == name && *status == QueueStatus::Paused) {
        return Ok(Some(format!("queue {name} is paused: what is sent waits until it is resumed")));
    }
    let now_ms = tollgate.now(link).await?.ms();
    let beats = workers::beats(link, keys).await?;
    let alive: Vec<_> =
        beats.into_iter().filter(|beat| beat.is_alive(now_ms)).filter_map(|beat| beat.description).collect();
    if alive.iter().any(|worker| worker.serves(name)) {
        return Ok(None);
    }
    if alive.is_empty() {
        return Ok(Some("no worker is running: what is sent waits until one is".to_owned()));
    }
    let served: BTreeSet<String> = alive.into_iter().flat_map(|worker| worker.queues).collect();
    let served = Vec::from_iter(served).join(", ");
    Ok(Some(format!("no worker serves queue {name}: what is sent waits until one does (served: {served})")))
}
