//! A stage's second try: while it waits, its slot is free for others and nothing more is fetched for its partition.

use tollgate::failure::Refusal;
use tollgate::scripts::ScriptError;

use super::context::StageContext;
use crate::in_flight::WentOn;
use crate::partition_state::{Blocked, PartitionState};
use crate::retry_loop::{GaveUp, RetryLoop};
use crate::shutdown::Phase;
use crate::slots::Slot;

pub(crate) struct Retry<'a> {
    state: &'a PartitionState,
    retry: RetryLoop<'a>,
    blocked: Option<Blocked<'a>>,
    went_on: WentOn,
}

impl<'a> Retry<'a> {
    pub(crate) fn new(context: &StageContext<'a>, stage: &str) -> Self {
        let StageContext { worker, state, batch, .. } = *context;
        batch.went_on.again();
        // Until all is over: a drain still tries to settle what is in flight.
        let retry = RetryLoop::in_partition(&worker.health, Phase::Over, stage, state.partition);
        Self { state, retry, blocked: None, went_on: batch.went_on.clone() }
    }

    /// Waits until it is time to try again, if that is not in vain.
    pub(crate) async fn after(&mut self, error: &ScriptError, slot: &mut Slot) -> Result<(), GaveUp> {
        self.blocked.get_or_insert_with(|| self.state.blocked());
        slot.while_others(self.retry.after(error)).await?;
        self.went_on.again();
        if is_refused_by_us(error) {
            self.retry.gave_up();
            return Err(GaveUp::ReadAgain);
        }
        Ok(())
    }
}

/// Was nothing sent because of what was to be sent? What we were served is to blame, not Redis.
fn is_refused_by_us(error: &ScriptError) -> bool {
    matches!(error, ScriptError::Failure(failure) if failure.refusal() == Some(Refusal::Client))
}
