//! Park: moves one entry out of its stream, to scheduled or dead, until there is an answer.
//!
//! Safe to repeat: receipt first, then ownership, then the move, all in one script. If this process dies after it,
//! the entry is acknowledged and waits where it was put; before it, the entry is pending and is claimed.

use tollgate::scripts::park::{self, Destination, Parked, Parking};
use tracing::{debug, info};

use super::Desk;
use super::decode::Parcel;
use super::retry::Retry;
use crate::failpoint::failpoint;
use crate::retry_loop::GaveUp;

pub(crate) async fn park(
    desk: &mut Desk<'_>,
    parcel: &Parcel<'_>,
    destination: Destination,
) -> Result<Parked, GaveUp> {
    let Parcel { delivered, id, fingerprint } = parcel;
    failpoint!("before_park", std::iter::once(delivered.job.as_slice()));
    let parking = Parking {
        queue: &desk.batch.queue,
        entry: &delivered.entry,
        consumer: &desk.worker.consumer,
        id,
        fingerprint: *fingerprint,
        attempts: 0,
        envelope: &delivered.job,
        destination,
    };
    let mut retry = Retry::new(desk.worker, desk.lane, "park");
    let parked = loop {
        let parked = match desk.slot.link().await {
            Ok(link) => park::park(link, &desk.lane.keys, parking).await,
            Err(failure) => Err(failure.into()),
        };
        match parked {
            Ok(parked) => break parked,
            Err(error) => retry.after(&error, desk.slot).await?,
        }
    };
    failpoint!("after_park", std::iter::once(delivered.job.as_slice()));
    let (health, queue) = (&desk.worker.health, &desk.batch.queue);
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
    Ok(parked)
}
