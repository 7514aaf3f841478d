//! Settle: one call of one script decides the batch.
//!
//! Until there is an answer the same batch is sent again: what was not applied was no attempt, and what was applied
//! without our hearing of it answers `replayed`. The row stays ours meanwhile. If the process dies before the call, nothing
//! happened; after it, the jobs are decided and have left their row, and nobody sees them again. If another worker has
//! taken the row over, nothing of it is decided here.

use tollgate::scripts::settle::{self, Answer, Item, Missing, Policy, Settlement, Source};

use super::context::StageContext;
use super::retry::Retry;
use crate::retry_loop::GaveUp;

/// `missing` says what becomes of jobs whose resource does not exist.
pub(crate) async fn settle(
    context: &mut StageContext<'_>,
    plans: &[Item<'_>],
    missing: Missing,
) -> Result<Vec<Answer>, GaveUp> {
    // A row whose entries were all deleted from the stream has no jobs, and is settled as that.
    if plans.is_empty() && !context.batch.entries.is_empty() {
        return Ok(Vec::new());
    }
    let entries: Vec<&str> = plans.iter().filter_map(|plan| plan.entry).collect();
    let left = context.batch.left.without(&entries);
    let left: Vec<&str> = left.iter().map(String::as_str).collect();
    let source = Some(Source { row: &context.batch.row, left: &left });
    let policy =
        Policy { hold_ttl: context.worker.config.payout.hold_ttl, missing, source, ..Policy::default() };
    let mut retry = Retry::new(context, "settle");
    let answers = loop {
        let settled = match context.slot.link().await {
            Ok(link) => {
                settle::settle_with(link, &context.state.keys, &context.batch.queue, plans, policy).await
            }
            Err(failure) => Err(failure.into()),
        };
        match settled {
            Ok(Settlement { at, answers, .. }) => {
                context.worker.health.metrics.jobs_took(&context.batch.queue, at, plans, &answers);
                break answers;
            }
            Err(error) => retry.after(&error, context.slot).await?,
        }
    };
    let stays = |answer: &Answer| matches!(answer, Answer::Undecided(_));
    let gone = entries.iter().zip(&answers).filter(|(_, answer)| !stays(answer)).map(|(entry, _)| *entry);
    context.batch.left.remove(&gone.collect::<Vec<_>>());
    Ok(answers)
}
