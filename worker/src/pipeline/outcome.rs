//! Outcome: what is done with the answers.
//!
//! Decided, replayed and expired jobs are acknowledged already: they are counted. What cannot be decided moves to
//! dead with its code as the reason. A mismatch is explained from the journal.

use std::time::Instant;

use tollgate::code::Code;
use tollgate::journal;
use tollgate::scripts::park::Destination;
use tollgate::scripts::settle::Answer;
use tracing::warn;

use super::Desk;
use super::decode::{Decoded, Parcel};
use super::park::park;
use crate::retry_loop::GaveUp;

/// Most mismatches of a batch that are looked up; the metric counts them all.
const EXPLAINED_MAX: usize = 10;

pub(crate) fn count(desk: &Desk<'_>, sent: Instant, answered: Instant, answers: &[Answer]) {
    if !answers.is_empty() {
        desk.worker.health.metrics.settled(answered - sent, answers);
        desk.lane.settled(answers.len(), sent, answered);
    }
}

pub(crate) async fn bury_undecided(
    desk: &mut Desk<'_>,
    jobs: &[Decoded<'_>],
    answers: &[Answer],
) -> Result<(), GaveUp> {
    for (Decoded { delivered, job, fingerprint }, answer) in jobs.iter().zip(answers) {
        if let Answer::Undecided(code) = answer {
            let parcel = Parcel { delivered, id: job.id.clone(), fingerprint: *fingerprint };
            park(desk, &parcel, Destination::Dead(*code)).await?;
        }
    }
    Ok(())
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
