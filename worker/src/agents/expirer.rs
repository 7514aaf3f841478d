//! The expirer gives back the money of holds whose time is over before any attempt has begun.
//!
//! Every worker has one, with or without a gateway: `--hold-ttl` holds also where nobody pays, or while the gateway
//! turns us away. It looks through what is due a page at a time; settle itself decides, so several may try at once,
//! and a payer that begins at the same moment is decided before or after.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tollgate::link::Link;
use tollgate::scripts::ScriptError;
use tollgate::scripts::payout::{self, Step};
use tollgate::scripts::settle::Answer;

use super::Agent;
use crate::partition_state::PartitionState;
use crate::shutdown::Phase;
use crate::worker::Worker;

/// Payouts that are looked at in one visit.
const PAGE: usize = 500;
/// After the last page.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// The same of one worker in a large fleet.
const LOOK_EVERY_MAX: Duration = Duration::from_secs(60);
/// Between two pages.
const NEXT_PAGE_AFTER: Duration = Duration::from_millis(100);

#[derive(Default)]
pub(crate) struct Expirer {
    /// By partition: from which payout on the next visit looks.
    from: HashMap<u16, usize>,
}

impl Agent for Expirer {
    const NAME: &'static str = "expire";
    const UNTIL: Phase = Phase::Draining;

    async fn visit(
        &mut self,
        worker: &Arc<Worker>,
        state: &Arc<PartitionState>,
        link: &mut Link,
    ) -> Result<Duration, ScriptError> {
        let from = self.from.entry(state.partition.number()).or_default();
        let due = payout::due_from(link, &state.keys, *from, PAGE).await?;
        let expired = payout::expired(link, &state.keys, &due).await?;
        let ended = expired.len();
        for (account, id) in expired {
            let answer = payout::step(link, &state.keys, &account, &id, &Step::Expire).await?;
            if let Answer::Decided { code, .. } = answer {
                worker.health.metrics.payout(code.name());
            }
        }
        // Those that have ended are no longer in front.
        *from = from.saturating_add(PAGE).saturating_sub(ended);
        if *from >= due.count.saturating_sub(ended) {
            *from = 0;
            return Ok(state.rest_of_one(LOOK_EVERY, LOOK_EVERY_MAX));
        }
        Ok(NEXT_PAGE_AFTER)
    }
}
