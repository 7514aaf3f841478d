//! Park: moves one entry out of its stream, to scheduled or dead, until there is an answer.
//!
//! Safe to repeat: receipt first, then ownership, then the move, all in one script. If this process dies after it,
//! the entry is acknowledged and waits where it was put; before it, the entry is pending and is claimed.

use tollgate::scripts::park::{self, Destination, Parked, Parking};

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
    if parked == Parked::Moved {
        desk.worker.health.metrics.parked(match destination {
            Destination::Scheduled(_) => "scheduled",
            Destination::Dead(code) => code.name(),
        });
    }
    Ok(parked)
}
