//! The receipt dropper raises the receipts floor every hour, so that receipts do not pile up for ever.
//!
//! The rule is in the script: the floor only rises, and never above an entry that is not settled.

use std::sync::Arc;
use std::time::Duration;

use tollgate::link::Link;
use tollgate::receipts;
use tollgate::scripts::ScriptError;
use tracing::info;

use super::Agent;
use crate::lane::Lane;
use crate::process::Worker;
use crate::shutdown::Phase;

/// The width of a bucket.
const DROP_EVERY: Duration = Duration::from_secs(3600);

pub(crate) struct ReceiptDropper;

impl Agent for ReceiptDropper {
    const NAME: &'static str = "drop receipts";
    const UNTIL: Phase = Phase::Draining;

    async fn visit(
        &mut self,
        _worker: &Arc<Worker>,
        lane: &Arc<Lane>,
        link: &mut Link,
    ) -> Result<Duration, ScriptError> {
        let dropped = receipts::drop_old(link, &lane.keys).await?;
        if dropped.buckets > 0 {
            info!(partition = %lane.partition, "receipts: {dropped}");
        }
        Ok(DROP_EVERY.mul_f64(rand::random_range(0.9..1.1)))
    }
}
