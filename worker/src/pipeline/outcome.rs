//! Outcome: what is done with the answers.
//!
//! Decided, replayed and expired jobs have left their row already: they are counted. What cannot be decided moves to
//! dead with its code as the reason. A mismatch is explained from the journal.

use tokio::time::Instant;

use tollgate::code::Code;
use tollgate::journal;
use tollgate::kinds::first_difference;
use tollgate::scripts::park::{Destination, Parked};
use tollgate::scripts::settle::{Answer, Missing};
use tracing::warn;

use super::context::StageContext;
use super::decode::{Decoded, EntryIdentity};
use super::park::park;
use super::plan::plan;
use super::settle::settle;
use crate::retry_loop::GaveUp;

/// Most mismatches of a batch that are looked up; the metric counts them all.
const EXPLAINED_MAX: usize = 10;

pub(crate) fn count(context: &StageContext<'_>, sent: Instant, answered: Instant, answers: &[Answer]) {
    if !answers.is_empty() {
        context.worker.health.metrics.settled(answered - sent, answers);
        context.state.settled(answers.len(), sent, answered);
    }
}

/// Moves what could not be decided, and what is no job, to dead, in one call. Where too many are dead already because
/// their resource does not exist, those that come are refused for good instead: each step may be repeated, and if the
/// process dies in between the entries are in their row, are taken over, and take the same way.
pub(crate) async fn dead_letter(
    context: &mut StageContext<'_>,
    jobs: &[Decoded<'_>],
    answers: &[Answer],
    refused: Vec<(EntryIdentity<'_>, Code)>,
) -> Result<(), GaveUp> {
    let undecided: Vec<(&Decoded<'_>, Code)> = jobs
        .iter()
        .zip(answers)
        .filter_map(|(decoded, answer)| match answer {
            Answer::Undecided(code) => Some((decoded, *code)),
            _ => None,
        })
        .collect();
    let of_jobs = undecided.iter().map(|(decoded, code)| (identity(decoded), Destination::Dead(*code)));
    let of_refused = refused.into_iter().map(|(identity, code)| (identity, Destination::Dead(code)));
    let identities: Vec<_> = of_jobs.chain(of_refused).collect();
    if identities.is_empty() {
        return Ok(());
    }
    let parked = park(context, &identities).await?;
    let too_many: Vec<_> = undecided
        .iter()
        .zip(parked)
        .filter(|(_, parked)| *parked == Parked::DeadFull)
        .map(|((decoded, _), _)| *decoded)
        .collect();
    if too_many.is_empty() {
        return Ok(());
    }
    let plans: Vec<_> = too_many.iter().map(|decoded| plan(decoded)).collect();
    let sent = Instant::now();
    let answers = settle(context, &plans, Missing::Refused).await?;
    context.worker.health.metrics.settled(sent.elapsed(), &answers);
    let mut still = Vec::new();
    for (decoded, answer) in too_many.iter().zip(&answers) {
        // Something else is wrong with it by now.
        if let Answer::Undecided(code) = answer {
            still.push((identity(decoded), Destination::Dead(*code)));
        }
    }
    let refused = answers.len() - still.len();
    if !still.is_empty() {
        park(context, &still).await?;
    }
    if refused > 0 && context.worker.health.mismatch_lines.may_write() {
        let queue = &context.batch.queue;
        warn!(%queue, refused, "jobs refused for good: too many are dead whose campaign or account does not exist");
    }
    Ok(())
}

fn identity<'a>(decoded: &Decoded<'a>) -> EntryIdentity<'a> {
    EntryIdentity {
        delivered: decoded.delivered,
        id: decoded.job.id.clone(),
        fingerprint: decoded.fingerprint,
    }
}

/// Names the first field in which a request differs from the one that has its id.
pub(crate) async fn explain_mismatches(
    context: &mut StageContext<'_>,
    jobs: &[Decoded<'_>],
    answers: &[Answer],
) {
    let mismatches = jobs.iter().zip(answers).filter_map(|(decoded, answer)| match answer {
        Answer::Mismatch { seq } => Some((&decoded.job, *seq)),
        _ => None,
    });
    for (job, seq) in mismatches.take(EXPLAINED_MAX) {
        if !context.worker.health.mismatch_lines.may_write() {
            continue;
        }
        let Ok(link) = context.slot.link().await else { return };
        let line = match journal::line_at(link, &context.state.keys, seq).await {
            Ok(Ok(line)) => line,
            // Only the explanation is missing; the answer stands.
            Ok(Err(_)) | Err(_) => None,
        };
        let field = line.and_then(|line| first_difference(&line.event, &job.request)).unwrap_or("unknown");
        warn!(id = %job.id, seq, field, "id_mismatch: this id was used for another request");
    }
}
