//! What every stage works with.

use crate::in_flight::Batch;
use crate::partition_state::PartitionState;
use crate::slots::Slot;
use crate::worker::Worker;

/// Where a batch is worked on.
pub(crate) struct StageContext<'a> {
    pub(super) worker: &'a Worker,
    pub(super) state: &'a PartitionState,
    pub(super) batch: &'a Batch,
    pub(super) slot: &'a mut Slot,
}
