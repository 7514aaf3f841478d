//! Park: moves entries out of their row, to scheduled or dead, until there is an answer.
//!
//! Safe to repeat: row, receipt and move are one script. If this process dies after it, each entry waits where it was
//! put; before it, the row is as it was and is taken over.

use tollgate::scripts::park::{self, Destination, PARKED_MAX, Parked, Parking};
use tollgate::scripts::settle::Source;
use tracing::{debug, info};

use super::context::StageContext;
use super::decode::EntryIdentity;
use super::retry::Retry;
use crate::failpoint::failpoint;
use crate::retry_loop::GaveUp;

/// Answers what became of each, in order.
pub(crate) async fn park(
    context: &mut StageContext<'_>,
    identities: &[(EntryIdentity<'_>, Destination)],
) -> Result<Vec<Parked>, GaveUp> {
    let mut all = Vec::with_capacity(identities.len());
    for some in identities.chunks(PARKED_MAX) {
        all.extend(park_some(context, some).await?);
    }
    Ok(all)
}

async fn park_some(
    context: &mut StageContext<'_>,
    identities: &[(EntryIdentity<'_>, Destination)],
) -> Result<Vec<Parked>, GaveUp> {
    failpoint!("before_park", identities.iter().map(|(identity, _)| identity.delivered.job.as_slice()));
    let entries: Vec<&str> =
        identities.iter().map(|(identity, _)| identity.delivered.entry.as_str()).collect();
    let left = context.batch.left.without(&entries);
    let left: Vec<&str> = left.iter().map(String::as_str).collect();
    let source = Source { row: &context.batch.row, left: &left };
    let mut parkings = Vec::with_capacity(identities.len());
    for (EntryIdentity { delivered, id, fingerprint }, destination) in identities {
        parkings.push(Parking {
            entry: &delivered.entry,
            id,
            fingerprint: *fingerprint,
            attempts: 0,
            envelope: &delivered.job,
            destination: *destination,
        });
    }
    let mut retry = Retry::new(context, "park");
    let parked = loop {
        let parked = match context.slot.link().await {
            Ok(link) => park::park(link, &context.state.keys, &context.batch.queue, source, &parkings).await,
            Err(failure) => Err(failure.into()),
        };
        match parked {
            Ok(parked) => break parked,
            Err(error) => retry.after(&error, context.slot).await?,
        }
    };
    failpoint!("after_park", identities.iter().map(|(identity, _)| identity.delivered.job.as_slice()));
    let stays = |parked: &Parked| matches!(parked, Parked::Due | Parked::DeadFull);
    let gone = entries.iter().zip(&parked).filter(|(_, parked)| !stays(parked)).map(|(entry, _)| *entry);
    context.batch.left.remove(&gone.collect::<Vec<_>>());
    for ((identity, destination), parked) in identities.iter().zip(&parked) {
        tell(context, identity, *destination, *parked);
    }
    Ok(parked)
}

fn tell(context: &StageContext<'_>, identity: &EntryIdentity<'_>, destination: Destination, parked: Parked) {
    let (health, queue, id) = (&context.worker.health, &context.batch.queue, &identity.id);
    match (parked, destination) {
        (Parked::Moved, Destination::Scheduled(at)) => {
            health.metrics.parked("scheduled");
            debug!(%id, %at, %queue, "moved to scheduled");
        }
        (Parked::Moved, Destination::Dead(code)) => {
            health.metrics.parked(code.name());
            if health.dead_lines.may_write() {
                let partition = context.state.partition;
                info!(%id, reason = %code, %queue, %partition, "moved to dead: `tollgate-producer dead show {id}`");
            }
        }
        (other, _) => debug!(%id, %queue, ?other, "not moved"),
    }
}
