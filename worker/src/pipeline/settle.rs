//! Settle: one call of one script decides the batch; of long orders, several calls, since Redis does nothing else
//! meanwhile.
//!
//! Until there is an answer the same batch is sent again: what was not applied was no attempt, and what was applied
//! without our hearing of it answers `replayed`. The row stays ours meanwhile. If the process dies before the call, nothing
//! happened; after it, the jobs are decided and have left their row, and nobody sees them again. If another worker has
//! taken the row over, nothing of it is decided here.

use tollgate::scripts::settle::{self, Answer, Item, Missing, Policy, Settlement, Source};

use super::context::StageContext;
use super::retry::Retry;
use crate::failpoint::failpoint;
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
    let mut answers = Vec::with_capacity(plans.len());
    let mut rest = plans;
    loop {
        let (call, later) = rest.split_at(count_of_call(rest));
        answers.extend(settle_call(context, call, missing).await?);
        rest = later;
        if rest.is_empty() {
            return Ok(answers);
        }
        failpoint!("between_settles", context.batch.jobs());
    }
}

/// Most items that one call looks at: a millisecond of Redis's time.
const ITEMS_MAX: usize = 300;

/// How many of these jobs one call decides; at least one.
fn count_of_call(plans: &[Item<'_>]) -> usize {
    let mut items = 0;
    let fitting = plans.iter().take_while(|plan| {
        items += plan.request.weight();
        items <= ITEMS_MAX
    });
    fitting.count().max(1).min(plans.len())
}

async fn settle_call(
    context: &mut StageContext<'_>,
    plans: &[Item<'_>],
    missing: Missing,
) -> Result<Vec<Answer>, GaveUp> {
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
