//! Park: moves entries out of their row, to scheduled or dead, until there is an answer.
//!
//! Safe to repeat: row, receipt and move are one script. If this process dies after it, each entry waits where it was
//! put; before it, the row is as it was and is taken over.

use tollgate::scripts::park::{self, Destination, PARKED_MAX, Parked, Parking};
use tollgate::scripts::settle::Source;
use tracing::{debug, info};

use super::decode::Parcel;
use super::desk::Desk;
use super::retry::Retry;
use crate::failpoint::failpoint;
use crate::retry_loop::GaveUp;

/// Answers what became of each, in order.
pub(crate) async fn park(
    desk: &mut Desk<'_>,
    parcels: &[(Parcel<'_>, Destination)],
) -> Result<Vec<Parked>, GaveUp> {
    let mut all = Vec::with_capacity(parcels.len());
    for some in parcels.chunks(PARKED_MAX) {
        all.extend(park_some(desk, some).await?);
    }
    Ok(all)
}

async fn park_some(
    desk: &mut Desk<'_>,
    parcels: &[(Parcel<'_>, Destination)],
) -> Result<Vec<Parked>, GaveUp> {
    failpoint!("before_park", parcels.iter().map(|(parcel, _)| parcel.delivered.job.as_slice()));
    let entries: Vec<&str> = parcels.iter().map(|(parcel, _)| parcel.delivered.entry.as_str()).collect();
    let left = desk.batch.left.without(&entries);
    let left: Vec<&str> = left.iter().map(String::as_str).collect();
    let source = Source { row: &desk.batch.row, left: &left };
    let mut parkings = Vec::with_capacity(parcels.len());
    for (Parcel { delivered, id, fingerprint }, destination) in parcels {
        parkings.push(Parking {
            entry: &delivered.entry,
            id,
            fingerprint: *fingerprint,
            attempts: 0,
            envelope: &delivered.job,
            destination: *destination,
        });
    }
    let mut retry = Retry::new(desk, "park");
    let parked = loop {
        let parked = match desk.slot.link().await {
            Ok(link) => park::park(link, &desk.lane.keys, &desk.batch.queue, source, &parkings).await,
            Err(failure) => Err(failure.into()),
        };
        match parked {
            Ok(parked) => break parked,
            Err(error) => retry.after(&error, desk.slot).await?,
        }
    };
    failpoint!("after_park", parcels.iter().map(|(parcel, _)| parcel.delivered.job.as_slice()));
    let stays = |parked: &Parked| matches!(parked, Parked::Due | Parked::DeadFull);
    let gone = entries.iter().zip(&parked).filter(|(_, parked)| !stays(parked)).map(|(entry, _)| *entry);
    desk.batch.left.remove(&gone.collect::<Vec<_>>());
    for ((parcel, destination), parked) in parcels.iter().zip(&parked) {
        tell(desk, parcel, *destination, *parked);
    }
    Ok(parked)
}

fn tell(desk: &Desk<'_>, parcel: &Parcel<'_>, destination: Destination, parked: Parked) {
    let (health, queue, id) = (&desk.worker.health, &desk.batch.queue, &parcel.id);
    match (parked, destination) {
        (Parked::Moved, Destination::Scheduled(at)) => {
            health.metrics.parked("scheduled");
            debug!(%id, %at, %queue, "moved to scheduled");
        }
        (Parked::Moved, Destination::Dead(code)) => {
            health.metrics.parked(code.name());
            if health.dead_lines.may_write() {
                let partition = desk.lane.partition;
                info!(%id, reason = %code, %queue, %partition, "moved to dead: `tollgate-producer dead show {id}`");
            }
        }
        (other, _) => debug!(%id, %queue, ?other, "not moved"),
    }
}
