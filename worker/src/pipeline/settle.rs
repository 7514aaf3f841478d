//! Settle: one call of one script decides the batch.
//!
//! Until there is an answer the same batch is sent again: what was not applied was no attempt, and what was applied
//! without our hearing of it answers `replayed`. The entries stay pending meanwhile. Dies the process before the
//! call: nothing happened; after it: the jobs are decided and acknowledged, and nobody sees them again.

use tollgate::scripts::settle::{self, Answer, Item, Missing, Policy};

use super::Desk;
use super::retry::Retry;
use crate::retry_loop::GaveUp;

/// `missing` says what becomes of jobs whose resource does not exist.
pub(crate) async fn settle(
    desk: &mut Desk<'_>,
    plans: &[Item<'_>],
    missing: Missing,
) -> Result<Vec<Answer>, GaveUp> {
    if plans.is_empty() {
        return Ok(Vec::new());
    }
    let policy = Policy { hold_ttl: desk.worker.config.payout.hold_ttl, missing, ..Policy::default() };
    let mut retry = Retry::new(desk.worker, desk.lane, "settle");
    loop {
        let settled = match desk.slot.link().await {
            Ok(link) => settle::settle_with(link, &desk.lane.keys, &desk.batch.queue, plans, policy).await,
            Err(failure) => Err(failure.into()),
        };
        match settled {
            Ok(settlement) => return Ok(settlement.answers),
            Err(error) => retry.after(&error, desk.slot).await?,
        }
    }
}
