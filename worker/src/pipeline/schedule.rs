//! Schedule: a job that is not to begin before some time leaves the stream until then.
//!
//! Producers only ever XADD, also what is for later; here it is put aside. Server time decides: the script answers
//! `due` if the time has come, and the job stays in its batch. Dies the process before: the entry is pending as it
//! was; after: it waits in scheduled, acknowledged. If the reply is lost, the second call answers `not_owner`.

use tollgate::scripts::park::{Destination, Parked};

use super::Desk;
use super::decode::{Decoded, Parcel};
use super::park::park;
use crate::patience::GaveUp;

/// Answers the jobs that are due, in their order.
pub(crate) async fn schedule<'a>(
    desk: &mut Desk<'_>,
    jobs: Vec<Decoded<'a>>,
) -> Result<Vec<Decoded<'a>>, GaveUp> {
    if jobs.iter().all(|decoded| decoded.job.at.is_none()) {
        return Ok(jobs);
    }
    let mut due = Vec::with_capacity(jobs.len());
    for decoded in jobs {
        // An entry's id is the server's time at XADD: a job that was due then (promoted, or late) is due now.
        let added_ms = added_at_ms(&decoded.delivered.entry);
        let Some(at) = decoded.job.at.filter(|at| added_ms.is_none_or(|added_ms| at.ms() > added_ms)) else {
            due.push(decoded);
            continue;
        };
        let Decoded { delivered, job, fingerprint } = &decoded;
        let parcel = Parcel { delivered, id: job.id.clone(), fingerprint: *fingerprint };
        if park(desk, &parcel, Destination::Scheduled(at)).await? == Parked::Due {
            due.push(decoded);
        }
    }
    Ok(due)
}

fn added_at_ms(entry: &str) -> Option<u64> {
    entry.split_once('-')?.0.parse().ok()
}
