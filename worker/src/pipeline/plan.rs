//! Plan: what settle is to decide about a job.
//!
//! Pure: no Redis, no clock, no I/O, so that a plan made twice is the same plan.

use tollgate::scripts::settle::Item;

use super::decode::Decoded;

pub(crate) fn plan<'a>(decoded: &'a Decoded<'_>) -> Item<'a> {
    Item {
        entry: Some(&decoded.delivered.entry),
        id: &decoded.job.id,
        request: &decoded.job.request,
        fingerprint: decoded.fingerprint,
    }
}
