//! Outcome: what is done with the answers.
//!
//! Decided, replayed and expired jobs are acknowledged already: they are counted. What cannot be decided moves to
//! dead with its code as the reason. A mismatch is explained from the journal.

use tokio::time::Instant;

use tollgate::code::Code;
use tollgate::journal;
use tollgate::scripts::park::{Destination, Parked};
use tollgate::scripts::settle::{Answer, Missing};
use tracing::warn;

use super::Desk;
use super::decode::{Decoded, Parcel};
use super::park::park;
use super::plan::plan;
use super::settle::settle;
use crate::retry_loop::GaveUp;

/// Most mismatches of a batch that are looked up; the metric counts them all.
const EXPLAINED_MAX: usize = 10;

pub(crate) fn count(desk: &Desk<'_>, sent: Instant, answered: Instant, answers: &[Answer]) {
    if !answers.is_empty() {
        desk.worker.health.metrics.settled(answered - sent, answers);
        desk.lane.settled(answers.len(), sent, answered);
    }
}

/// Moves what could not be decided to dead. Where too many are dead already because their resource does not exist,
/// those that come are refused for good instead: each step may be repeated, and if the process dies in between the
/// entries are pending, are claimed, and take the same way.
pub(crate) async fn bury_undecided(
    desk: &mut Desk<'_>,
    jobs: &[Decoded<'_>],
    answers: &[Answer],
) -> Result<(), GaveUp> {
    let mut too_many = Vec::new();
    for (decoded, answer) in jobs.iter().zip(answers) {
        if let Answer::Undecided(code) = answer
            && bury_job(desk, decoded, *code).await? == Parked::DeadFull
        {
            too_many.push(decoded);
        }
    }
    if too_many.is_empty() {
        return Ok(());
    }
    let plans: Vec<_> = too_many.iter().map(|decoded| plan(decoded)).collect();
    let sent = Instant::now();
    let answers = settle(desk, &plans, Missing::Refused).await?;
    desk.worker.health.metrics.settled(sent.elapsed(), &answers);
    let mut refused = 0;
    for (decoded, answer) in too_many.iter().zip(&answers) {
        match answer {
            // Something else is wrong with it by now.
            Answer::Undecided(code) => _ = bury_job(desk, decoded, *code).await?,
            _ => refused += 1,
        }
    }
    if refused > 0 && desk.worker.health.mismatch_lines.may_write() {
        let queue = &desk.batch.queue;
        warn!(%queue, refused, "jobs refused for good: too many are dead whose campaign or account does not exist");
    }
    Ok(())
}

async fn bury_job(desk: &mut Desk<'_>, decoded: &Decoded<'_>, code: Code) -> Result<Parked, GaveUp> {
    let Decoded { delivered, job, fingerprint } = decoded;
    let parcel = Parcel { delivered, id: job.id.clone(), fingerprint: *fingerprint };
    park(desk, &parcel, Destination::Dead(code)).await
}

pub(crate) async fn bury_refused(desk: &mut Desk<'_>, refused: &[(Parcel<'_>, Code)]) -> Result<(), GaveUp> {
    for (parcel, code) in refused {
        park(desk, parcel, Destination::Dead(*code)).await?;
    }
    Ok(())
}

/// Names the first field in which a request differs from the one that has its id.
pub(crate) async fn explain_mismatches(desk: &mut Desk<'_>, jobs: &[Decoded<'_>], answers: &[Answer]) {
    let mismatches = jobs.iter().zip(answers).filter_map(|(decoded, answer)| match answer {
        Answer::Mismatch { seq } => Some((&decoded.job, *seq)),
        _ => None,
    });
    for (job, seq) in mismatches.take(EXPLAINED_MAX) {
        if !desk.worker.health.mismatch_lines.may_write() {
            continue;
        }
        let Ok(link) = desk.slot.link().await else { return };
        let line = match journal::line_at(link, &desk.lane.keys, seq).await {
            Ok(Ok(line)) => line,
            // Only the explanation is missing; the answer stands.
            Ok(Err(_)) | Err(_) => None,
        };
        let field = line.and_then(|line| line.request.first_difference(&job.request)).unwrap_or("unknown");
        warn!(id = %job.id, seq, field, "id_mismatch: this id was used for another request");
    }
}
