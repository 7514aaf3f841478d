//! What every stage works with.

use crate::hand::Batch;
use crate::lane::Lane;
use crate::slots::Slot;
use crate::worker::Worker;

/// Where a batch is worked on.
pub(crate) struct Desk<'a> {
    pub(super) worker: &'a Worker,
    pub(super) lane: &'a Lane,
    pub(super) batch: &'a Batch,
    pub(super) slot: &'a mut Slot,
}
