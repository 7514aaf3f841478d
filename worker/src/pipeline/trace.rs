//! Trace: at the level `debug` the log follows each job by its id, stage by stage. At other levels it costs one
//! comparison a batch.

use tollgate::code::Code;
use tollgate::kinds::Fields;
use tollgate::scripts::settle::Answer;
use tracing::{Level, debug, enabled};

use super::context::StageContext;
use super::decode::{Decoded, DecodedBatch};

/// What was fetched or claimed, as it was decoded.
pub(super) fn decoded(context: &StageContext<'_>, decoded: &DecodedBatch<'_>) {
    if !enabled!(Level::DEBUG) {
        return;
    }
    let (queue, partition) = (&context.batch.queue, context.state.partition);
    for Decoded { delivered, job, .. } in &decoded.jobs {
        let (id, kind, entry) = (&job.id, job.request.kind().name(), &delivered.entry);
        debug!(%id, kind, %queue, %partition, entry, redelivery = ?context.batch.redelivery, "fetched");
    }
    for (identity, code) in &decoded.refused {
        let (id, entry) = (&identity.id, &identity.delivered.entry);
        debug!(%id, %code, %queue, %partition, entry, "fetched, and no job that can be decided here");
    }
}

/// What is sent to be decided.
pub(super) fn settling(context: &StageContext<'_>, jobs: &[Decoded<'_>]) {
    if enabled!(Level::DEBUG) {
        jobs.iter().for_each(|decoded| debug!(id = %decoded.job.id, jobs = jobs.len(), partition = %context.state.partition, "settling"));
    }
}

/// What became of it.
pub(super) fn answered(jobs: &[Decoded<'_>], answers: &[Answer]) {
    if !enabled!(Level::DEBUG) {
        return;
    }
    for (Decoded { job, .. }, answer) in jobs.iter().zip(answers) {
        let id = &job.id;
        match answer {
            Answer::Decided { code, seq } => debug!(%id, %code, seq, "decided"),
            Answer::Replayed { code, seq } => debug!(%id, %code, seq, "decided before: replayed"),
            Answer::Mismatch { seq } => {
                debug!(%id, code = %Code::IdMismatch, seq, "used for another request")
            }
            Answer::Expired => debug!(%id, code = %Code::IdExpired, "below the receipts floor"),
            Answer::NotOwner => debug!(%id, "in flight under another worker by now"),
            Answer::Undecided(code) => debug!(%id, %code, "cannot be decided"),
        }
    }
}
