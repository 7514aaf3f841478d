//! Settle: one call of one script decides the batch.
//!
//! Until there is an answer the same batch is sent again: what was not applied was no attempt, and what was applied
//! without our hearing of it answers `replayed`. The row stays ours meanwhile. If the process dies before the call, nothing
//! happened; after it, the jobs are decided and have left their row, and nobody sees them again. If another worker has
//! taken the row over, nothing of it is decided here.

use tollgate::scripts::settle::{self, Answer, Item, Missing, Policy, Settlement, Source};

use super::desk::Desk;
use super::retry::Retry;
use crate::retry_loop::GaveUp;

/// `missing` says what becomes of jobs whose resource does not exist.
pub(crate) async fn settle(
    desk: &mut Desk<'_>,
    plans: &[Item<'_>],
    missing: Missing,
) -> Result<Vec<Answer>, GaveUp> {
    // A row whose entries were all deleted from the stream has no jobs, and is settled as that.
    if plans.is_empty() && !desk.batch.entries.is_empty() {
        return Ok(Vec::new());
    }
    let entries: Vec<&str> = plans.iter().filter_map(|plan| plan.entry).collect();
    let left = desk.batch.left.without(&entries);
    let left: Vec<&str> = left.iter().map(String::as_str).collect();
    let source = Some(Source { row: &desk.batch.row, left: &left });
    let policy =
        Policy { hold_ttl: desk.worker.config.payout.hold_ttl, missing, source, ..Policy::default() };
    let mut retry = Retry::new(desk, "settle");
    let answers = loop {
        let settled = match desk.slot.link().await {
            Ok(link) => settle::settle_with(link, &desk.lane.keys, &desk.batch.queue, plans, policy).await,
            Err(failure) => Err(failure.into()),
        };
        match settled {
            Ok(Settlement { at, answers, .. }) => {
                desk.worker.health.metrics.jobs_took(&desk.batch.queue, at, plans, &answers);
                break answers;
            }
            Err(error) => retry.after(&error, desk.slot).await?,
        }
    };
    let stays = |answer: &Answer| matches!(answer, Answer::Undecided(_));
    let gone = entries.iter().zip(&answers).filter(|(_, answer)| !stays(answer)).map(|(entry, _)| *entry);
    desk.batch.left.remove(&gone.collect::<Vec<_>>());
    Ok(answers)
}
