//! Schedule: a job that is not to begin before some time leaves the stream until then.
//!
//! Producers only ever XADD, also what is for later; here it is put aside. Only the server's time at the decision
//! counts, never the time in an entry's id: a stream's ids run ahead of the clock after the clock went back, or after
//! someone added an entry under an id of his own choice. The time is read once for a batch, so that what was due
//! (promoted, or late) costs no call of its own; what was not goes to the script, which asks the clock again and
//! answers `due` if the time has come meanwhile.
//! If the process dies before the script, the entry is in its row as it was; after it, it waits in scheduled. If the reply is lost, the second call answers `not_owner`.

use tollgate::instant::Instant;
use tollgate::scripts::park::{Destination, Parked};

use super::context::StageContext;
use super::decode::{Decoded, EntryIdentity};
use super::park::park;
use super::retry::Retry;
use crate::retry_loop::GaveUp;

/// Answers the jobs that are due, in their order.
pub(crate) async fn schedule<'a>(
    context: &mut StageContext<'_>,
    jobs: Vec<Decoded<'a>>,
) -> Result<Vec<Decoded<'a>>, GaveUp> {
    if jobs.iter().all(|decoded| decoded.job.at.is_none()) {
        return Ok(jobs);
    }
    let now = server_time(context).await?;
    let is_later = |decoded: &Decoded<'_>| decoded.job.at.filter(|at| *at > now);
    let identities: Vec<_> = jobs
        .iter()
        .filter_map(|decoded| {
            let Decoded { delivered, job, fingerprint } = decoded;
            let identity = EntryIdentity { delivered, id: job.id.clone(), fingerprint: *fingerprint };
            Some((identity, Destination::Scheduled(is_later(decoded)?)))
        })
        .collect();
    if identities.is_empty() {
        return Ok(jobs);
    }
    let mut parked = park(context, &identities).await?.into_iter();
    let mut is_due =
        |decoded: &Decoded<'_>| is_later(decoded).is_none() || parked.next() == Some(Parked::Due);
    Ok(jobs.into_iter().filter(|decoded| is_due(decoded)).collect())
}

async fn server_time(context: &mut StageContext<'_>) -> Result<Instant, GaveUp> {
    let mut retry = Retry::new(context, "read the time");
    loop {
        let now = match context.slot.link().await {
            Ok(link) => context.worker.tollgate.now(link, context.state.partition).await,
            Err(failure) => Err(failure),
        };
        match now {
            Ok(now) => return Ok(now),
            Err(failure) => retry.after(&failure.into(), context.slot).await?,
        }
    }
}
